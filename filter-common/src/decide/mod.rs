//! The decision: from a frame and a policy to a verdict.
//!
//! The order is that of the stages below, each a function. The first that settles the packet ends it.

mod answer;
mod classify;
mod icmp;
mod inspect;
mod limit;
mod quiet;

use core::hint::cold_path;

pub use self::answer::{Outgoing, outgoing};
use self::{icmp::Message, quiet::Quiet};
use crate::{
    Address, Datagram, FirstFragment, Reason, State, Verdict,
    live::{Allowance, LiveQuery},
    packet::{self, Frame, OddPacket, Packet, Payload, PlainPacket, Port, Transport, UNTAGGED, ip},
    tables::{Knobs, Tables, flags},
    verifier::{apart, entry},
};

/// A policy that packets can be judged by, wherever its tables are.
pub trait Policy {
    /// Whether it is a quiet one: plain packets alone are judged by it, and what no rule lists is dropped.
    const IS_QUIET: bool = false;

    /// Everything but the tries.
    fn tables(&self) -> &Tables;

    /// What it switches on, as its tables say.
    #[inline(always)]
    fn knobs(&self) -> Knobs {
        self.tables().settings.knobs
    }

    /// The value of the longest prefix of the source trie that covers `source`: an index of [`Tables::source_sets`]; 0 if there is
    /// none, or if no packet may come from there.
    fn source_set(&self, source: Address) -> u32;

    /// Whether the deny list covers `source`.
    fn is_denied(&self, source: Address) -> bool;

    /// What the live allows say of a packet from `source` that the policy does not let in.
    fn live_allow(&self, source: Address, query: LiveQuery) -> Allowance;

    /// Whether anything may be denied or allowed live; where nothing is, the two above need not be asked.
    fn has_live_entries(&self) -> bool;
}

/// Judges a frame as it arrived on the wire.
#[inline(always)]
pub fn decide<F: Frame + ?Sized, P: Policy, S: State>(frame: &F, policy: &P, state: &S) -> Verdict {
    let odd = |packet| match packet::parse_odd(frame, packet) {
        Ok(packet) => judge(frame, &packet, policy, state),
        Err(reason) => Verdict::of(reason),
    };
    decide_plain(frame, policy, state, odd, TheVerdict)
}

/// What becomes of a verdict. No closure: those the compiler does not always put in line.
pub trait Sequel {
    /// What comes of it.
    type End;

    /// By the verdict, and by what the policy switches on.
    fn of(self, verdict: Verdict, knobs: Knobs) -> Self::End;
}

/// The verdict itself.
pub struct TheVerdict;

impl Sequel for TheVerdict {
    type End = Verdict;

    #[inline(always)]
    fn of(self, verdict: Verdict, _: Knobs) -> Verdict {
        verdict
    }
}

/// Judges a frame, all but odd packets, about which `odd` is asked, and lets follow what is to.
///
/// Nearly all packets are plain: whole UDP datagrams and TCP segments without options and extension headers. They go through
/// the same stages as any other; the compiler leaves out what they cannot be. So it does for quiet policies: for all that
/// follows there is code for these, and code for all.
#[inline(always)]
pub fn decide_plain<F: Frame + ?Sized, P: Policy, S: State, N: Sequel>(
    frame: &F,
    policy: &P,
    state: &S,
    odd: impl Fn(OddPacket) -> Verdict,
    next: N,
) -> N::End {
    match Quiet::of(policy) {
        Some(quiet) => next.of(by_form(frame, &quiet, state, odd).noting_nothing(), quiet.knobs()),
        None if policy.knobs().has(flags::POLICY) => next.of(by_form(frame, policy, state, odd), policy.knobs()),
        None => {
            cold_path();
            next.of(Verdict::of(Reason::NoPolicy), policy.knobs())
        }
    }
}

/// Judges a frame by code for what it carries.
#[inline(always)]
fn by_form<F: Frame + ?Sized, P: Policy, S: State>(
    frame: &F,
    policy: &P,
    state: &S,
    odd: impl Fn(OddPacket) -> Verdict,
) -> Verdict {
    // Before all others: nearly all frames are such.
    if let Some(packet) = packet::untagged_ipv4(frame) {
        return judge_plain(frame, packet, policy, state);
    }
    let knobs = policy.knobs();
    // Written out for each family: so the compiler makes code of each that knows how long addresses are.
    let reason = match packet::payload(frame) {
        Ok(Payload::Ipv4(UNTAGGED)) => return odd(OddPacket::V4(UNTAGGED)),
        Ok(Payload::Ipv4(offset)) => {
            return match packet::plain_ipv4(frame, offset) {
                Some(packet) => judge_plain(frame, packet, policy, state),
                None => odd(OddPacket::V4(offset)),
            };
        }
        Ok(Payload::Ipv6(offset)) => {
            return match packet::plain_ipv6(frame, offset) {
                Some(packet) => judge_plain(frame, packet, policy, state),
                None => odd(OddPacket::V6(offset)),
            };
        }
        Ok(Payload::Arp) => Reason::Arp,
        Ok(Payload::LinkControl) if knobs.has(flags::LINK_CONTROL) => Reason::LinkControl,
        Ok(Payload::LinkControl | Payload::Other) => unless_out_of_scope(knobs, Reason::Ethertype),
        Err(reason) => reason,
    };
    Verdict::of(reason)
}

/// Judges a plain packet: by code for UDP, or by code for TCP.
#[inline(always)]
#[expect(clippy::match_same_arms, reason = "in each the compiler knows the protocol")]
fn judge_plain<F: Frame + ?Sized, P: Policy, S: State>(
    frame: &F,
    packet: PlainPacket,
    policy: &P,
    state: &S,
) -> Verdict {
    match packet {
        PlainPacket::Udp(packet) => judge(frame, &packet, policy, state),
        PlainPacket::Tcp(packet) => judge(frame, &packet, policy, state),
    }
}

/// Judges an IP packet.
#[inline(always)]
pub fn judge<F: Frame + ?Sized, P: Policy, S: State>(frame: &F, packet: &Packet, policy: &P, state: &S) -> Verdict {
    let knobs = policy.knobs();
    if let Some(reason) = before_rules(packet, policy, state) {
        return Verdict::of(reason);
    }
    if matches!(packet.transport, Transport::Absent) && knobs.has(flags::FRAGMENTS_TRACKED) {
        return tracked_fragment(packet, state);
    }
    let verdict = by_rules(frame, packet, policy, state);
    if packet.fragment.is_first() && knobs.has(flags::FRAGMENTS_TRACKED) {
        return first_fragment(packet, verdict, state);
    }
    verdict
}

/// The stages that need no rule, in their order.
#[inline(always)]
fn before_rules<P: Policy, S: State>(packet: &Packet, policy: &P, state: &S) -> Option<Reason> {
    let knobs = policy.knobs();
    if !P::IS_QUIET
        && let Some(reason) = martian(packet, policy)
    {
        return Some(reason);
    }
    if let Some(reason) = link_essential(packet, knobs) {
        return Some(reason);
    }
    if policy.is_denied(packet.source) {
        return Some(rare(Reason::Denied));
    }
    if let Some(reason) = fixed_icmp(packet, knobs) {
        return Some(limit::icmp(packet, &policy.tables().settings, state, reason));
    }
    destination(packet, policy)
}

/// What the rules say, then what was allowed meanwhile and return traffic.
#[inline(always)]
fn by_rules<F: Frame + ?Sized, P: Policy, S: State>(frame: &F, packet: &Packet, policy: &P, state: &S) -> Verdict {
    let tables = policy.tables();
    let refused = match by_source(frame, packet, policy, state) {
        Ok(verdict) => return verdict,
        Err(reason) => reason,
    };
    let rule = match policy.live_allow(packet.source, live_query(packet)) {
        Allowance::Rule(rule) => Some(rule),
        Allowance::Several => None,
        Allowance::None if answer::is_answer(packet, policy, state) => return Verdict::of(Reason::ReturnTraffic),
        Allowance::None => return Verdict::of(refused),
    };
    if let Some(reason) = limit::opening(packet, tables, state) {
        return Verdict::of(reason);
    }
    let fragment = matches!(packet.transport, Transport::Absent);
    let verdict = Verdict::of(if fragment { Reason::FragmentListed } else { Reason::Listed });
    rule.map_or(verdict, |rule| verdict.by_rule(rule))
}

/// Classification, then what holds for what is allowed; or why the rules allow nothing.
#[inline(always)]
fn by_source<F: Frame + ?Sized, P: Policy, S: State>(
    frame: &F,
    packet: &Packet,
    policy: &P,
    state: &S,
) -> Result<Verdict, Reason> {
    let tables = policy.tables();
    let fragment = matches!(packet.transport, Transport::Absent);
    if fragment && policy.knobs().has(flags::FRAGMENTS_DROP) {
        return Ok(Verdict::of(Reason::FragmentRefused));
    }
    let set = policy.source_set(packet.source);
    if set == 0 {
        return unlisted::<P>(packet);
    }
    if fragment {
        return classify::later_fragment(packet, tables, set);
    }
    let term = classify::term(packet, tables, set)?;
    Ok(match limit::listed(packet, tables, state, term) {
        Some(reason) => Verdict::of(reason),
        None => inspect::listed(frame, packet, policy, term),
    })
}

/// The reason why a quiet policy drops what is unlisted, as its index, by the first octet of its IPv4 source. One in eight of
/// those that a flood makes up is a martian: which one, a processor could not foretell.
static UNLISTED_V4: [u8; 256] = {
    let mut reasons = [Reason::SourceUnlisted as u8; 256];
    let mut octet: u8 = u8::MAX;
    loop {
        if Address::V4(u32::from_be_bytes([octet, 0, 0, 0])).is_martian_source() {
            reasons[octet as usize] = Reason::MartianSource as u8;
        }
        if octet == 0 {
            break reasons;
        }
        octet -= 1;
    }
};

/// What becomes of a packet from an unlisted source.
#[inline(always)]
fn unlisted<P: Policy>(packet: &Packet) -> Result<Verdict, Reason> {
    match packet.source {
        Address::V4(address) if P::IS_QUIET => Ok(Verdict::of_index(*entry(&UNLISTED_V4, address >> 24))),
        source if P::IS_QUIET && source.is_martian_source() => Err(rare(Reason::MartianSource)),
        _ => Err(classify::unlisted(packet)),
    }
}

/// What the live allows are asked about a packet. As for an own allow of the policy, every segment of TCP is alike.
#[inline(always)]
const fn live_query(packet: &Packet) -> LiveQuery {
    match packet.transport {
        Transport::Tcp { destination, .. } | Transport::Udp { destination, .. } => {
            LiveQuery::port(packet.protocol, destination.number())
        }
        Transport::Absent if classify::is_of_any_protocol(packet) => LiveQuery::ANY_FRAGMENT,
        Transport::Absent => LiveQuery::fragment(packet.protocol),
        _ => LiveQuery::port(packet.protocol, 0),
    }
}

/// A later fragment passes if its first one did, and does not rewrite it.
#[inline(always)]
fn tracked_fragment<S: State>(packet: &Packet, state: &S) -> Verdict {
    let Some(first) = state.first_fragment(&datagram(packet)) else {
        return Verdict::of(Reason::FragmentEarly);
    };
    if packet.fragment.offset() < first.length {
        return Verdict::of(Reason::FragmentOverlap);
    }
    let verdict = Verdict::of(Reason::FragmentTracked);
    first.rule().map_or(verdict, |rule| verdict.by_rule(rule))
}

/// A first fragment that passes is remembered; a second one would rewrite it.
#[inline(always)]
fn first_fragment<S: State>(packet: &Packet, verdict: Verdict, state: &S) -> Verdict {
    if !verdict.is(Reason::Listed) && !verdict.is(Reason::ReturnTraffic) {
        return verdict;
    }
    let datagram = datagram(packet);
    if state.first_fragment(&datagram).is_some() {
        return Verdict::of(Reason::FragmentOverlap);
    }
    state.remember_fragment(&datagram, FirstFragment::new(packet.fragment_length, verdict.rule()));
    verdict
}

#[inline(always)]
const fn datagram(packet: &Packet) -> Datagram {
    // RFC 8200, section 4.5: fragments of one IPv6 packet need not agree in their next header.
    let protocol = match packet.source {
        Address::V4(_) => packet.protocol as u32,
        Address::V6(_) => 0,
    };
    Datagram {
        source: packet.source.words(),
        destination: packet.destination.words(),
        identification: packet.identification,
        protocol,
    }
}

/// What a packet that is not judged under `scope = "ports"` passes with, else `reason`.
#[inline(always)]
const fn unless_out_of_scope(knobs: Knobs, reason: Reason) -> Reason {
    if knobs.has(flags::SCOPE_PORTS) { Reason::OutOfScope } else { reason }
}

/// A reason that few packets have.
#[inline(always)]
fn rare(reason: Reason) -> Reason {
    cold_path();
    apart();
    reason
}

/// Sources that no packet may have.
#[inline(always)]
fn martian<P: Policy>(packet: &Packet, policy: &P) -> Option<Reason> {
    if packet.source.is_martian_source() && !icmp::may_be_unspecified(packet) {
        return Some(rare(Reason::MartianSource));
    }
    is_own(packet.source, policy).then(|| rare(Reason::OwnSource))
}

/// Whether `address` is one of the SBC's own; never, where none are set.
#[inline(always)]
fn is_own<P: Policy>(address: Address, policy: &P) -> bool {
    policy.knobs().has(flags::ADDRESSES) && policy.tables().settings.addresses.contains(address)
}

/// What the link itself needs, which not even the deny list cuts off.
#[inline(always)]
fn link_essential(packet: &Packet, knobs: Knobs) -> Option<Reason> {
    match icmp::message(packet) {
        // RFC 4861, section 6.1.1 ff.: any other hop limit has crossed a router.
        Some(Message::NeighborDiscovery) if packet.hop_limit == 255 => return Some(Reason::NeighborDiscovery),
        Some(Message::MulticastListener) => return Some(Reason::MulticastListener),
        _ => {}
    }
    match packet.transport {
        Transport::Tcp { .. } => None,
        Transport::Udp { source, destination } => {
            if knobs.has(flags::DHCP) && is_dhcp(packet.source, source, destination) {
                return Some(rare(Reason::Dhcp));
            }
            (knobs.has(flags::BFD) && is_bfd(destination)).then(|| rare(Reason::Bfd))
        }
        _ => match packet.protocol {
            ip::VRRP if knobs.has(flags::VRRP) => Some(Reason::Vrrp),
            ip::OSPF if knobs.has(flags::OSPF) => Some(Reason::Ospf),
            _ => None,
        },
    }
}

/// Whether these are the ports of what a DHCP server sends to its clients (RFC 2131, section 4.1; RFC 8415, section 7.2).
#[inline(always)]
const fn is_dhcp(from: Address, source: Port, destination: Port) -> bool {
    match from {
        Address::V4(_) => source.is(67) && destination.is(68),
        Address::V6(_) => source.is(547) && destination.is(546),
    }
}

/// Whether this is a port of BFD (RFC 5881, section 4; RFC 5883, section 5).
#[inline(always)]
const fn is_bfd(destination: Port) -> bool {
    destination.is(3784) || destination.is(3785) || destination.is(4784)
}

/// ICMP messages whose fate no rule changes.
#[inline(always)]
const fn fixed_icmp(packet: &Packet, knobs: Knobs) -> Option<Reason> {
    let Some(message) = icmp::message(packet) else {
        return None;
    };
    match message {
        Message::Error => Some(Reason::IcmpError),
        Message::EchoRequest if knobs.has(flags::PING) && !packet.destination.is_multicast_or_broadcast() => {
            Some(Reason::Ping)
        }
        Message::NeighborDiscovery => Some(unless_out_of_scope(knobs, Reason::NeighborDiscoveryHopLimit)),
        Message::Redirect => Some(unless_out_of_scope(knobs, Reason::Redirect)),
        Message::SourceQuench => Some(unless_out_of_scope(knobs, Reason::SourceQuench)),
        Message::EchoRequest | Message::EchoReply | Message::MulticastListener | Message::Other => None,
    }
}

/// Where the packet goes, and whether the scope takes it in.
#[inline(always)]
fn destination<P: Policy>(packet: &Packet, policy: &P) -> Option<Reason> {
    let multicast = packet.destination.is_multicast_or_broadcast();
    if policy.knobs().has(flags::SCOPE_PORTS) {
        let judged = !multicast && !is_foreign(packet.destination, policy) && is_own_port(packet, policy.tables());
        return if judged { None } else { Some(rare(Reason::OutOfScope)) };
    }
    if multicast {
        // Of a quiet policy it was not asked before.
        let martian = P::IS_QUIET && packet.source.is_martian_source();
        return Some(rare(if martian { Reason::MartianSource } else { Reason::DestinationMulticast }));
    }
    is_foreign(packet.destination, policy).then(|| rare(Reason::DestinationForeign))
}

/// Whether `address` is none of the SBC's own; never, where none are set.
#[inline(always)]
fn is_foreign<P: Policy>(address: Address, policy: &P) -> bool {
    policy.knobs().has(flags::ADDRESSES) && !policy.tables().settings.addresses.contains(address)
}

/// Whether the packet goes to one of the SBC's own SIP or media ports.
#[inline(always)]
fn is_own_port(packet: &Packet, tables: &Tables) -> bool {
    match packet.transport {
        Transport::Udp { destination, .. } => tables.ports[Tables::UDP].owns(destination.number()),
        Transport::Tcp { destination, .. } => tables.ports[Tables::TCP].owns(destination.number()),
        _ => false,
    }
}

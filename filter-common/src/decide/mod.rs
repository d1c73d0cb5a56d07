//! The decision: from a frame and a policy to a verdict.
//!
//! The order is that of the stages below, each a function. The first that settles the packet ends it.

mod classify;
mod icmp;

use self::{
    classify::{Ports, TCP, UDP},
    icmp::Message,
};
use crate::{
    Address, Reason, Verdict,
    packet::{self, Content, Frame, Packet, Transport, ip},
    tables::{Settings, Tables, flags},
};

/// A policy that packets can be judged by, wherever its tables are.
pub trait Policy {
    /// Everything but the tries.
    fn tables(&self) -> &Tables;

    /// The value of the longest prefix of the source trie that covers `source`:
    /// an index of [`Tables::source_sets`], 0 if there is none.
    fn source_set(&self, source: Address) -> u32;

    /// Whether the deny list covers `source`.
    fn is_denied(&self, source: Address) -> bool;
}

/// Judges a frame as it arrived on the wire.
#[inline(always)]
pub fn decide<F: Frame + ?Sized, P: Policy>(frame: &F, policy: &P) -> Verdict {
    let tables = policy.tables();
    let settings = &tables.settings;
    let packet = match packet::parse(frame) {
        Ok(Content::Ip(packet)) => packet,
        Ok(Content::Arp) => return Verdict::of(Reason::Arp),
        Ok(Content::LinkControl) if settings.has(flags::LINK_CONTROL) => return Verdict::of(Reason::LinkControl),
        Ok(Content::LinkControl | Content::OtherEthertype) => {
            return Verdict::of(unless_out_of_scope(settings, Reason::Ethertype));
        }
        Err(reason) => return Verdict::of(reason),
    };
    if let Some(reason) = before_rules(&packet, policy, settings) {
        return Verdict::of(reason);
    }
    let source_set = policy.source_set(packet.source) as usize % tables.source_sets.len();
    let source = &tables.source_sets[source_set];
    match packet.transport {
        Transport::Absent => classify::later_fragment(&packet, tables, source),
        Transport::Tcp { source: from, destination: to, opening } => {
            classify::ports(&Ports { protocol: TCP, source: from, destination: to, opening }, tables, source)
        }
        Transport::Udp { source: from, destination: to } => {
            classify::ports(&Ports { protocol: UDP, source: from, destination: to, opening: false }, tables, source)
        }
        Transport::Icmp { .. } | Transport::Other => classify::other_protocol(&packet, tables, source),
    }
}

/// The stages that need no rule, in their order.
#[inline(always)]
fn before_rules<P: Policy>(packet: &Packet, policy: &P, settings: &Settings) -> Option<Reason> {
    if let Some(reason) = martian(packet, settings) {
        return Some(reason);
    }
    if let Some(reason) = link_essential(packet, settings) {
        return Some(reason);
    }
    if policy.is_denied(packet.source) {
        return Some(Reason::Denied);
    }
    if let Some(reason) = fixed_icmp(packet, settings) {
        return Some(reason);
    }
    destination(packet, policy.tables())
}

/// What a packet that is not judged under `scope = "ports"` passes with, else `reason`.
#[inline(always)]
const fn unless_out_of_scope(settings: &Settings, reason: Reason) -> Reason {
    if settings.has(flags::SCOPE_PORTS) { Reason::OutOfScope } else { reason }
}

/// Sources that no packet may have.
#[inline(always)]
fn martian(packet: &Packet, settings: &Settings) -> Option<Reason> {
    if packet.source.is_martian_source() && !icmp::may_be_unspecified(packet) {
        return Some(Reason::MartianSource);
    }
    is_own(packet.source, settings).then_some(Reason::OwnSource)
}

/// Whether `address` is one of the SBC's own; never, where none are set.
#[inline(always)]
fn is_own(address: Address, settings: &Settings) -> bool {
    let words = address.words();
    let mut index = 0;
    while index < settings.addresses.0.len() && index < settings.address_count as usize {
        let [high, low] = settings.addresses.0[index];
        if high == words[0] && low == words[1] {
            return true;
        }
        index += 1;
    }
    false
}

/// What the link itself needs, which not even the deny list cuts off.
#[inline(always)]
fn link_essential(packet: &Packet, settings: &Settings) -> Option<Reason> {
    match icmp::message(packet) {
        // RFC 4861, section 6.1.1 ff.: any other hop limit has crossed a router.
        Some(Message::NeighborDiscovery) if packet.hop_limit == 255 => return Some(Reason::NeighborDiscovery),
        Some(Message::MulticastListener) => return Some(Reason::MulticastListener),
        _ => {}
    }
    match (packet.protocol, packet.transport) {
        (ip::VRRP, _) if settings.has(flags::VRRP) => Some(Reason::Vrrp),
        (ip::OSPF, _) if settings.has(flags::OSPF) => Some(Reason::Ospf),
        (_, Transport::Udp { source, destination }) => match (packet.source, source, destination) {
            // RFC 2131, section 4.1; RFC 8415, section 7.2.
            (Address::V4(_), 67, 68) | (Address::V6(_), 547, 546) if settings.has(flags::DHCP) => Some(Reason::Dhcp),
            // RFC 5881, section 4; RFC 5883, section 5.
            (_, _, 3784 | 3785 | 4784) if settings.has(flags::BFD) => Some(Reason::Bfd),
            _ => None,
        },
        _ => None,
    }
}

/// ICMP messages whose fate no rule changes.
#[inline(always)]
const fn fixed_icmp(packet: &Packet, settings: &Settings) -> Option<Reason> {
    let Some(message) = icmp::message(packet) else {
        return None;
    };
    match message {
        Message::Error => Some(Reason::IcmpError),
        Message::EchoRequest if settings.has(flags::PING) && !packet.destination.is_multicast_or_broadcast() => {
            Some(Reason::Ping)
        }
        Message::NeighborDiscovery => Some(unless_out_of_scope(settings, Reason::NeighborDiscoveryHopLimit)),
        Message::Redirect => Some(unless_out_of_scope(settings, Reason::Redirect)),
        Message::SourceQuench => Some(unless_out_of_scope(settings, Reason::SourceQuench)),
        Message::EchoRequest | Message::EchoReply | Message::MulticastListener | Message::Other => None,
    }
}

/// Where the packet goes, and whether the scope takes it in.
#[inline(always)]
fn destination(packet: &Packet, tables: &Tables) -> Option<Reason> {
    let settings = &tables.settings;
    let foreign = settings.address_count > 0 && !is_own(packet.destination, settings);
    let multicast = packet.destination.is_multicast_or_broadcast();
    if settings.has(flags::SCOPE_PORTS) {
        let judged = !foreign && !multicast && is_own_port(packet, tables);
        return if judged { None } else { Some(Reason::OutOfScope) };
    }
    if multicast {
        return Some(Reason::DestinationMulticast);
    }
    foreign.then_some(Reason::DestinationForeign)
}

/// Whether the packet goes to one of the SBC's own SIP or media ports.
#[inline(always)]
const fn is_own_port(packet: &Packet, tables: &Tables) -> bool {
    let (protocol, port) = match packet.transport {
        Transport::Udp { destination, .. } => (UDP, destination),
        Transport::Tcp { destination, .. } => (TCP, destination),
        _ => return false,
    };
    tables.ports[protocol].own[port as usize / 64] >> (port % 64) & 1 == 1
}

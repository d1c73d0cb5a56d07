//! A second opinion: the verdict as the documentation words it, by plain loops over the policy as it was written.
//!
//! It shares nothing with the decision that it checks: frames are read by `etherparse`, prefixes compared by `ipnet`,
//! and rules are neither compiled nor indexed. Slow and obvious on purpose. Where the two differ, one of them is wrong
//! or the documentation does not say.
//!
//! A frame with several faults has the first one's reason, from the outside in; within a header in this order:
//! too short, out of place, with a field that lies, with content that no sender makes.

mod extensions;
mod link;
mod memory;
mod network;
mod ports;
mod rows;
mod rules;
mod terms;
mod transport;

use std::net::IpAddr;

use filter_common::{Action, Reason};
use filter_user::policy::{
    Policy,
    file::{CLASSES, Fragments, Inspection, Inspections},
};
use ipnet::IpNet;

use self::{
    link::Seen,
    memory::{Limit, Limits},
    network::{Datagram, Piece},
    rules::Rules,
    transport::Transport,
};
pub use self::{
    memory::Memory,
    ports::Ports,
    terms::{Term, Traffic},
};

/// A reason, and the name of the rule that the packet owes it to.
pub type Fate<'p> = (Reason, Option<&'p str>);

/// Judges frames by a policy.
pub struct Oracle {
    rules: Rules,
    own: Vec<IpAddr>,
    denied: Vec<IpNet>,
    martian: Vec<IpNet>,
    multicast: Vec<IpNet>,
    scope_ports: bool,
    fragments: Fragments,
    return_traffic: bool,
    limits: Limits,
    inspect: Inspections,
    /// The places of the providers whose media is not inspected.
    t38: Vec<usize>,
    /// The names of the classes that pass.
    passing: Vec<&'static str>,
}

impl Oracle {
    /// Judges by this policy, which must be one that compiles.
    pub fn new(policy: &Policy) -> Self {
        let file = policy.file();
        let passing = CLASSES.iter().filter(|(_, flag)| file.classes & flag != 0);
        Self {
            rules: Rules::new(policy),
            own: file.sbc.addresses.clone(),
            denied: file.denies.iter().flat_map(|deny| &deny.from).map(|(prefix, _)| *prefix).collect(),
            martian: prefixes(&[
                "0.0.0.0/8",
                "127.0.0.0/8",
                "224.0.0.0/4",
                "240.0.0.0/4",
                "::/128",
                "::1/128",
                "ff00::/8",
            ]),
            multicast: prefixes(&["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]),
            scope_ports: file.sbc.scope_ports,
            fragments: file.sbc.fragments,
            return_traffic: file.sbc.return_traffic,
            limits: Limits::new(&file.limits),
            inspect: file.inspect,
            t38: (0..file.providers.len()).filter(|place| file.providers[*place].t38).collect(),
            passing: passing.map(|(name, _)| *name).collect(),
        }
    }

    /// What becomes of the frame, if nothing came before it.
    pub fn judge(&self, frame: &[u8]) -> Fate<'_> {
        let (reason, rule) = self.judge_next(frame, &mut Memory::default());
        // A rule that was remembered is one of this policy's.
        (reason, rule.map(|rule| self.rule(&rule)))
    }

    /// What becomes of the frame after all that is remembered.
    pub fn judge_next(&self, frame: &[u8], memory: &mut Memory) -> (Reason, Option<String>) {
        let (reason, rule) = match link::read(frame) {
            Err(reason) => (reason, None),
            Ok(Seen::Arp) => (Reason::Arp, None),
            Ok(Seen::LinkControl) if self.passes("link_control") => (Reason::LinkControl, None),
            Ok(Seen::LinkControl | Seen::OtherEthertype) if self.scope_ports => (Reason::OutOfScope, None),
            Ok(Seen::LinkControl | Seen::OtherEthertype) => (Reason::Ethertype, None),
            Ok(Seen::Ip(datagram)) => return self.judge_datagram(&datagram, memory),
        };
        (reason, rule)
    }

    /// Lets the memory see a frame that the host sends.
    pub fn note_sent(&self, frame: &[u8], memory: &mut Memory) {
        let Ok(Seen::Ip(datagram)) = link::read(frame) else { return };
        let own = match datagram.transport {
            Transport::Udp((from, _)) => self.rules.is_own_port(Transport::Udp((0, from))),
            Transport::Tcp((from, _), _) => self.rules.is_own_port(Transport::Tcp((0, from), false)),
            _ => false,
        };
        if self.return_traffic && !own && !covers(&self.multicast, datagram.destination) {
            memory.note_sent(&datagram);
        }
    }

    fn rule(&self, name: &str) -> &str {
        let mut terms = self.rules.terms().iter();
        terms.find(|term| term.rule == name).map_or("", |term| term.rule.as_str())
    }

    /// What lets packets in, in the order in which it names them.
    pub fn terms(&self) -> &[Term] {
        self.rules.terms()
    }

    /// The prefixes of the deny list and of every always-deny list.
    pub fn denied(&self) -> impl Iterator<Item = IpNet> {
        self.denied.iter().copied().chain(self.rules.denied())
    }

    /// The SBC's own addresses.
    pub fn own(&self) -> &[IpAddr] {
        &self.own
    }

    /// The order of the verdict, stage by stage.
    fn judge_datagram(&self, datagram: &Datagram, memory: &mut Memory) -> (Reason, Option<String>) {
        let settled = self
            .martian(datagram)
            .or_else(|| self.link_essential(datagram))
            .or_else(|| covers(&self.denied, datagram.source).then_some(Reason::Denied))
            .or_else(|| self.icmp(datagram).map(|reason| self.limit_icmp(datagram, reason, memory)))
            .or_else(|| self.destination(datagram));
        match (settled, self.fragments) {
            (Some(reason), _) => (reason, None),
            (None, Fragments::Drop) if datagram.transport == Transport::Absent => (Reason::FragmentRefused, None),
            (None, Fragments::Tracked) if datagram.transport == Transport::Absent => memory.later_fragment(datagram),
            (None, Fragments::Tracked) if datagram.piece == Piece::First => {
                let fate = self.by_rules(datagram, memory);
                if fate.0.action() == Action::Pass { memory.first_fragment(datagram, fate) } else { fate }
            }
            (None, _) => self.by_rules(datagram, memory),
        }
    }

    /// The rules, what holds for what they let in, and what is let in without one.
    fn by_rules(&self, datagram: &Datagram, memory: &mut Memory) -> (Reason, Option<String>) {
        let ((reason, rule), term) = self.rules.judge(datagram);
        let fate = (reason, rule.map(str::to_owned));
        let Some(term) = term else {
            let answers = self.return_traffic && reason.action() == Action::Drop && memory.is_answer(datagram);
            return if answers { (Reason::ReturnTraffic, None) } else { fate };
        };
        let of_service = |service: &str| term.provider.is_some() && term.rule.ends_with(service);
        let (sip, media) = (of_service("/sip-udp"), of_service("/media"));
        let limited = match datagram.transport {
            Transport::Udp(_) if sip => Some((Limit::Sip, Reason::RateLimitSip)),
            Transport::Tcp(_, true) => Some((Limit::Tcp, Reason::RateLimitTcp)),
            _ => None,
        };
        if let Some((limit, reason)) = limited
            && memory.exceeds(&self.limits, limit, datagram.source)
        {
            return (reason, None);
        }
        let media = media && !term.provider.is_some_and(|place| self.t38.contains(&place));
        match (datagram.transport, datagram.first_octet()) {
            (Transport::Udp(_), Some(first))
                if self.inspect.sip == Inspection::Enforce && sip && !may_be_sip(first) =>
            {
                (Reason::InspectSip, None)
            }
            (Transport::Udp(_), Some(first))
                if self.inspect.media == Inspection::Enforce && media && !may_be_media(first) =>
            {
                (Reason::InspectMedia, None)
            }
            _ => fate,
        }
    }

    /// ICMP errors and echo requests are limited.
    fn limit_icmp(&self, datagram: &Datagram, reason: Reason, memory: &mut Memory) -> Reason {
        let limited = matches!(reason, Reason::IcmpError | Reason::Ping);
        let exceeds = limited && memory.exceeds(&self.limits, Limit::Icmp, datagram.source);
        if exceeds { Reason::RateLimitIcmp } else { reason }
    }

    fn martian(&self, datagram: &Datagram) -> Option<Reason> {
        if covers(&self.martian, datagram.source) && !datagram.is_sent_before_an_address() {
            return Some(Reason::MartianSource);
        }
        self.own.contains(&datagram.source).then_some(Reason::OwnSource)
    }

    fn link_essential(&self, datagram: &Datagram) -> Option<Reason> {
        let dhcp_ports = if datagram.source.is_ipv4() { (67, 68) } else { (547, 546) };
        match (datagram.protocol, &datagram.transport) {
            (_, Transport::Icmpv6(133..=136)) if datagram.hop_limit == 255 => Some(Reason::NeighborDiscovery),
            (_, Transport::Icmpv6(130..=132 | 143)) => Some(Reason::MulticastListener),
            (112, _) if self.passes("vrrp") => Some(Reason::Vrrp),
            (89, _) if self.passes("ospf") => Some(Reason::Ospf),
            (_, Transport::Udp(ports)) if self.passes("dhcp") && *ports == dhcp_ports => Some(Reason::Dhcp),
            (_, Transport::Udp((_, 3784 | 3785 | 4784))) if self.passes("bfd") => Some(Reason::Bfd),
            _ => None,
        }
    }

    /// ICMP whose fate no rule changes; in `scope = "ports"` all that is left of it passes.
    fn icmp(&self, datagram: &Datagram) -> Option<Reason> {
        let unicast = !covers(&self.multicast, datagram.destination);
        let refused = match datagram.transport {
            Transport::Icmpv4(3 | 11 | 12) | Transport::Icmpv6(1..=4) => return Some(Reason::IcmpError),
            Transport::Icmpv4(8) | Transport::Icmpv6(128) if self.passes("ping") && unicast => {
                return Some(Reason::Ping);
            }
            Transport::Icmpv4(4) => Reason::SourceQuench,
            Transport::Icmpv4(5) | Transport::Icmpv6(137) => Reason::Redirect,
            Transport::Icmpv6(133..=136) => Reason::NeighborDiscoveryHopLimit,
            _ => return None,
        };
        Some(if self.scope_ports { Reason::OutOfScope } else { refused })
    }

    fn destination(&self, datagram: &Datagram) -> Option<Reason> {
        let multicast = covers(&self.multicast, datagram.destination);
        let foreign = !self.own.is_empty() && !self.own.contains(&datagram.destination);
        if self.scope_ports {
            let judged = !multicast && !foreign && self.rules.is_own_port(datagram.transport);
            return (!judged).then_some(Reason::OutOfScope);
        }
        match (multicast, foreign) {
            (true, _) => Some(Reason::DestinationMulticast),
            (false, true) => Some(Reason::DestinationForeign),
            (false, false) => None,
        }
    }

    fn passes(&self, class: &str) -> bool {
        self.passing.contains(&class)
    }
}

/// What SIP over UDP begins with: a method or `SIP/2.0` (a `token` of RFC 3261, section 25.1), a keep-alive, STUN.
fn may_be_sip(first: u8) -> bool {
    first.is_ascii_alphanumeric() || b"-.!%*_+`'~\r\n".contains(&first) || first <= 3
}

/// RFC 7983, section 7: STUN, ZRTP, DTLS, TURN channels, RTP and RTCP.
fn may_be_media(first: u8) -> bool {
    [0..=3, 16..=19, 20..=63, 64..=79, 128..=191].iter().any(|range| range.contains(&first))
}

fn covers(prefixes: &[IpNet], address: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.contains(&address))
}

fn prefixes(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a prefix")).collect()
}

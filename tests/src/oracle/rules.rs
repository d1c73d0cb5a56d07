//! Which rule lets a packet in, and what is wrong with a packet that none does.

use filter_common::Reason;
use filter_user::policy::Policy;
use ipnet::IpNet;

use super::{
    Fate, Ports,
    network::Datagram,
    rows,
    terms::{Term, Terms, Traffic},
    transport::Transport,
};

/// The rules of a policy.
pub(super) struct Rules {
    terms: Vec<Term>,
    /// The always-deny lists: the provider's place in the policy, and a prefix.
    denied: Vec<(usize, IpNet)>,
    /// The SBC's own SIP and media ports of UDP and TCP.
    own_udp: Ports,
    own_tcp: Ports,
}

impl Rules {
    pub(super) fn new(policy: &Policy) -> Self {
        let mut denied = Vec::new();
        for (place, (provider, allowlist)) in policy.providers().enumerate() {
            let listed = allowlist.iter().flat_map(|allowlist| &allowlist.denied).copied();
            let trunk = provider.trunk.iter().flat_map(|trunk| &trunk.always_deny).map(|prefix| prefix.value);
            denied.extend(listed.chain(trunk).map(|prefix| (place, prefix)));
        }
        Self {
            terms: Terms::new(policy).0,
            denied,
            own_udp: rows::service_ports(policy.file(), true),
            own_tcp: rows::service_ports(policy.file(), false),
        }
    }

    pub(super) fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The always-deny lists' prefixes.
    pub(super) fn denied(&self) -> impl Iterator<Item = IpNet> {
        self.denied.iter().map(|(_, prefix)| *prefix)
    }

    /// Whether the packet goes to one of the SBC's own SIP or media ports, each of its own protocol.
    pub(super) fn is_own_port(&self, transport: Transport) -> bool {
        match transport {
            Transport::Udp((_, destination)) => self.own_udp.contains(destination),
            Transport::Tcp((_, destination), _) => self.own_tcp.contains(destination),
            _ => false,
        }
    }

    /// Judges a packet by the rules alone; says the term that lets it in, too.
    pub(super) fn judge(&self, packet: &Datagram) -> (Fate<'_>, Option<&Term>) {
        let naming = self.terms.iter().filter(|term| term.sources.iter().any(|prefix| prefix.contains(&packet.source)));
        let (denied, left): (Vec<&Term>, Vec<&Term>) = naming.partition(|term| self.denies(term, packet));
        let of_protocol =
            left.iter().copied().filter(|term| term.traffic.protocol == packet.protocol).collect::<Vec<_>>();
        let outcome = match packet.transport {
            Transport::Absent => return (later_fragment(packet, &left, &of_protocol), None),
            Transport::Tcp(ports, opening) => by_ports(&of_protocol, ports, opening),
            Transport::Udp(ports) => by_ports(&of_protocol, ports, false),
            _ => of_protocol.first().copied().ok_or_else(|| without_ports(packet.transport)),
        };
        let reason = match outcome {
            Ok(term) => return ((Reason::Listed, Some(&term.rule)), Some(term)),
            Err(echo @ (Reason::EchoRequest | Reason::EchoReply)) => echo,
            Err(_) if left.is_empty() && denied.is_empty() => Reason::SourceUnlisted,
            Err(_) if left.is_empty() => Reason::ProviderDenied,
            Err(reason) => reason,
        };
        ((reason, None), None)
    }

    /// Whether an always-deny list takes the term away from the packet's source.
    fn denies(&self, term: &Term, packet: &Datagram) -> bool {
        let mut denied = self.denied.iter().filter(|(place, _)| Some(*place) == term.provider);
        denied.any(|(_, prefix)| prefix.contains(&packet.source))
    }
}

/// The first term that lets the ports in, or what would have to be otherwise.
fn by_ports<'t>(terms: &[&'t Term], (source, destination): (u16, u16), opening: bool) -> Result<&'t Term, Reason> {
    let find = |source, opening| terms.iter().find(|term| lets_in(&term.traffic, source, destination, opening));
    if let Some(term) = find(Some(source), opening) {
        return Ok(term);
    }
    Err(if find(Some(source), false).is_some() {
        Reason::OpeningSegment
    } else if find(None, opening).is_some() {
        Reason::SourcePort
    } else {
        Reason::PortClosed
    })
}

/// Whether the traffic lets in packets from this port, or from some port, to `destination`.
fn lets_in(traffic: &Traffic, source: Option<u16>, destination: u16, opening: bool) -> bool {
    let Some((from, to)) = &traffic.ports else {
        return false;
    };
    source.is_none_or(|port| from.contains(port)) && to.contains(destination) && (traffic.opening || !opening)
}

/// Why a packet of a protocol without ports is dropped.
const fn without_ports(transport: Transport) -> Reason {
    match transport {
        Transport::Icmpv4(8) | Transport::Icmpv6(128) => Reason::EchoRequest,
        Transport::Icmpv4(0) | Transport::Icmpv6(129) => Reason::EchoReply,
        _ => Reason::ProtocolUnlisted,
    }
}

/// A later fragment passes where any term of its protocol names its source, in IPv6 any term at all unless it says
/// that TCP or UDP follows. It has the rule of its term, or none where several could be.
fn later_fragment<'t>(packet: &Datagram, left: &[&'t Term], of_protocol: &[&'t Term]) -> Fate<'t> {
    let any = packet.source.is_ipv6() && !matches!(packet.protocol, 6 | 17);
    match if any { left } else { of_protocol } {
        [] => (Reason::FragmentUnlisted, None),
        [term] => (Reason::FragmentListed, Some(&term.rule)),
        _ => (Reason::FragmentListed, None),
    }
}

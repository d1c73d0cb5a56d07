//! Classification: which term allows the packet.

use super::icmp::{self, Message};
use crate::{
    Address, Reason, Verdict,
    packet::{Packet, ip},
    tables::{SourceSet, Tables, TermSet, flags},
};

/// Index of UDP in [`Tables::ports`].
pub(super) const UDP: usize = 0;
/// Index of TCP in [`Tables::ports`].
pub(super) const TCP: usize = 1;

/// The fields of a TCP or UDP header that rules look at.
pub(super) struct Ports {
    /// Index of [`Tables::ports`].
    pub(super) protocol: usize,
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) opening: bool,
}

/// Which term allows the packet, by the intersection of what each field allows.
#[inline(always)]
pub(super) fn ports(packet: &Ports, tables: &Tables, source: &SourceSet) -> Verdict {
    if source.terms.is_empty() {
        return Verdict::of(without_terms(source));
    }
    let ports = &tables.ports[packet.protocol];
    let to = source.terms & port_set(tables, ports.destination[packet.destination as usize]);
    let from = port_set(tables, ports.source[packet.source as usize]);
    let allowed = if packet.opening { to & from & tables.opening } else { to & from };
    if let Some(term) = allowed.lowest() {
        return listed(tables, term);
    }
    Verdict::of(if packet.opening && !(to & from).is_empty() {
        Reason::OpeningSegment
    } else if packet.opening && (to & tables.opening).is_empty() || to.is_empty() {
        Reason::PortClosed
    } else {
        Reason::SourcePort
    })
}

/// The terms that a port class stands for.
#[inline(always)]
fn port_set(tables: &Tables, class: u16) -> TermSet {
    tables.port_sets[class as usize % tables.port_sets.len()]
}

/// Why a source without terms is dropped.
#[inline(always)]
const fn without_terms(source: &SourceSet) -> Reason {
    if source.provider_denied == 0 { Reason::SourceUnlisted } else { Reason::ProviderDenied }
}

/// The verdict of a packet that `term` allows.
#[inline(always)]
const fn listed(tables: &Tables, term: u32) -> Verdict {
    Verdict { reason: Reason::Listed, rule: Some(tables.term_rules[term as usize]) }
}

/// A later fragment has no ports: the source and the protocol alone judge it.
///
/// Alone it completes nothing, for its first fragment was judged in full.
#[inline(always)]
pub(super) fn later_fragment(packet: &Packet, tables: &Tables, source: &SourceSet) -> Verdict {
    if tables.settings.has(flags::FRAGMENTS_DROP) {
        return Verdict::of(Reason::FragmentRefused);
    }
    // A fragment header of IPv6 names the header that follows it, which may be another extension.
    let any_protocol = matches!(packet.source, Address::V6(_)) && !matches!(packet.protocol, ip::TCP | ip::UDP);
    let terms = if any_protocol { source.terms } else { source.terms & tables.protocols[packet.protocol as usize] };
    if terms.is_empty() {
        return Verdict::of(Reason::FragmentUnlisted);
    }
    let rule = terms.single().map(|term| tables.term_rules[term as usize]);
    Verdict { reason: Reason::FragmentListed, rule }
}

/// ICMP and protocols without ports: the source and the protocol judge.
#[inline(always)]
pub(super) fn other_protocol(packet: &Packet, tables: &Tables, source: &SourceSet) -> Verdict {
    let allowed = source.terms & tables.protocols[packet.protocol as usize];
    if let Some(term) = allowed.lowest() {
        return listed(tables, term);
    }
    Verdict::of(match icmp::message(packet) {
        Some(Message::EchoRequest) => Reason::EchoRequest,
        Some(Message::EchoReply) => Reason::EchoReply,
        _ if source.terms.is_empty() => without_terms(source),
        _ => Reason::ProtocolUnlisted,
    })
}

//! Classification: which term allows the packet.

use super::icmp::{self, Message};
use crate::{
    Address, Reason, Verdict,
    packet::{Packet, Port, Transport, ip},
    tables::{PortTables, Tables, Term},
    verifier::{apart, entry},
};

/// What follows from the term that allows the packet, by the intersection of what each field allows; or why none does. `set`: that
/// of its source, an index of [`Tables::source_sets`].
#[inline(always)]
pub(super) fn term(packet: &Packet, tables: &Tables, set: u32) -> Result<Term, Reason> {
    match packet.transport {
        Transport::Tcp { source: from, destination: to, opening } => {
            ports(&Ports { protocol: Tables::TCP, source: from, destination: to, opening }, tables, set)
        }
        Transport::Udp { source: from, destination: to } => {
            ports(&Ports { protocol: Tables::UDP, source: from, destination: to, opening: false }, tables, set)
        }
        _ => other_protocol(packet, tables, set),
    }
}

/// The fields of a TCP or UDP header that rules look at.
pub(super) struct Ports {
    /// Index of [`Tables::ports`].
    pub(super) protocol: usize,
    pub(super) source: Port,
    pub(super) destination: Port,
    pub(super) opening: bool,
}

/// What follows from the term that allows a TCP segment or UDP datagram.
#[inline(always)]
pub(super) fn ports(packet: &Ports, tables: &Tables, set: u32) -> Result<Term, Reason> {
    // Both are asked for where they are needed alone: of what is reckoned beforehand neither is, or only the class.
    let source = || {
        apart();
        entry(&tables.source_sets, set)
    };
    let ports = &tables.ports[packet.protocol];
    let class = *entry(&ports.destination, packet.destination.number());
    // What most who scan have. It follows from what is below, too.
    if class == PortTables::CLOSED {
        return Err(if source().is_empty() { Reason::ProviderDenied } else { Reason::PortClosed });
    }
    let from_class = || {
        apart();
        *entry(&ports.source, packet.source.number())
    };
    if packet.protocol == Tables::UDP
        && let Some(term) = tables.crossed(set, class, from_class)
    {
        return Ok(term);
    }
    let source = source();
    let to = *source & *entry(&tables.port_sets, class);
    let from = *entry(&tables.port_sets, from_class());
    let allowed = if packet.opening { to & from & tables.opening } else { to & from };
    if let Some(place) = allowed.lowest_place() {
        return Ok(tables.term_in(place));
    }
    Err(if source.is_empty() {
        Reason::ProviderDenied
    } else if packet.opening && !(to & from).is_empty() {
        Reason::OpeningSegment
    } else if packet.opening && (to & tables.opening).is_empty() || to.is_empty() {
        Reason::PortClosed
    } else {
        Reason::SourcePort
    })
}

/// Why a packet from an unlisted source is dropped.
#[inline(always)]
pub(super) fn unlisted(packet: &Packet) -> Reason {
    if matches!(packet.transport, Transport::Absent) {
        return Reason::FragmentUnlisted;
    }
    apart();
    echo_or(packet, Reason::SourceUnlisted)
}

/// A later fragment has no ports: the source and the protocol alone judge it.
///
/// Alone it completes nothing, for its first fragment was judged in full.
#[inline(always)]
pub(super) fn later_fragment(packet: &Packet, tables: &Tables, set: u32) -> Result<Verdict, Reason> {
    let source = entry(&tables.source_sets, set);
    let terms = if is_of_any_protocol(packet) { *source } else { *source & *entry(&tables.protocols, packet.protocol) };
    if terms.is_empty() {
        return Err(Reason::FragmentUnlisted);
    }
    let verdict = Verdict::of(Reason::FragmentListed);
    Ok(terms.single_place().map_or(verdict, |place| verdict.by_rule(tables.term_in(place).rule())))
}

/// Whether a later fragment can be of any protocol: a fragment header of IPv6 names the header that follows it, which may
/// be another extension.
#[inline(always)]
pub(super) const fn is_of_any_protocol(packet: &Packet) -> bool {
    matches!(packet.source, Address::V6(_)) && !matches!(packet.protocol, ip::TCP | ip::UDP)
}

/// What follows from the term that allows ICMP or another protocol without ports.
#[inline(always)]
fn other_protocol(packet: &Packet, tables: &Tables, set: u32) -> Result<Term, Reason> {
    let source = entry(&tables.source_sets, set);
    let allowed = *source & *entry(&tables.protocols, packet.protocol);
    if let Some(place) = allowed.lowest_place() {
        return Ok(tables.term_in(place));
    }
    Err(echo_or(packet, if source.is_empty() { Reason::ProviderDenied } else { Reason::ProtocolUnlisted }))
}

/// Why a packet is dropped: echoes have reasons of their own, whoever sends them.
#[inline(always)]
fn echo_or(packet: &Packet, otherwise: Reason) -> Reason {
    match icmp::message(packet) {
        Some(Message::EchoRequest) => Reason::EchoRequest,
        Some(Message::EchoReply) => Reason::EchoReply,
        _ => otherwise,
    }
}

//! Rate limits on what is allowed, for each source.

use super::icmp::{self, Message};
use crate::{
    Limit, Reason, State,
    packet::{Packet, Transport},
    tables::{Rate, Settings, Tables, Term, services},
};

/// Why a packet that `term` allows is dropped, if its source sends too much of it.
#[inline(always)]
pub(super) fn listed<S: State>(packet: &Packet, tables: &Tables, state: &S, term: Term) -> Option<Reason> {
    let limits = &tables.settings.limits;
    match packet.transport {
        Transport::Udp { .. } if term.service() == services::SIP => {
            exceeds(packet, state, Limit::Sip, &limits.sip).then_some(Reason::RateLimitSip)
        }
        _ => opening(packet, tables, state),
    }
}

/// Why a packet that is let in is dropped, if it opens a connection and its source opens too many.
#[inline(always)]
pub(super) fn opening<S: State>(packet: &Packet, tables: &Tables, state: &S) -> Option<Reason> {
    let opens = matches!(packet.transport, Transport::Tcp { opening: true, .. });
    (opens && exceeds(packet, state, Limit::Tcp, &tables.settings.limits.tcp)).then_some(Reason::RateLimitTcp)
}

/// The reason of an ICMP message whose fate no rule changes: the limit's, if its source sends too many that pass.
#[inline(always)]
pub(super) fn icmp<S: State>(packet: &Packet, settings: &Settings, state: &S, reason: Reason) -> Reason {
    let limited = matches!(icmp::message(packet), Some(Message::Error | Message::EchoRequest));
    if limited && exceeds(packet, state, Limit::Icmp, &settings.limits.icmp) { Reason::RateLimitIcmp } else { reason }
}

#[inline(always)]
fn exceeds<S: State>(packet: &Packet, state: &S, limit: Limit, rate: &Rate) -> bool {
    rate.interval != 0 && !state.keeps_to(limit, packet.source, rate)
}

//! ICMP and ICMPv6 messages, as far as the decision tells them apart.

use crate::{
    Address,
    packet::{Packet, Transport},
};

mod icmp_type {
    pub(super) const ECHO_REPLY: u8 = 0;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const SOURCE_QUENCH: u8 = 4;
    pub(super) const REDIRECT: u8 = 5;
    pub(super) const ECHO_REQUEST: u8 = 8;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const PARAMETER_PROBLEM: u8 = 12;
}

mod icmpv6_type {
    pub(super) const UNREACHABLE: u8 = 1;
    pub(super) const PARAMETER_PROBLEM: u8 = 4;
    pub(super) const ECHO_REQUEST: u8 = 128;
    pub(super) const ECHO_REPLY: u8 = 129;
    pub(super) const LISTENER_QUERY: u8 = 130;
    pub(super) const LISTENER_REPORT: u8 = 131;
    pub(super) const LISTENER_DONE: u8 = 132;
    pub(super) const ROUTER_SOLICITATION: u8 = 133;
    pub(super) const NEIGHBOR_SOLICITATION: u8 = 135;
    pub(super) const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub(super) const REDIRECT: u8 = 137;
    pub(super) const LISTENER_REPORT_V2: u8 = 143;
}

/// The ICMP messages between which the decision tells apart, over both families.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Message {
    Error,
    EchoRequest,
    EchoReply,
    NeighborDiscovery,
    MulticastListener,
    Redirect,
    SourceQuench,
    Other,
}

/// Which ICMP message the packet is, if any.
#[inline(always)]
pub(super) const fn message(packet: &Packet) -> Option<Message> {
    let Transport::Icmp { kind, .. } = packet.transport else {
        return None;
    };
    Some(match packet.source {
        Address::V4(_) => match kind {
            icmp_type::UNREACHABLE | icmp_type::TIME_EXCEEDED | icmp_type::PARAMETER_PROBLEM => Message::Error,
            icmp_type::ECHO_REQUEST => Message::EchoRequest,
            icmp_type::ECHO_REPLY => Message::EchoReply,
            icmp_type::REDIRECT => Message::Redirect,
            icmp_type::SOURCE_QUENCH => Message::SourceQuench,
            _ => Message::Other,
        },
        Address::V6(_) => match kind {
            icmpv6_type::UNREACHABLE..=icmpv6_type::PARAMETER_PROBLEM => Message::Error,
            icmpv6_type::ECHO_REQUEST => Message::EchoRequest,
            icmpv6_type::ECHO_REPLY => Message::EchoReply,
            icmpv6_type::ROUTER_SOLICITATION..=icmpv6_type::NEIGHBOR_ADVERTISEMENT => Message::NeighborDiscovery,
            icmpv6_type::LISTENER_QUERY..=icmpv6_type::LISTENER_DONE | icmpv6_type::LISTENER_REPORT_V2 => {
                Message::MulticastListener
            }
            icmpv6_type::REDIRECT => Message::Redirect,
            _ => Message::Other,
        },
    })
}

/// Whether the packet is one of those that are sent from `::`: router solicitation and neighbour solicitation
/// (RFC 4861, sections 4.1 and 4.3), multicast listener report and done (RFC 3590, section 4).
#[inline(always)]
pub(super) const fn may_be_unspecified(packet: &Packet) -> bool {
    let Transport::Icmp { kind, .. } = packet.transport else {
        return false;
    };
    packet.source.is_unspecified_v6()
        && matches!(
            kind,
            icmpv6_type::ROUTER_SOLICITATION
                | icmpv6_type::NEIGHBOR_SOLICITATION
                | icmpv6_type::LISTENER_REPORT
                | icmpv6_type::LISTENER_DONE
                | icmpv6_type::LISTENER_REPORT_V2
        )
}

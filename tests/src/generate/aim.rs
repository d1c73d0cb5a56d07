//! Where packets are aimed: at the terms of a policy, and right beside them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Choices, address};
use crate::oracle::{Oracle, Ports, Term};

/// What there is to aim at in a policy.
pub struct Aim<'o> {
    terms: &'o [Term],
    /// Deny lists, always-deny lists.
    denied: Vec<IpNet>,
    own: &'o [IpAddr],
    /// The ends of every range of ports, and the ports beside them.
    ports: Vec<u16>,
}

/// What a packet says of itself in the fields that rules look at.
pub(super) struct Shot {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) protocol: u8,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

/// Protocols with a meaning of their own, and two without.
const PROTOCOLS: [u8; 16] = [17, 6, 1, 58, 112, 89, 47, 132, 50, 51, 59, 0, 43, 44, 60, 255];
/// The ports of classes, and usual ones.
const PORTS: [u16; 16] = [5060, 5061, 67, 68, 546, 547, 3784, 3785, 4784, 3783, 4785, 0, 1, 65535, 1023, 1024];

impl<'o> Aim<'o> {
    /// Aims at what a policy says, as the oracle has understood it.
    pub fn new(oracle: &'o Oracle) -> Self {
        let terms = oracle.terms();
        let mut ports = PORTS.to_vec();
        for set in terms.iter().filter_map(|term| term.traffic.ports.as_ref()).flat_map(|(from, to)| [from, to]) {
            ports.extend(set.ranges().flat_map(|(first, last)| [first - 1, first, last, last.wrapping_add(1)]));
        }
        Self { terms, denied: oracle.denied().collect(), own: oracle.own(), ports }
    }

    pub(super) fn shot(&self, choices: &mut Choices) -> Shot {
        let mut shot = match choices.below(20) {
            0..=4 => self.anywhere(choices),
            5..=7 => self.at_a_class(choices),
            _ if self.terms.is_empty() => self.anywhere(choices),
            _ => self.at_a_term(choices),
        };
        if choices.chance(10) && !self.denied.is_empty() {
            let outside = choices.chance(30);
            shot.source = address::around(choices, &self.denied, outside);
        }
        if choices.chance(8) {
            shot.protocol = choices.one_of(&PROTOCOLS);
        }
        shot.destination = self.destination(choices, shot.source.is_ipv6());
        shot
    }

    /// What keeps a host reachable, and what the knobs let in.
    fn at_a_class(&self, choices: &mut Choices) -> Shot {
        let mut shot = self.anywhere(choices);
        let ipv6 = shot.source.is_ipv6();
        let icmp = if ipv6 { 58 } else { 1 };
        shot.protocol = choices.one_of(&[icmp, icmp, icmp, icmp, 17, 17, 112, 89]);
        (shot.source_port, shot.destination_port) =
            choices.one_of(&[(67, 68), (547, 546), (49152, 3784), (49152, 3785), (49152, 4784), (68, 67)]);
        shot
    }

    fn at_a_term(&self, choices: &mut Choices) -> Shot {
        let term = choices.pick(self.terms);
        let outside = choices.chance(10);
        let mut shot = self.anywhere(choices);
        shot.source = address::around(choices, &term.sources, outside);
        shot.protocol = term.traffic.protocol;
        if let Some((from, to)) = &term.traffic.ports {
            shot.source_port = self.port(choices, from);
            shot.destination_port = self.port(choices, to);
        }
        shot
    }

    fn anywhere(&self, choices: &mut Choices) -> Shot {
        let ipv6 = choices.chance(40);
        let source = address::special(choices, ipv6);
        Shot {
            source,
            destination: source,
            protocol: choices.one_of(&PROTOCOLS),
            source_port: choices.one_of(&self.ports),
            destination_port: choices.one_of(&self.ports),
        }
    }

    /// A port of the set, mostly.
    fn port(&self, choices: &mut Choices, set: &Ports) -> u16 {
        let ranges: Vec<_> = set.ranges().collect();
        let (first, last) = choices.one_of(&ranges);
        match choices.below(10) {
            0..=2 => first,
            3..=5 => last,
            6 | 7 => first + u16::try_from(choices.below(u32::from(last - first) + 1)).unwrap_or_default(),
            8 => choices.one_of(&[first - 1, last.wrapping_add(1)]),
            _ => choices.one_of(&self.ports),
        }
    }

    /// Mostly one of the SBC's own addresses, where it has any of the family.
    fn destination(&self, choices: &mut Choices, ipv6: bool) -> IpAddr {
        let own: Vec<_> = self.own.iter().copied().filter(|own| own.is_ipv6() == ipv6).collect();
        if own.is_empty() || choices.chance(12) { address::special(choices, ipv6) } else { choices.one_of(&own) }
    }
}

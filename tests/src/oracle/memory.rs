//! What came before, as far as verdicts depend on it. There is no time here: all of it is recent, and no rate lets another
//! packet through while a sequence lasts.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use filter_common::Reason;
use filter_user::policy::file::LimitRates;

use super::{
    network::{Datagram, Piece},
    transport::Transport,
};

/// What is remembered of packets that came and went.
#[derive(Debug, Default)]
pub struct Memory {
    /// First fragments that passed: how much of the datagram they carried, and the rule that let them in.
    fragments: HashMap<Fragmented, (u32, Option<String>)>,
    /// What this host began.
    flows: HashSet<Flow>,
    /// How many packets of each source were counted.
    counts: HashMap<(Limit, IpAddr), u32>,
}

/// What a rate is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Limit {
    Sip,
    Tcp,
    Icmp,
}

/// How many packets of each kind a source may send at once; nothing: any number.
pub(super) struct Limits([Option<u32>; 3]);

impl Limits {
    pub(super) fn new(rates: &LimitRates) -> Self {
        Self([rates.sip, rates.tcp, rates.icmp].map(|rate| rate.map(|rate| rate.burst)))
    }
}

/// Addresses, identification and, in IPv4, the protocol (RFC 791, section 3.2; RFC 8200, section 4.5).
type Fragmented = (IpAddr, IpAddr, u32, Option<u8>);
/// The protocol, this host's address and port, the other's.
type Flow = (u8, (IpAddr, u16), (IpAddr, u16));

impl Memory {
    /// A later fragment passes if its first one did, and does not rewrite it.
    pub(super) fn later_fragment(&self, datagram: &Datagram) -> (Reason, Option<String>) {
        match (self.fragments.get(&fragmented(datagram)), datagram.piece) {
            (Some((carried, _)), Piece::Later(offset)) if offset < *carried => (Reason::FragmentOverlap, None),
            (Some((_, rule)), _) => (Reason::FragmentTracked, rule.clone()),
            (None, _) => (Reason::FragmentEarly, None),
        }
    }

    /// A first fragment that would pass is remembered; a second one of the same datagram would rewrite it.
    pub(super) fn first_fragment(
        &mut self,
        datagram: &Datagram,
        fate: (Reason, Option<String>),
    ) -> (Reason, Option<String>) {
        let key = fragmented(datagram);
        if self.fragments.contains_key(&key) {
            return (Reason::FragmentOverlap, None);
        }
        self.fragments.insert(key, (datagram.carried, fate.1.clone()));
        fate
    }

    /// Whether the source has sent as much as it may; counts the packet if it has not.
    pub(super) fn exceeds(&mut self, limits: &Limits, limit: Limit, source: IpAddr) -> bool {
        let Some(most) = limits.0[limit as usize] else { return false };
        let source = match source {
            IpAddr::V4(_) => source,
            // Hosts of one IPv6 subnet share what they may send.
            IpAddr::V6(address) => IpAddr::from((u128::from(address) >> 64 << 64).to_be_bytes()),
        };
        let count = self.counts.entry((limit, source)).or_default();
        if *count < most {
            *count += 1;
            return false;
        }
        true
    }

    /// What this host sends begins a flow: a UDP datagram, an opening TCP segment, an echo request.
    pub(super) fn note_sent(&mut self, datagram: &Datagram) {
        let (local, remote) = (datagram.source, datagram.destination);
        let ports = match datagram.transport {
            Transport::Udp((from, to)) | Transport::Tcp((from, to), true) => (from, to),
            Transport::Icmpv4(8) | Transport::Icmpv6(128) => (datagram.echo_identifier().unwrap_or_default(), 0),
            _ => return,
        };
        self.flows.insert((datagram.protocol, (local, ports.0), (remote, ports.1)));
    }

    /// Whether it answers something that this host sent; what opens a TCP connection never does.
    pub(super) fn is_answer(&self, datagram: &Datagram) -> bool {
        let ports = match datagram.transport {
            Transport::Udp((from, to)) | Transport::Tcp((from, to), false) => (from, to),
            Transport::Icmpv4(0) | Transport::Icmpv6(129) => (0, datagram.echo_identifier().unwrap_or_default()),
            _ => return false,
        };
        self.flows.contains(&(datagram.protocol, (datagram.destination, ports.1), (datagram.source, ports.0)))
    }
}

fn fragmented(datagram: &Datagram) -> Fragmented {
    let protocol = datagram.source.is_ipv4().then_some(datagram.protocol);
    (datagram.source, datagram.destination, datagram.identification, protocol)
}

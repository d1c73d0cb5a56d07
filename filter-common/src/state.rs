//! What is remembered between packets: fragments, flows that this host opened, how much a source has sent.

use crate::{Address, packet::ip, tables::Rate};

/// How long a first fragment lets later ones follow, in nanoseconds: as long as Linux waits for them
/// (`IP_FRAG_TIME` in `include/net/ip.h`).
pub const FRAGMENT_LIFETIME: u64 = 30_000_000_000;

/// How many datagrams' first fragments are remembered.
pub const FRAGMENTS: u32 = 16_384;
/// How many flows that this host opened are remembered.
pub const FLOWS: u32 = 65_536;

/// How fast each CPU may take up flows, and sources whose rate is limited: 1,000 a second after a burst of 1,000.
///
/// A flood of new ones cannot push out those that are remembered faster than that.
pub const NEW_ENTRIES: Rate = Rate { interval: 1_000_000, tolerance: 1_000_000_000 };

/// Memory between packets, wherever it is.
pub trait State {
    /// The first fragment of this datagram, if it passed within [`FRAGMENT_LIFETIME`].
    fn first_fragment(&self, datagram: &Datagram) -> Option<FirstFragment>;

    /// Remembers a first fragment that passed.
    fn remember_fragment(&self, datagram: &Datagram, first: FirstFragment);

    /// Whether this host sent something of this flow within the flow's [lifetime](Flow::lifetime).
    fn is_answer(&self, flow: &Flow) -> bool;

    /// Whether `source` keeps to the rate; counts the packet if it does.
    fn keeps_to(&self, limit: Limit, source: Address, rate: &Rate) -> bool;
}

/// State that remembers nothing: no fragment was first, nothing is an answer, every rate is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stateless;

impl State for Stateless {
    fn first_fragment(&self, _: &Datagram) -> Option<FirstFragment> {
        None
    }

    fn remember_fragment(&self, _: &Datagram, _: FirstFragment) {}

    fn is_answer(&self, _: &Flow) -> bool {
        false
    }

    fn keeps_to(&self, _: Limit, _: Address, _: &Rate) -> bool {
        true
    }
}

/// What the fragments of one datagram have in common (RFC 791, section 3.2; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Datagram {
    /// As [`Address::words`] gives it.
    pub source: [u64; 2],
    /// As [`Address::words`] gives it.
    pub destination: [u64; 2],
    /// The identification.
    pub identification: u32,
    /// The IP protocol; 0 for IPv6, where it takes no part.
    pub protocol: u32,
}

/// What is remembered of a first fragment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct FirstFragment {
    /// How many octets of the datagram it carried.
    pub length: u16,
    /// The rule that let it in; all ones where none did.
    rule: u16,
}

impl FirstFragment {
    const NO_RULE: u16 = u16::MAX;

    /// A first fragment of so many octets that a rule let in.
    #[inline(always)]
    pub const fn new(length: u16, rule: Option<u16>) -> Self {
        let rule = match rule {
            Some(rule) => rule,
            None => Self::NO_RULE,
        };
        Self { length, rule }
    }

    /// The rule that let it in.
    #[inline(always)]
    pub const fn rule(self) -> Option<u16> {
        if self.rule == Self::NO_RULE { None } else { Some(self.rule) }
    }
}

/// A conversation that this host opened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Flow {
    /// This host's address, as [`Address::words`] gives it.
    pub local: [u64; 2],
    /// The other's address.
    pub remote: [u64; 2],
    /// This host's port, or the identifier of an echo.
    pub local_port: u16,
    /// The other's port; 0 for an echo.
    pub remote_port: u16,
    /// The IP protocol.
    pub protocol: u32,
}

impl Flow {
    /// The flow between two addresses, as [`Address::words`] gives them. `ends`: as [`Flow::ends`] gives them.
    #[inline(always)]
    pub const fn new(local: [u64; 2], remote: [u64; 2], ends: u64) -> Self {
        let [a, b, c, d, protocol @ ..] = ends.to_le_bytes();
        let (local_port, remote_port) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        Self { local, remote, local_port, remote_port, protocol: u32::from_le_bytes(protocol) }
    }

    /// All of it but the addresses, as one number.
    #[inline(always)]
    pub const fn ends(&self) -> u64 {
        (self.protocol as u64) << 32 | (self.remote_port as u64) << 16 | self.local_port as u64
    }

    /// How long after this host last sent something answers are let in, in nanoseconds.
    #[inline(always)]
    pub const fn lifetime(&self) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        const TCP: u32 = ip::TCP as u32;
        const UDP: u32 = ip::UDP as u32;
        match self.protocol {
            TCP => 7200 * SECOND,
            UDP => 120 * SECOND,
            _ => 30 * SECOND,
        }
    }
}

/// What a rate is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u32)]
pub enum Limit {
    /// Datagrams of SIP over UDP.
    Sip,
    /// New TCP connections.
    Tcp,
    /// ICMP errors and echo requests.
    Icmp,
}

/// Whose rate it is: an IPv4 address or an IPv6 /64, for one limit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Bucket {
    /// The source; the lower half of an IPv6 address is left out.
    pub source: [u64; 2],
    /// The [`Limit`].
    pub limit: u64,
}

impl Bucket {
    /// The bucket that a packet of `source` goes to.
    #[inline(always)]
    pub const fn new(limit: Limit, source: Address) -> Self {
        let source = match source {
            Address::V4(_) => source.words(),
            Address::V6([network, _]) => [network, 0],
        };
        Self { source, limit: limit as u64 }
    }
}

impl Rate {
    /// The generic cell rate algorithm, as a virtual schedule: the time that the next packet is due, from the time that
    /// this one was due; nothing if it comes too early. Times are in nanoseconds.
    #[inline(always)]
    pub const fn next(&self, due: u64, now: u64) -> Option<u64> {
        if due > now + self.tolerance {
            return None;
        }
        let from = if due > now { due } else { now };
        Some(from + self.interval)
    }
}

const _: () = {
    assert!(size_of::<Datagram>() == 40);
    assert!(size_of::<Flow>() == 40);
    assert!(size_of::<Bucket>() == 24);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `sent` packets, `gap` nanoseconds apart, keep to the rate.
    fn kept(rate: Rate, sent: u64, gap: u64) -> u64 {
        let mut due = 0;
        let mut kept = 0;
        for index in 0..sent {
            if let Some(next) = rate.next(due, 1_000_000_000 + index * gap) {
                due = next;
                kept += 1;
            }
        }
        kept
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate { interval: 10_000_000, tolerance: 190_000_000 };
        assert_eq!(kept(rate, 1000, 0), 20, "a burst at once");
        assert_eq!(kept(rate, 1000, 10_000_000), 1000, "at the rate");
        assert_eq!(kept(rate, 1000, 5_000_000), 20 + 499, "twice the rate, for five seconds");
    }

    #[test]
    fn hosts_of_one_ipv6_subnet_share_a_bucket_and_ipv4_hosts_do_not() {
        let v6 = |subnet: u64, host: u64| Bucket::new(Limit::Sip, Address::V6([subnet, host]));
        assert_eq!(v6(1, 1), v6(1, 2));
        assert_ne!(v6(1, 1), v6(2, 1));
        let v4 = |host: u32| Bucket::new(Limit::Sip, Address::V4(0xc000_0200 + host));
        assert_ne!(v4(1), v4(2));
        assert_ne!(v4(1), Bucket::new(Limit::Tcp, Address::V4(0xc000_0201)));
    }
}

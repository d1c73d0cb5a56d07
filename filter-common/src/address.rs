//! IP addresses in network byte order, one type for both families.

use core::net::IpAddr;

/// An IPv4 or IPv6 address as it stands in the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// IPv4, network byte order.
    V4([u8; 4]),
    /// IPv6, network byte order.
    V6([u8; 16]),
}

impl Address {
    /// The address as two words, different for each address of either family.
    ///
    /// IPv4 looks like an IPv6 multicast address, which no packet comes from and no host has. The mapped form
    /// (RFC 4291, section 2.5.5.2) would not do: an IPv6 packet can bear it.
    #[inline(always)]
    pub const fn words(self) -> [u64; 2] {
        match self {
            Self::V4(octets) => [u64::MAX, u32::from_be_bytes(octets) as u64],
            Self::V6([a, b, c, d, e, f, g, h, low @ ..]) => {
                [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(low)]
            }
        }
    }

    /// The address that [`Address::words`] gives these words for.
    pub const fn from_words([high, low]: [u64; 2]) -> Self {
        let [.., a, b, c, d] = low.to_be_bytes();
        if high == u64::MAX && low >> 32 == 0 {
            return Self::V4([a, b, c, d]);
        }
        Self::V6(((high as u128) << 64 | low as u128).to_be_bytes())
    }

    /// Whether no host may send from this address across a network: "this network", loopback,
    /// multicast, class E and broadcast (RFC 6890, table 1 to 17), `::`, `::1` and `ff00::/8`.
    #[inline(always)]
    pub const fn is_martian_source(self) -> bool {
        match self {
            Self::V4([first, ..]) => matches!(first, 0 | 127 | 224..=255),
            Self::V6([first, ..]) => first == 0xff || matches!(self.words(), [0, 0 | 1]),
        }
    }

    /// Whether this is the IPv6 unspecified address `::`.
    #[inline(always)]
    pub const fn is_unspecified_v6(self) -> bool {
        matches!(self, Self::V6(_)) && matches!(self.words(), [0, 0])
    }

    /// Whether packets to this address go to more than one host: multicast, or the IPv4 limited broadcast.
    #[inline(always)]
    pub const fn is_multicast_or_broadcast(self) -> bool {
        match self {
            Self::V4(octets) => matches!(octets, [224..=239, ..]) || u32::from_be_bytes(octets) == u32::MAX,
            Self::V6([first, ..]) => first == 0xff,
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(address.octets()),
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(octets) => Self::from(octets),
            Address::V6(octets) => Self::from(octets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Address::{V4, V6};
    use super::*;

    const fn v6(first: u8, last: u8) -> Address {
        let mut octets = [0; 16];
        octets[0] = first;
        octets[15] = last;
        V6(octets)
    }

    #[test]
    fn martian_sources_are_those_that_no_host_sends_from() {
        for address in [
            V4([0, 0, 0, 0]),
            V4([0, 255, 255, 255]),
            V4([127, 0, 0, 1]),
            V4([224, 0, 0, 1]),
            V4([239, 255, 255, 255]),
            V4([240, 0, 0, 1]),
            V4([255, 255, 255, 255]),
            v6(0, 0),
            v6(0, 1),
            v6(0xff, 2),
        ] {
            assert!(address.is_martian_source(), "{address:?}");
        }
        for address in [
            V4([1, 0, 0, 0]),
            V4([126, 255, 255, 255]),
            V4([128, 0, 0, 0]),
            V4([223, 255, 255, 255]),
            V4([10, 0, 0, 1]),
            v6(0, 2),
            v6(0x20, 1),
            v6(0xfe, 1),
        ] {
            assert!(!address.is_martian_source(), "{address:?}");
        }
    }

    #[test]
    fn multicast_and_broadcast_are_told_from_unicast() {
        for address in [V4([224, 0, 0, 18]), V4([239, 1, 2, 3]), V4([255; 4]), v6(0xff, 1)] {
            assert!(address.is_multicast_or_broadcast(), "{address:?}");
        }
        for address in [V4([223, 255, 255, 255]), V4([240, 0, 0, 1]), V4([198, 51, 100, 255]), v6(0xfe, 1)] {
            assert!(!address.is_multicast_or_broadcast(), "{address:?}");
        }
    }

    #[test]
    fn ipv4_and_its_mapped_ipv6_form_have_different_words() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
        assert_ne!(V4([192, 0, 2, 1]).words(), V6(mapped).words());
        assert_eq!(v6(0x20, 1).words(), [0x2000_0000_0000_0000, 1]);
    }
}

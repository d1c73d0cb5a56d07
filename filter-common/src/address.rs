//! IP addresses in network byte order, one type for both families.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 or IPv6 address, as the number that it is in network byte order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// IPv4.
    V4(u32),
    /// IPv6, the upper half first.
    V6([u64; 2]),
}

impl Address {
    /// The address as two words, different for each address of either family.
    ///
    /// IPv4 looks like an IPv6 multicast address, which no packet comes from and no host has. The mapped form
    /// (RFC 4291, section 2.5.5.2) would not do: an IPv6 packet can bear it.
    #[inline(always)]
    pub const fn words(self) -> [u64; 2] {
        match self {
            Self::V4(address) => [u64::MAX, address as u64],
            Self::V6(words) => words,
        }
    }

    /// The address that [`Address::words`] gives these words for.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is 0")]
    pub const fn from_words([high, low]: [u64; 2]) -> Self {
        if high == u64::MAX && low >> 32 == 0 { Self::V4(low as u32) } else { Self::V6([high, low]) }
    }

    /// Whether no host may send from this address across a network: "this network", loopback,
    /// multicast, class E and broadcast (RFC 6890, table 1 to 17), `::`, `::1` and `ff00::/8`.
    #[inline(always)]
    pub const fn is_martian_source(self) -> bool {
        match self {
            Self::V4(address) => {
                // The first octet less one, in 64 bits, as BPF has: two comparisons for 0, 127 and 224 to 255.
                let before = (address as u64 >> 24).wrapping_sub(1);
                before > 222 || before == 126
            }
            Self::V6([high, low]) => high >> 56 == 0xff || high == 0 && low <= 1,
        }
    }

    /// Whether this is the IPv6 unspecified address `::`.
    #[inline(always)]
    pub const fn is_unspecified_v6(self) -> bool {
        matches!(self, Self::V6([0, 0]))
    }

    /// Whether packets to this address go to more than one host: multicast, or the IPv4 limited broadcast.
    #[inline(always)]
    pub const fn is_multicast_or_broadcast(self) -> bool {
        match self {
            // One comparison for nearly all.
            Self::V4(address) => address >> 29 == 7 && (address >> 28 == 14 || address == u32::MAX),
            Self::V6([high, _]) => high >> 56 == 0xff,
        }
    }
}

impl From<IpAddr> for Address {
    #[expect(clippy::cast_possible_truncation, reason = "each half is half of the address")]
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                Self::V6([(bits >> 64) as u64, bits as u64])
            }
        }
    }
}

impl From<Address> for IpAddr {
    fn from(address: Address) -> Self {
        match address {
            Address::V4(address) => Self::from(Ipv4Addr::from(address)),
            Address::V6([high, low]) => Self::from(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(octets: [u8; 4]) -> Address {
        IpAddr::from(octets).into()
    }

    const fn v6(first: u8, last: u8) -> Address {
        Address::V6([(first as u64) << 56, last as u64])
    }

    #[test]
    fn martian_sources_are_those_that_no_host_sends_from() {
        for address in [
            v4([0, 0, 0, 0]),
            v4([0, 255, 255, 255]),
            v4([127, 0, 0, 1]),
            v4([224, 0, 0, 1]),
            v4([239, 255, 255, 255]),
            v4([240, 0, 0, 1]),
            v4([255, 255, 255, 255]),
            v6(0, 0),
            v6(0, 1),
            v6(0xff, 2),
        ] {
            assert!(address.is_martian_source(), "{address:?}");
        }
        for address in [
            v4([1, 0, 0, 0]),
            v4([126, 255, 255, 255]),
            v4([128, 0, 0, 0]),
            v4([223, 255, 255, 255]),
            v4([10, 0, 0, 1]),
            v6(0, 2),
            v6(0x20, 1),
            v6(0xfe, 1),
        ] {
            assert!(!address.is_martian_source(), "{address:?}");
        }
    }

    #[test]
    fn multicast_and_broadcast_are_told_from_unicast() {
        for address in [v4([224, 0, 0, 18]), v4([239, 1, 2, 3]), v4([255; 4]), v6(0xff, 1)] {
            assert!(address.is_multicast_or_broadcast(), "{address:?}");
        }
        for address in [v4([223, 255, 255, 255]), v4([240, 0, 0, 1]), v4([198, 51, 100, 255]), v6(0xfe, 1)] {
            assert!(!address.is_multicast_or_broadcast(), "{address:?}");
        }
    }

    #[test]
    fn ipv4_and_its_mapped_ipv6_form_have_different_words() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
        assert_ne!(v4([192, 0, 2, 1]).words(), Address::from(IpAddr::from(mapped)).words());
        assert_eq!(v6(0x20, 1).words(), [0x2000_0000_0000_0000, 1]);
    }
}

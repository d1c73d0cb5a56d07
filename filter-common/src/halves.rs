//! The halves that source tries come in: the kernel has one lock for each trie, so two threads write two of them side by side.

use crate::Address;

/// How many there are.
pub const HALVES: usize = 2;

/// How many bits of an IPv4 address, and of an IPv6 address, say which half it lies in: by the last of them. Of prefixes that
/// are near each other it parts most, and a wider prefix, which is in both halves, is rare.
pub const HALF_LENGTHS: [u8; 2] = [16, 48];

/// The half that an address lies in.
#[inline(always)]
pub const fn half(address: Address) -> usize {
    let bit = match address {
        Address::V4(address) => address as u64 >> (32 - HALF_LENGTHS[0]),
        Address::V6([high, _]) => high >> (64 - HALF_LENGTHS[1]),
    };
    (bit & 1) as usize
}

#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    #[test]
    fn the_last_of_so_many_bits_says_the_half() {
        for (address, expected) in [
            ("10.0.255.255", 0),
            ("10.1.0.0", 1),
            ("10.2.0.0", 0),
            ("2001:db8:0:ffff::", 0),
            ("2001:db8:1::", 1),
            ("2001:db8:2::1", 0),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(half(parsed.into()), expected, "{address}");
        }
    }
}

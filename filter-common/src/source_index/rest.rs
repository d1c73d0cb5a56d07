//! What of an address is yet to be looked up.

use crate::verifier::shifted;

/// The bits of an address behind those that were looked up, from the highest bit of the first word on; 0 behind the last one.
#[derive(Clone, Copy)]
pub(super) struct Rest([u64; 2]);

impl Rest {
    /// What is behind the first 16 bits of an IPv4 address.
    #[inline(always)]
    pub(super) const fn of_v4(address: u64) -> Self {
        Self([address << 48, 0])
    }

    /// What is behind the first 16 bits of the words of an IPv6 address.
    #[inline(always)]
    pub(super) fn of_v6(words: [u64; 2]) -> Self {
        Self(words).behind(16)
    }

    /// The first 64 bits of it.
    #[inline(always)]
    pub(super) const fn first(self) -> u64 {
        self.0[0]
    }

    /// The number that its first 32 bits are.
    #[inline(always)]
    pub(super) const fn number(self) -> u64 {
        self.0[0] >> 32
    }

    /// What is behind so many of its first bits, from 1 to 63.
    #[inline(always)]
    pub(super) fn behind(self, bits: u32) -> Self {
        let [first, second] = self.0;
        Self([
            first.wrapping_shl(bits) | shifted(second, u64::from(u64::BITS.wrapping_sub(bits))),
            second.wrapping_shl(bits),
        ])
    }
}

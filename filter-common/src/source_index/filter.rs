//! What tells most unlisted sources from all that may be listed, by one look into a table.

use crate::{
    Address,
    verifier::{entry_from_bit, shifted},
};

/// How many words the filter has: what 100,000 prefixes set in them leaves two of three bits free, and a cache close to the
/// processor holds them.
const WORDS: usize = 1 << 13;
/// Where the place of a word begins in what an address comes to.
const PLACE: u32 = u64::BITS - WORDS.trailing_zeros();
/// Where the place of each bit in that word begins.
const BITS: [u32; 2] = [37, 31];
/// 2^64 divided by the golden ratio: what is alike but for a few bits comes to places far from each other (Knuth, The Art of
/// Computer Programming, volume 3, section 6.4).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A Bloom filter in front of the index: two bits of one word for each group of addresses that begin alike, where any of them
/// is listed. Where one is not set, none is. Where both are, the index says more.
///
/// Whatever its sources and wherever the prefixes lie, nearly all of a flood meets this alone: no way that a processor could take
/// for another one, and no table but this. It has no seed: who finds sources that it lets through makes them cost what the index
/// costs, and no more.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceFilter {
    /// How many bits the addresses of a group do not have in common, of IPv4 and of the first 64 of IPv6.
    widths: [u32; 2],
    words: [u64; WORDS],
}

impl SourceFilter {
    /// Empties it. The addresses of a group have all but these last bits in common: of IPv4 below 32, of the first 64 of IPv6
    /// below 64.
    pub fn begin(&mut self, widths: [u32; 2]) {
        self.widths = widths;
        self.words.fill(0);
    }

    /// Lets in the group that an address belongs to.
    pub fn admit(&mut self, address: Address) {
        self.admit_hash(self.hash(address));
    }

    /// The same of one that comes to this.
    pub fn admit_hash(&mut self, hash: u64) {
        self.words[(hash >> PLACE) as usize] |= Self::bits(hash);
    }

    /// The bits of what an address comes to, in whatever word.
    pub fn bits(hash: u64) -> u64 {
        let [first, second] = BITS.map(|bit| 1 << (hash >> bit & 63));
        first | second
    }

    /// Whether an address may be listed, where the filter has no blocks.
    pub fn may_list(&self, address: Address) -> bool {
        let hash = self.hash(address);
        Self::has(self.word(hash), hash)
    }

    /// The word of what an address comes to.
    #[inline(always)]
    pub(super) fn word(&self, hash: u64) -> u64 {
        entry_from_bit::<PLACE, _, _>(&self.words, hash)
    }

    /// Whether the bits of what an address comes to are set in its word.
    #[inline(always)]
    pub(super) fn has(word: u64, hash: u64) -> bool {
        // No comparison between: it would come out either way as often.
        let [first, second] = BITS.map(|bit| shifted(word, hash >> bit));
        first & second & 1 == 1
    }

    /// What an address comes to: that of all in its group.
    #[inline(always)]
    pub fn hash(&self, address: Address) -> u64 {
        let [v4, v6] = self.widths;
        let group = match address {
            Address::V4(address) => shifted(address.into(), v4.into()),
            Address::V6([high, _]) => shifted(high, v6.into()),
        };
        group.wrapping_mul(MULTIPLIER)
    }
}

const _: () = assert!(size_of::<SourceFilter>() == 8 + 8 * WORDS);

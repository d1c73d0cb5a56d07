//! What tells most unlisted sources from all that may be listed, by one look into a table.

use super::FilterBlocks;
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
    words: [u64; WORDS],
}

/// Which addresses are in a group, and where the filter has its words. A slot begins with it: what every packet asks for costs
/// less near a place that it knows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct FilterForm {
    /// How many of their last bits the addresses of a group do not have in common, of IPv4 below 32, and of the first 64 bits of
    /// IPv6 below 64.
    pub widths: [u32; 2],
    /// The blocks that have its words, if it has such.
    pub blocks: FilterBlocks,
}

impl FilterForm {
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

impl SourceFilter {
    /// Lets in the group of what comes to this.
    pub fn admit(&mut self, hash: u64) {
        self.words[(hash >> PLACE) as usize] |= Self::bits(hash);
    }

    /// The bits of what an address comes to, in whatever word.
    pub fn bits(hash: u64) -> u64 {
        let [first, second] = BITS.map(|bit| 1 << (hash >> bit & 63));
        first | second
    }

    /// Whether what comes to this may be listed, where the filter has no blocks.
    pub fn may_list(&self, hash: u64) -> bool {
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
}

const _: () = assert!(size_of::<SourceFilter>() == 8 * WORDS && size_of::<FilterForm>() == 16);

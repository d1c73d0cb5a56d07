//! Where the filter in front of the index has its words, if sources are so many that it would let too many others through.

use super::SourceBlock;
use crate::verifier::{entry, shifted};

/// Blocks that follow each other among all of the index, a power of two, with the words of the filter in place of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct FilterBlocks(
    /// The place of the first block, and in the last [`SIZE`] bits how many bits the number of a block has; 0: no blocks.
    u32,
);

/// How many bits say how many blocks there are.
const SIZE: u32 = 4;
/// How many words a block has.
const WORDS: usize = size_of::<SourceBlock>() / size_of::<u64>();
/// The most bits that the number of a block can have: the filter's bits come behind.
pub const FILTER_BLOCK_BITS: u32 = 15;

impl FilterBlocks {
    /// None.
    pub const NONE: Self = Self(0);

    /// Blocks of which the first is in this place; their number has so many bits, at least one and at most
    /// [`FILTER_BLOCK_BITS`].
    pub const fn new(first: u32, bits: u32) -> Self {
        Self(first << SIZE | bits)
    }

    /// Lets them begin so many places further on.
    pub(super) const fn move_by(&mut self, blocks: u32) {
        if self.is_some() {
            self.0 = self.0.wrapping_add(blocks << SIZE);
        }
    }

    /// Whether there are any.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    const fn bits(self) -> u64 {
        (self.0 & ((1 << SIZE) - 1)) as u64
    }

    /// The place of the block that has the word of what an address comes to.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it has few bits")]
    pub fn place(self, hash: u64) -> u32 {
        (self.0 >> SIZE).wrapping_add(shifted(hash, u64::from(u64::BITS) - self.bits()) as u32)
    }

    /// The number of that word in the block.
    #[inline(always)]
    pub fn number(self, hash: u64) -> u64 {
        shifted(hash, u64::from(u64::BITS - WORDS.trailing_zeros()) - self.bits())
    }
}

impl SourceBlock {
    /// The word of this number, of which the last bits count.
    #[inline(always)]
    pub(super) fn word(&self, number: u64) -> u64 {
        // SAFETY: it is as large as so many words and aligned as they are, and whatever bits are in it make one.
        let words: &[u64; WORDS] = unsafe { &*core::ptr::from_ref(self).cast() };
        *entry(words, number)
    }
}

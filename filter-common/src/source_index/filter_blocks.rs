//! Where the filter in front of the index has its words, if sources are so many that it would let too many others through.

use super::SourceBlock;
use crate::verifier::{entry_from_bit, shifted};

/// Blocks that follow each other among all of the index, a power of two, with the words of the filter in place of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct FilterBlocks {
    /// The place of the first block.
    first: u32,
    /// Where the number of a block begins in what an address comes to, up to the highest bit; 0: no blocks.
    shift: u32,
}

/// How many words a block has.
const WORDS: usize = size_of::<SourceBlock>() / size_of::<u64>();
/// Where the number of a word in its block begins: the bits in the word are told by those below.
const WORD: u32 = 43;
/// The most bits that the number of a block can have.
pub const FILTER_BLOCK_BITS: u32 = u64::BITS - WORD - WORDS.trailing_zeros();

impl FilterBlocks {
    /// Blocks of which the first is in this place; their number has so many bits, at least one and at most
    /// [`FILTER_BLOCK_BITS`].
    pub const fn new(first: u32, bits: u32) -> Self {
        Self { first, shift: u64::BITS - bits }
    }

    /// Lets them begin so many places further on.
    pub const fn move_by(&mut self, blocks: u32) {
        self.first = self.first.wrapping_add(blocks);
    }

    /// Whether there are any.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.shift != 0
    }

    /// The place of the block that has the word of what an address comes to.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it has few bits")]
    pub fn place(self, hash: u64) -> u32 {
        self.first.wrapping_add(shifted(hash, self.shift.into()) as u32)
    }

    /// The number of that word in the block.
    pub const fn number(hash: u64) -> usize {
        (hash >> WORD) as usize % WORDS
    }
}

impl SourceBlock {
    /// The word of what an address comes to.
    #[inline(always)]
    pub(super) fn word(&self, hash: u64) -> u64 {
        // SAFETY: it is as large as so many words and aligned as they are, and whatever bits are in it make one.
        let words: &[u64; WORDS] = unsafe { &*core::ptr::from_ref(self).cast() };
        entry_from_bit::<WORD, _, _>(words, hash)
    }
}

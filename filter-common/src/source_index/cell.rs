//! Cells: what is known of addresses that begin alike, in 16 bits.

use super::{NEAR_BLOCKS, NEAR_RUNS};
use crate::{tables::SOURCE_SETS, verifier::opaque};

/// What is known of addresses that begin alike.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Cell(pub(super) u16);

impl Cell {
    /// Ask the trie.
    #[expect(clippy::cast_possible_truncation, reason = "asserted below")]
    pub const ASK: Self = Self(SOURCE_SETS as u16);
    pub(super) const FIRST_NEAR: u16 = Self::ASK.0 + 1;
    #[expect(clippy::cast_possible_truncation, reason = "asserted below")]
    pub(super) const FIRST_BLOCK: u16 = Self::FIRST_NEAR + NEAR_BLOCKS as u16;
    /// Behind the cells of blocks. What three prefixes part fits into a node, so 100,000 need 25,000 blocks at the most for
    /// their first 16 bits in IPv4.
    pub(super) const FIRST_NODE: u16 = 0x8000;
    pub(super) const FIRST_RUN: u16 = 0xc000;
    /// The last of the cells that lead to runs.
    pub(super) const FIRST_NEAR_RUN: u16 = 0xfc00;
    /// How many blocks cells can lead to that do not stand beside the roots.
    pub const BLOCKS: u16 = Self::FIRST_NODE - Self::FIRST_BLOCK;
    /// How many nodes cells can lead to.
    pub const NODES: u16 = Self::FIRST_RUN - Self::FIRST_NODE;
    /// How many single runs cells can lead to that do not stand beside the roots.
    pub const RUNS: u16 = Self::FIRST_NEAR_RUN - Self::FIRST_RUN;

    /// The cell of addresses that all have this source set; nothing if there is none.
    pub fn set(index: u32) -> Option<Self> {
        u16::try_from(index).ok().filter(|index| *index < Self::ASK.0).map(Self)
    }

    /// The cell that leads to the block in this place beside the roots, below [`NEAR_BLOCKS`].
    pub const fn near(place: u16) -> Self {
        Self(Self::FIRST_NEAR + place)
    }

    /// The cell that leads to the block in this place, below [`Cell::BLOCKS`].
    pub const fn block(place: u16) -> Self {
        Self(Self::FIRST_BLOCK + place)
    }

    /// The cell that leads to the node in this place, below [`Cell::NODES`].
    pub const fn node(place: u16) -> Self {
        Self(Self::FIRST_NODE + place)
    }

    /// The cell that leads to the single run in this place, below [`Cell::RUNS`].
    pub const fn run(place: u16) -> Self {
        Self(Self::FIRST_RUN + place)
    }

    /// The cell that leads to the single run in this place beside the roots, below [`NEAR_RUNS`].
    pub const fn near_run(place: u16) -> Self {
        Self(Self::FIRST_NEAR_RUN + place)
    }

    /// Whether it leads nowhere.
    #[inline(always)]
    pub const fn is_last(self) -> bool {
        self.0 <= Self::ASK.0
    }

    /// Whether it leads to a block, where it leads anywhere.
    #[inline(always)]
    pub(super) fn is_block(self) -> bool {
        self.number() < Self::FIRST_NODE.into()
    }

    /// Whether it leads to a single run, where it leads anywhere.
    #[inline(always)]
    pub(super) fn is_run(self) -> bool {
        self.number() >= Self::FIRST_RUN.into()
    }

    /// The place of a block beside the roots, where it leads to such.
    #[inline(always)]
    pub(super) fn near_place(self) -> Option<u64> {
        let place = self.number().wrapping_sub(Self::FIRST_NEAR.into());
        (place < NEAR_BLOCKS as u64).then_some(place)
    }

    /// The place of a single run beside the roots, in its lowest bits, where it leads to such among runs.
    #[inline(always)]
    pub(super) fn near_run_place(self) -> Option<u64> {
        let number = self.number();
        (number >= Self::FIRST_NEAR_RUN.into()).then_some(number)
    }

    /// As wide as a register, and none that LLVM makes a narrow one of.
    #[inline(always)]
    fn number(self) -> u64 {
        opaque(self.0.into())
    }

    /// The source set, where it is one.
    #[inline(always)]
    pub(super) const fn source_set(self) -> Option<u32> {
        if self.0 < Self::ASK.0 { Some(self.0 as u32) } else { None }
    }
}

const _: () = {
    assert!(SOURCE_SETS + NEAR_BLOCKS < Cell::FIRST_NODE as usize);
    assert!(Cell::FIRST_NEAR_RUN as usize + NEAR_RUNS == 1 << 16 && NEAR_RUNS.is_power_of_two());
};

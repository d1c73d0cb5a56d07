//! What an index is made of.

use super::{Cell, SourceFilter, rest::Rest};
use crate::{
    Address,
    verifier::{apart, entry, entry_from_bit, opaque},
};

/// How many runs a node has.
pub const RUNS: usize = 8;
/// How many blocks stand beside the roots, where they are found without a look-up: the first ones of IPv4, for as many /16s.
pub const NEAR_BLOCKS: usize = 64;
/// How many single runs stand there: all of IPv4, or none, so that a processor can foretell where the next one is.
pub const NEAR_RUNS: usize = 1024;

/// Where the look-up in one family's sources begins.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceRoot {
    /// What is added to a cell that leads to a block, round the end of 32 bits, for the block's place among all.
    to_block: u32,
    /// The same for a node.
    to_node: u32,
    /// The same for a single run.
    to_run: u32,
    /// The first of its prefixes among all that are noted beside the tries.
    pub first_prefix: u32,
    /// How many prefixes it has; [`UNKNOWN`](crate::noted_prefix::UNKNOWN) while its trie is written.
    pub prefixes: u32,
    /// A cell for each number that 16 bits can be.
    pub cells: [Cell; 1 << 16],
}

/// Where the look-up of a source begins: in IPv4, in IPv6.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceRoots {
    /// The root of each family.
    pub families: [SourceRoot; 2],
    /// The first blocks of IPv4.
    pub near: [SourceBlock; NEAR_BLOCKS],
    /// The single runs of IPv4, where it has no more.
    pub near_runs: [SourceRun; NEAR_RUNS],
    /// What is in front of all.
    pub filter: SourceFilter,
}

impl SourceRoots {
    /// Where the look-up of this address begins.
    #[inline(always)]
    pub fn of(&self, address: Address) -> &SourceRoot {
        let [v4, v6] = &self.families;
        match address {
            Address::V4(_) => v4,
            Address::V6(_) => {
                // LLVM would reckon the place from the family, which the verifier knows no bounds of.
                apart();
                v6
            }
        }
    }
}

impl SourceRoot {
    /// Where the first of its blocks is among all that do not stand beside it, the first of its nodes and the first of its
    /// single runs.
    pub const fn lead_to(&mut self, [first_block, first_node, first_run]: [u32; 3]) {
        self.to_block = first_block.wrapping_sub(Cell::FIRST_BLOCK as u32);
        self.to_node = first_node.wrapping_sub(Cell::FIRST_NODE as u32);
        self.to_run = first_run.wrapping_sub(Cell::FIRST_RUN as u32);
    }

    /// Lets its cells lead to places that are so many further on.
    pub const fn move_by(&mut self, [blocks, nodes, runs]: [u32; 3]) {
        self.to_block = self.to_block.wrapping_add(blocks);
        self.to_node = self.to_node.wrapping_add(nodes);
        self.to_run = self.to_run.wrapping_add(runs);
    }

    /// The place of the block that a cell leads to.
    #[inline(always)]
    pub(super) fn block(&self, cell: Cell) -> u32 {
        self.to_block.wrapping_add(cell.0.into())
    }

    /// The place of the node that a cell leads to.
    #[inline(always)]
    pub(super) fn node(&self, cell: Cell) -> u32 {
        self.to_node.wrapping_add(cell.0.into())
    }

    /// The place of the single run that a cell leads to.
    #[inline(always)]
    pub(super) fn run(&self, cell: Cell) -> u32 {
        self.to_run.wrapping_add(cell.0.into())
    }
}

/// A cell for each number that 8 bits can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C, align(8))]
pub struct SourceBlock(pub [Cell; 1 << 8]);

impl SourceBlock {
    /// The cell of the next 8 bits.
    #[inline(always)]
    pub(super) fn of(&self, rest: Rest) -> Cell {
        entry_from_bit::<56, _, _>(&self.0, rest.first())
    }
}

/// Cells for runs of the numbers that 32 bits can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceNode {
    /// The number that each run begins with, ascending; the first one begins with 0.
    pub starts: [u32; RUNS],
    /// The cell of each run.
    pub cells: [Cell; RUNS],
}

impl SourceNode {
    /// The cell of the run that a number is in.
    #[inline(always)]
    pub(super) fn of(&self, number: u64) -> Cell {
        // Counted, which needs none of what a search would wait for; and no branch: which way it went nobody could foretell.
        let [_, starts @ ..] = &self.starts;
        let mut run = 0;
        for start in starts {
            run += opaque(u64::from(*start).wrapping_sub(number + 1)) >> 63;
        }
        *entry(&self.cells, run)
    }
}

/// One run among the numbers that 32 bits can be, as a prefix that stands alone makes it, or what many prefixes have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceRun {
    /// The first number of it.
    pub first: u32,
    /// How many follow that one.
    pub more: u32,
    /// The cell of those in it.
    pub inside: Cell,
    /// The cell of all others.
    pub outside: Cell,
    /// Behind how many bits the cell inside leads on: 16, 24 or 32.
    pub bits: u32,
}

impl SourceRun {
    /// The cell of a number.
    #[inline(always)]
    pub(super) const fn of(&self, number: u64) -> Cell {
        if number.wrapping_sub(self.first as u64) <= self.more as u64 { self.inside } else { self.outside }
    }
}

const _: () = {
    assert!(RUNS == 8 && size_of::<SourceNode>() == 48 && size_of::<SourceRun>() == 16);
    assert!(size_of::<SourceBlock>() == 512);
    assert!(size_of::<SourceRoots>().is_multiple_of(8));
};

//! A table in front of the source tries: the same answer in a few loads.
//!
//! A multibit trie. The first 16 bits of an address choose a cell of the [`SourceRoot`]. A cell is the source set itself, or
//! leads to where the next 16 bits are looked up: in a [`SourceNode`], which has up to [`RUNS`] runs of numbers with the same
//! cell, or, where there are more, in a [`SourceBlock`] by 8 bits, behind which comes a set, another block or a node.
//! Where there is no room, or no more bits, the cell says to ask the trie.

use crate::{
    Address,
    tables::SOURCE_SETS,
    verifier::{entry, opaque},
};

/// How many runs a node has.
pub const RUNS: usize = 8;

/// What is known of addresses that begin alike.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Cell(u16);

impl Cell {
    /// No source.
    const UNLISTED: Self = Self(0);
    /// Ask the trie.
    #[expect(clippy::cast_possible_truncation, reason = "asserted below")]
    pub const ASK: Self = Self(SOURCE_SETS as u16);
    const FIRST_BLOCK: u16 = Self::ASK.0 + 1;
    /// Behind the cells of blocks. What three prefixes part fits into a node, so 100,000 need 25,000 blocks at the most for
    /// their first 16 bits in IPv4.
    const FIRST_NODE: u16 = 0x8000;
    /// How many blocks cells can lead to.
    pub const BLOCKS: u16 = Self::FIRST_NODE - Self::FIRST_BLOCK;
    /// How many nodes cells can lead to.
    pub const NODES: u16 = u16::MAX - Self::FIRST_NODE;

    /// The cell of addresses that all have this source set; nothing if there is none.
    pub fn set(index: u32) -> Option<Self> {
        u16::try_from(index).ok().filter(|index| *index < Self::ASK.0).map(Self)
    }

    /// The cell that leads to the block in this place, below [`Cell::BLOCKS`].
    pub const fn block(place: u16) -> Self {
        Self(Self::FIRST_BLOCK + place)
    }

    /// The cell that leads to the node in this place, below [`Cell::NODES`].
    pub const fn node(place: u16) -> Self {
        Self(Self::FIRST_NODE + place)
    }

    /// Whether it leads nowhere.
    #[inline(always)]
    pub const fn is_last(self) -> bool {
        self.0 <= Self::ASK.0
    }

    #[inline(always)]
    const fn is_block(self) -> bool {
        self.0 < Self::FIRST_NODE
    }

    /// The source set, where it is one.
    #[inline(always)]
    const fn source_set(self) -> Option<u32> {
        if self.0 < Self::ASK.0 { Some(self.0 as u32) } else { None }
    }
}

/// Where the look-up in one family's sources begins.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceRoot {
    /// What is added to a cell that leads to a block, round the end of 32 bits, for the block's place among all.
    to_block: u32,
    /// The same for a node.
    to_node: u32,
    /// The first of its prefixes among all that are noted beside the tries.
    pub first_prefix: u32,
    /// How many prefixes it has; [`UNKNOWN`](crate::noted_prefix::UNKNOWN) while its trie is written.
    pub prefixes: u32,
    /// A cell for each number that 16 bits can be.
    pub cells: [Cell; 1 << 16],
}

impl SourceRoot {
    /// Where the first of its blocks is among all, and the first of its nodes.
    pub const fn lead_to(&mut self, first_block: u32, first_node: u32) {
        self.to_block = first_block.wrapping_sub(Cell::FIRST_BLOCK as u32);
        self.to_node = first_node.wrapping_sub(Cell::FIRST_NODE as u32);
    }
}

/// A cell for each number that 8 bits can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct SourceBlock(pub [Cell; 1 << 8]);

/// Cells for runs of the numbers that 16 bits can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceNode {
    /// The number that each run begins with, ascending; the first one begins with 0.
    pub starts: [u16; RUNS],
    /// The cell of each run.
    pub cells: [Cell; RUNS],
}

impl SourceNode {
    /// The cell of the run that the number is in.
    #[inline(always)]
    fn of(&self, number: u16) -> Cell {
        // Written out: the verifier follows no search.
        let run = self.later(4, number);
        let run = run + self.later(run + 2, number) / 2;
        let run = run + self.later(run + 1, number) / 4;
        *entry(&self.cells, run)
    }

    /// 4 where the number is not before the run in this place, else 0. No branch: which way it went nobody could foretell.
    #[inline(always)]
    fn later(&self, run: u64, number: u16) -> u64 {
        let before = opaque(u64::from(number).wrapping_sub((*entry(&self.starts, run)).into())) >> 63;
        before.wrapping_sub(1) & 4
    }
}

/// The index of one generation's sources, wherever it is.
pub trait SourceIndex {
    /// Where the look-up of addresses of this family begins.
    fn root(&self, address: Address) -> Option<&SourceRoot>;

    /// The block in this place among all.
    fn block(&self, place: u32) -> Option<&SourceBlock>;

    /// The node in this place among all.
    fn node(&self, place: u32) -> Option<&SourceNode>;
}

/// The index of the source set of an address; nothing where the trie has to be asked.
#[inline(always)]
pub fn look_up<I: SourceIndex>(index: &I, address: Address) -> Option<u32> {
    let root = index.root(address)?;
    let cell = match address {
        Address::V4(address) => {
            let cell = *entry(&root.cells, address >> 16);
            // What most of a flood has.
            if cell == Cell::UNLISTED {
                return Some(0);
            }
            if cell.is_last() { cell } else { descend(index, root, cell, address.into())? }
        }
        Address::V6([high, low]) => {
            let mut cell = *entry(&root.cells, high >> 48);
            for (word, numbers) in [(high << 16, 3), (low, 4)] {
                let mut rest = word;
                for _ in 0..numbers {
                    if cell.is_last() {
                        return cell.source_set();
                    }
                    cell = descend(index, root, cell, rest >> 48)?;
                    rest <<= 16;
                }
            }
            cell
        }
    };
    cell.source_set()
}

/// The cell that another one leads to by the next 16 bits, which are the last of a number.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the last 16 bits are taken")]
fn descend<I: SourceIndex>(index: &I, root: &SourceRoot, from: Cell, number: u64) -> Option<Cell> {
    let block = |cell: Cell| index.block(root.to_block.wrapping_add(cell.0.into()));
    let mut cell = from;
    if cell.is_block() {
        cell = *entry(&block(cell)?.0, number >> 8);
        if cell.is_last() {
            return Some(cell);
        }
    }
    if cell.is_block() {
        return Some(*entry(&block(cell)?.0, number));
    }
    Some(index.node(root.to_node.wrapping_add(cell.0.into()))?.of(number as u16))
}

const _: () = {
    assert!(SOURCE_SETS < Cell::FIRST_NODE as usize && RUNS == 8);
    assert!(size_of::<SourceNode>() == 32 && size_of::<SourceBlock>() == 512);
    assert!(size_of::<SourceRoot>().is_multiple_of(8));
};

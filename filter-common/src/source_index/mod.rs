//! A table in front of the source tries: the same answer in a few loads.
//!
//! What is unlisted a [`SourceFilter`] tells, nearly always, by words of its own or, where there are many sources, in
//! [`FilterBlocks`]. Behind it stands a multibit trie. The first 16 bits of an address
//! choose a cell of the [`SourceRoot`]. A cell is the source set itself, or leads to where the next 16 bits are looked up: in a
//! [`SourceRun`], where a prefix stands alone, in a [`SourceNode`], which has up to [`RUNS`] runs of numbers with the same cell,
//! or, where there are more, in a [`SourceBlock`] by 8 bits, behind which comes any of these. The first blocks of IPv4 are all
//! that most policies need; they stand beside the roots. Where there is no room, or no more bits, the cell says to ask the
//! trie.

mod cell;
mod filter;
mod filter_blocks;
mod parts;

pub use self::{
    cell::Cell,
    filter::SourceFilter,
    filter_blocks::{FILTER_BLOCK_BITS, FilterBlocks},
    parts::{NEAR_BLOCKS, RUNS, SourceBlock, SourceNode, SourceRoot, SourceRoots, SourceRun},
};
use crate::{
    Address,
    verifier::{entry, entry_from_bit},
};

/// The index of one generation's sources, wherever it is.
pub trait SourceIndex {
    /// Where the look-up begins.
    fn roots(&self) -> &SourceRoots;

    /// The block in this place among all that do not stand beside the roots.
    fn block(&self, place: u32) -> Option<&SourceBlock>;

    /// The node in this place among all.
    fn node(&self, place: u32) -> Option<&SourceNode>;

    /// The single run in this place among all.
    fn run(&self, place: u32) -> Option<&SourceRun>;
}

/// The index of the source set of an address; nothing where the trie has to be asked.
#[inline(always)]
pub fn look_up<I: SourceIndex>(index: &I, address: Address) -> Option<u32> {
    let roots = index.roots();
    let hash = roots.filter.hash(address);
    let [SourceRoot { filter_blocks, .. }, _] = &roots.families;
    let word = if filter_blocks.is_some() {
        index.block(filter_blocks.place(hash))?.word(filter_blocks.number(hash))
    } else {
        roots.filter.word(hash)
    };
    if !SourceFilter::has(word, hash) {
        return Some(0);
    }
    let root = roots.of(address);
    match address {
        Address::V4(address) => look_up_v4(index, root, address.into()),
        Address::V6(words) => look_up_v6(index, root, words),
    }
}

/// That of an IPv4 address.
#[inline(always)]
fn look_up_v4<I: SourceIndex>(index: &I, root: &SourceRoot, number: u64) -> Option<u32> {
    let mut cell = entry_from_bit::<16, _, _>(&root.cells, number);
    if !cell.is_last() {
        cell = descend(index, root, cell, number)?;
    }
    cell.source_set()
}

/// That of an IPv6 address.
#[inline(always)]
fn look_up_v6<I: SourceIndex>(index: &I, root: &SourceRoot, [high, low]: [u64; 2]) -> Option<u32> {
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
    cell.source_set()
}

/// The cell that another one leads to by the next 16 bits, which are the last of a number.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the last 16 bits are taken")]
fn descend<I: SourceIndex>(index: &I, root: &SourceRoot, from: Cell, number: u64) -> Option<Cell> {
    let mut cell = from;
    if cell.is_block() {
        cell = entry_from_bit::<8, _, _>(&block(index, root, cell)?.0, number);
        if cell.is_last() {
            return Some(cell);
        }
    }
    if cell.is_run() {
        return Some(index.run(root.run(cell))?.of(number as u16));
    }
    if cell.is_block() {
        return Some(*entry(&block(index, root, cell)?.0, number));
    }
    Some(index.node(root.node(cell))?.of(number as u16))
}

/// The block that a cell leads to.
#[inline(always)]
fn block<'a, I: SourceIndex>(index: &'a I, root: &SourceRoot, cell: Cell) -> Option<&'a SourceBlock> {
    match cell.near_place() {
        Some(place) => Some(entry(&index.roots().near, place)),
        None => index.block(root.block(cell)),
    }
}

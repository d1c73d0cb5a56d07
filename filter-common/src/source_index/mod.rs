//! A table in front of the source tries: the same answer in a few loads.
//!
//! What is unlisted a [`SourceFilter`] tells, nearly always, by words of its own or, where there are many sources, in
//! [`FilterBlocks`]. Behind it stands a multibit trie. The first 16 bits of an address
//! choose a cell of the [`SourceRoot`]. A cell is the source set itself, or leads to where the next bits are looked up: 32 of
//! them in a [`SourceRun`], where a prefix stands alone, and in a [`SourceNode`], which has up to [`RUNS`] runs of numbers with
//! the same cell, or, where there are more, 8 of them in a [`SourceBlock`], behind which comes any of these. Of IPv6 a run can
//! also be what many prefixes have in common in the next 16 or 24 bits. The first blocks and the single runs of IPv4 are all that
//! most policies need; they stand beside the roots. Where there is no room, the cell says to ask the trie, and so do those of
//! sources that no packet may have, where they are listed: what needs no trie needs no look at that either.

mod cell;
mod filter;
mod filter_blocks;
mod parts;
mod rest;

use core::hint::cold_path;

use self::rest::Rest;
pub use self::{
    cell::Cell,
    filter::{FilterForm, SourceFilter},
    filter_blocks::{FILTER_BLOCK_BITS, FilterBlocks},
    parts::{NEAR_BLOCKS, NEAR_RUNS, RUNS, SourceBlock, SourceNode, SourceRoot, SourceRoots, SourceRun},
};
use crate::{
    Address,
    verifier::{entry, entry_from_bit},
};

/// The index of one generation's sources, wherever it is.
pub trait SourceIndex {
    /// The form of the filter.
    fn form(&self) -> &FilterForm;

    /// Where the look-up begins.
    fn roots(&self) -> &SourceRoots;

    /// The block in this place among all that do not stand beside the roots.
    fn block(&self, place: u32) -> Option<&SourceBlock>;

    /// The node in this place among all.
    fn node(&self, place: u32) -> Option<&SourceNode>;

    /// The single run in this place among all that do not stand beside the roots.
    fn run(&self, place: u32) -> Option<&SourceRun>;
}

/// The source set of an address: what the index knows, or what the trie says that has to be asked.
///
/// Where a packet may not come from there is none, whatever the trie says: an index leaves such addresses to it.
#[inline(always)]
pub fn source_set<I: SourceIndex>(index: &I, address: Address, ask: impl FnOnce() -> u32) -> u32 {
    if let Some(set) = look_up(index, address) {
        return set;
    }
    cold_path();
    if address.is_martian_source() { 0 } else { ask() }
}

/// The index of the source set of an address; nothing where the trie has to be asked.
#[inline(always)]
pub fn look_up<I: SourceIndex>(index: &I, address: Address) -> Option<u32> {
    let (form, roots) = (index.form(), index.roots());
    let hash = form.hash(address);
    let word =
        if form.blocks.is_some() { index.block(form.blocks.place(hash))?.word(hash) } else { roots.filter.word(hash) };
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
        (cell, _) = descend(index, root, cell, Rest::of_v4(number))?;
    }
    cell.source_set()
}

/// That of an IPv6 address.
#[inline(always)]
fn look_up_v6<I: SourceIndex>(index: &I, root: &SourceRoot, words: [u64; 2]) -> Option<u32> {
    let [high, _] = words;
    let (mut cell, mut rest) = (*entry(&root.cells, high >> 48), Rest::of_v6(words));
    for _ in 0..DESCENTS {
        if cell.is_last() {
            break;
        }
        (cell, rest) = descend(index, root, cell, rest)?;
    }
    cell.source_set()
}

/// How often an IPv6 address goes on from a cell at the most: each time by 16 bits or more.
const DESCENTS: u32 = 7;

/// The cell that another one leads to by what is left of an address, and what is left behind that: 16 bits less, or more, where
/// the cell leads on.
#[inline(always)]
fn descend<I: SourceIndex>(index: &I, root: &SourceRoot, from: Cell, from_rest: Rest) -> Option<(Cell, Rest)> {
    let (mut cell, mut rest) = (from, from_rest);
    if cell.is_block() {
        (cell, rest) = (block(index, root, cell)?.of(rest), rest.behind(8));
        if cell.is_last() {
            return Some((cell, rest));
        }
    }
    if cell.is_run() {
        let run = run(index, root, cell)?;
        return Some((run.of(rest.number()), rest.behind(run.bits)));
    }
    if cell.is_block() {
        return Some((block(index, root, cell)?.of(rest), rest.behind(8)));
    }
    Some((index.node(root.node(cell))?.of(rest.number()), rest.behind(32)))
}

/// The single run that a cell leads to.
#[inline(always)]
fn run<'a, I: SourceIndex>(index: &'a I, root: &SourceRoot, cell: Cell) -> Option<&'a SourceRun> {
    match cell.near_run_place() {
        Some(place) => Some(entry(&index.roots().near_runs, place)),
        None => index.run(root.run(cell)),
    }
}

/// The block that a cell leads to.
#[inline(always)]
fn block<'a, I: SourceIndex>(index: &'a I, root: &SourceRoot, cell: Cell) -> Option<&'a SourceBlock> {
    match cell.near_place() {
        Some(place) => Some(entry(&index.roots().near, place)),
        None => index.block(root.block(cell)),
    }
}

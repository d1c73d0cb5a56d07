//! The parts of an index, made from where the sets of one family's sources change.

use filter_common::source_index::{Cell, RUNS, SourceBlock, SourceNode, SourceRun};

use super::{Cut, IndexRoom, Run, WIDTH, fill};

/// How many bits a run and a node look at, and a block.
const NUMBER: u32 = 32;
const OCTET: u32 = 8;

/// An index that is being made.
pub(super) struct Making {
    /// How many blocks and single runs stand beside the roots, the first ones.
    pub(super) near: Near,
    /// How many bits an address has.
    width: u32,
    pub(super) blocks: Vec<SourceBlock>,
    pub(super) nodes: Vec<SourceNode>,
    pub(super) runs: Vec<SourceRun>,
    room: IndexRoom,
}

/// How many parts stand beside the roots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Near {
    pub(super) blocks: usize,
    pub(super) runs: usize,
}

/// Numbers, up to the first one of the next part, that have a cell, or one number for which more bits have to be looked up.
struct Part<'a> {
    first: u32,
    /// The cell, from the first address on.
    cell: Cell,
    /// Where it changes within the number.
    inside: &'a [Cut],
}

impl Near {
    pub(super) const NONE: Self = Self { blocks: 0, runs: 0 };
}

impl Making {
    pub(super) const fn new(width: u32, near: Near, room: IndexRoom) -> Self {
        Self { near, width, blocks: Vec::new(), nodes: Vec::new(), runs: Vec::new(), room }
    }

    /// The runs of the first 16 bits, by the cuts.
    pub(super) fn root(&mut self, cuts: &[Cut]) -> Vec<Run> {
        const BITS: u32 = 16;
        self.runs_of(BITS, parts(0, BITS, cuts, Cell::default(), usize::MAX))
    }

    /// The runs that parts come to, behind so many bits of the address.
    fn runs_of(&mut self, depth: u32, parts: Option<Vec<Part<'_>>>) -> Vec<Run> {
        let parts = parts.into_iter().flatten();
        parts.map(|Part { first, cell, inside }| (first, self.beyond(depth, inside, cell))).collect()
    }

    /// The cell behind so many bits, by the cuts behind the first address, at which `cell` holds: that, if there are none.
    fn beyond(&mut self, depth: u32, cuts: &[Cut], cell: Cell) -> Cell {
        if cuts.is_empty() {
            return cell;
        }
        let few = parts(depth, NUMBER, cuts, cell, RUNS);
        if few.is_some() {
            let runs = self.runs_of(depth + NUMBER, few);
            return self.few(&runs);
        }
        self.in_common(depth, cuts, cell).unwrap_or_else(|| self.block_by_octet(depth, cuts, cell))
    }

    /// A cell that leads to a few runs.
    fn few(&mut self, runs: &[Run]) -> Cell {
        single(runs).and_then(|single| self.run(single)).map_or_else(|| self.node(runs), |(_, cell)| cell)
    }

    /// A cell that leads to a single run, and the place of that.
    fn run(&mut self, run: SourceRun) -> Option<(usize, Cell)> {
        let place = self.runs.len();
        let (cell, number): (fn(u16) -> Cell, usize) = match place.checked_sub(self.near.runs) {
            None => (Cell::near_run, place),
            Some(further) if further < self.room.runs => (Cell::run, further),
            Some(_) => return None,
        };
        let cell = u16::try_from(number).ok().map(cell)?;
        self.runs.push(run);
        Some((place, cell))
    }

    /// A cell that leads to a node with these runs.
    fn node(&mut self, runs: &[Run]) -> Cell {
        let place = self.nodes.len();
        if place >= self.room.nodes {
            return Cell::ASK;
        }
        // Runs that there are not are like the last one.
        let (_, last) = runs[runs.len() - 1];
        let mut node = SourceNode { starts: [u32::MAX; RUNS], cells: [last; RUNS] };
        for ((start, cell), run) in node.starts.iter_mut().zip(&mut node.cells).zip(runs) {
            (*start, *cell) = *run;
        }
        self.nodes.push(node);
        u16::try_from(place).map_or(Cell::ASK, Cell::node)
    }

    /// A cell that leads to a run of what all cuts have in common in the next 24 or 16 bits, if they have.
    fn in_common(&mut self, depth: u32, cuts: &[Cut], cell: Cell) -> Option<Cell> {
        // The look-up of an IPv4 address goes on but once, and so does none of the last bits of an IPv6 address.
        if depth + NUMBER >= self.width {
            return None;
        }
        let (bits, Part { first, cell, inside }, outside) = [24, 16].into_iter().find_map(|bits| {
            let (part, outside) = only_one(parts(depth, bits, cuts, cell, 3)?)?;
            Some((bits, part, outside))
        })?;
        let rest = NUMBER - bits;
        let run = SourceRun { first: first << rest, more: (1 << rest) - 1, inside: Cell::ASK, outside, bits };
        let (place, to_run) = self.run(run)?;
        self.runs[place].inside = self.beyond(depth + bits, inside, cell);
        Some(to_run)
    }

    /// A cell that leads to a block by the next 8 bits.
    fn block_by_octet(&mut self, depth: u32, cuts: &[Cut], cell: Cell) -> Cell {
        let Some(place) = self.block() else { return Cell::ASK };
        let runs = self.runs_of(depth + OCTET, parts(depth, OCTET, cuts, cell, usize::MAX));
        fill(&mut self.blocks[place].0, &runs);
        self.cell_of(place)
    }

    /// The place of a new block.
    fn block(&mut self) -> Option<usize> {
        let place = self.blocks.len();
        if place >= self.near.blocks + self.room.blocks {
            return None;
        }
        self.blocks.push(SourceBlock([Cell::default(); 1 << 8]));
        Some(place)
    }

    /// The cell that leads to a block.
    fn cell_of(&self, place: usize) -> Cell {
        let (cell, place): (fn(u16) -> Cell, usize) =
            if place < self.near.blocks { (Cell::near, place) } else { (Cell::block, place - self.near.blocks) };
        u16::try_from(place).map_or(Cell::ASK, cell)
    }
}

/// The parts of the numbers that so many bits behind `depth` others are, at most 32, by the cuts behind the first address, at which
/// `cell` holds; nothing if they are more than `most`.
fn parts(depth: u32, bits: u32, cuts: &[Cut], mut cell: Cell, most: usize) -> Option<Vec<Part<'_>>> {
    #[expect(clippy::cast_possible_truncation, reason = "it is shifted down to so many bits")]
    let number = |(start, _): &Cut| ((start << depth) >> (WIDTH - bits)) as u32;
    let mut parts = vec![Part { first: 0, cell, inside: &[] }];
    for same in cuts.chunk_by(|one, next| number(one) == number(next)) {
        let first = number(&same[0]);
        let begins_there = same[0].0.checked_shl(depth + bits).is_none_or(|rest| rest == 0);
        let (begin, inside) = if begins_there { (same[0].1, &same[1..]) } else { (cell, same) };
        add(&mut parts, Part { first, cell: begin, inside });
        cell = same[same.len() - 1].1;
        if let Some(next) = first.checked_add(1)
            && !inside.is_empty()
            && next.checked_shr(bits).unwrap_or_default() == 0
        {
            add(&mut parts, Part { first: next, cell, inside: &[] });
        }
        // No cut makes them fewer.
        if parts.len() > most {
            return None;
        }
    }
    Some(parts)
}

/// Adds a part behind others, unless the last one goes on.
fn add<'a>(parts: &mut Vec<Part<'a>>, part: Part<'a>) {
    parts.pop_if(|before| before.first == part.first);
    let goes_on = |before: &Part<'_>| before.inside.is_empty() && part.inside.is_empty() && before.cell == part.cell;
    if !parts.last().is_some_and(goes_on) {
        parts.push(part);
    }
}

/// The part for which more bits have to be looked up, if it is one among others that are all alike, and the cell of these.
fn only_one(mut parts: Vec<Part<'_>>) -> Option<(Part<'_>, Cell)> {
    let part = parts.remove(parts.iter().position(|part| !part.inside.is_empty())?);
    let outside = parts.first()?.cell;
    parts.iter().all(|other| other.inside.is_empty() && other.cell == outside).then_some((part, outside))
}

/// These runs as one among others that are all alike, if there is such.
fn single(runs: &[Run]) -> Option<SourceRun> {
    let (first, last, inside, outside) = match *runs {
        [(_, outside), (first, inside)] => (first, u32::MAX, inside, outside),
        [(_, outside), (first, inside), (next, after)] if after == outside => (first, next - 1, inside, outside),
        _ => return None,
    };
    Some(SourceRun { first, more: last - first, inside, outside, bits: NUMBER })
}

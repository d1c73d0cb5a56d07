//! The parts of an index, made from where the sets of one family's sources change.

use filter_common::source_index::{Cell, RUNS, SourceBlock, SourceNode, SourceRun};

use super::{Cut, IndexRoom, Run, WIDTH, fill};

/// How many bits are looked up at a time.
const STRIDE: u32 = 16;

/// An index that is being made.
pub(super) struct Making {
    /// How many blocks stand beside the roots, the first ones.
    pub(super) near: usize,
    pub(super) blocks: Vec<SourceBlock>,
    pub(super) nodes: Vec<SourceNode>,
    pub(super) runs: Vec<SourceRun>,
    room: IndexRoom,
}

impl Making {
    pub(super) const fn new(near: usize, room: IndexRoom) -> Self {
        Self { near, blocks: Vec::new(), nodes: Vec::new(), runs: Vec::new(), room }
    }

    /// The runs of the 16 bits behind `depth` of them, by the cuts behind their first address, from which on `cell` holds.
    pub(super) fn level(&mut self, depth: u32, cuts: &[Cut], mut cell: Cell) -> Vec<Run> {
        let shift = WIDTH - STRIDE - depth;
        #[expect(clippy::cast_possible_truncation, reason = "the bits above are those that were looked up before")]
        let number = |(start, _): &Cut| (start >> shift) as u16;
        // Each cut begins a run, and another behind it at the most.
        let mut runs = Vec::with_capacity(2 * cuts.len() + 1);
        runs.push((0, cell));
        for same in cuts.chunk_by(|one, next| number(one) == number(next)) {
            let at = number(&same[0]);
            let begins_there = same[0].0.trailing_zeros() >= shift;
            let (first, inside) = if begins_there { (same[0].1, &same[1..]) } else { (cell, same) };
            let within = if inside.is_empty() { first } else { self.deeper(depth + STRIDE, inside, first) };
            run(&mut runs, at, within);
            cell = same[same.len() - 1].1;
            if let Some(next) = at.checked_add(1) {
                run(&mut runs, next, cell);
            }
        }
        runs
    }

    fn deeper(&mut self, depth: u32, cuts: &[Cut], cell: Cell) -> Cell {
        let runs = self.level(depth, cuts, cell);
        if runs.len() <= RUNS { self.few(&runs) } else { self.upper_block(&runs) }
    }

    /// A cell that leads to a few runs.
    fn few(&mut self, runs: &[Run]) -> Cell {
        match single(runs) {
            Some(single) if self.runs.len() < self.room.runs => {
                let place = self.runs.len();
                self.runs.push(single);
                u16::try_from(place).map_or(Cell::ASK, Cell::run)
            }
            _ => self.node(runs),
        }
    }

    /// A cell that leads to a node with these runs.
    fn node(&mut self, runs: &[Run]) -> Cell {
        let place = self.nodes.len();
        if place >= self.room.nodes {
            return Cell::ASK;
        }
        // Runs that there are not are like the last one.
        let (_, last) = runs[runs.len() - 1];
        let mut node = SourceNode { starts: [u16::MAX; RUNS], cells: [last; RUNS] };
        for ((start, cell), run) in node.starts.iter_mut().zip(&mut node.cells).zip(runs) {
            (*start, *cell) = *run;
        }
        self.nodes.push(node);
        u16::try_from(place).map_or(Cell::ASK, Cell::node)
    }

    /// A cell that leads to a block by the upper 8 bits.
    fn upper_block(&mut self, runs: &[Run]) -> Cell {
        let Some(place) = self.block() else { return Cell::ASK };
        let mut cells = [Cell::default(); 1 << 8];
        let whole: Vec<Run> = runs.iter().map(|(start, cell)| (start.div_ceil(1 << 8), *cell)).collect();
        fill(&mut cells, 0, &whole);
        // Few of the upper bits have runs that begin behind their first number.
        for parted in runs.chunk_by(|(one, _), (next, _)| one >> 8 == next >> 8) {
            if parted.iter().any(|(start, _)| start & 0xff != 0) {
                let [upper, _] = parted[0].0.to_be_bytes();
                cells[usize::from(upper)] = self.parted(upper, &within(runs, upper));
            }
        }
        self.blocks[place] = SourceBlock(cells);
        self.cell_of(place)
    }

    /// A cell that leads to several runs that have the upper 8 bits.
    fn parted(&mut self, upper: u8, runs: &[Run]) -> Cell {
        if runs.len() <= RUNS { self.few(runs) } else { self.lower_block(upper, runs) }
    }

    /// A cell that leads to a block by the lower 8 bits.
    fn lower_block(&mut self, upper: u8, runs: &[Run]) -> Cell {
        let Some(place) = self.block() else { return Cell::ASK };
        fill(&mut self.blocks[place].0, u16::from(upper) << 8, runs);
        self.cell_of(place)
    }

    /// The place of a new block.
    fn block(&mut self) -> Option<usize> {
        let place = self.blocks.len();
        if place >= self.near + self.room.blocks {
            return None;
        }
        self.blocks.push(SourceBlock([Cell::default(); 1 << 8]));
        Some(place)
    }

    /// The cell that leads to a block.
    fn cell_of(&self, place: usize) -> Cell {
        let (cell, place): (fn(u16) -> Cell, usize) =
            if place < self.near { (Cell::near, place) } else { (Cell::block, place - self.near) };
        u16::try_from(place).map_or(Cell::ASK, cell)
    }
}

/// These runs as one among others that are all alike, if there is such.
fn single(runs: &[Run]) -> Option<SourceRun> {
    let (first, last, inside, outside) = match *runs {
        [(_, outside), (first, inside)] => (first, u16::MAX, inside, outside),
        [(_, outside), (first, inside), (next, after)] if after == outside => (first, next - 1, inside, outside),
        _ => return None,
    };
    Some(SourceRun { first, more: last - first, inside, outside })
}

/// Lets a cell hold from a number on.
fn run(runs: &mut Vec<Run>, from: u16, cell: Cell) {
    runs.pop_if(|(start, _)| *start == from);
    if runs.last().is_none_or(|(_, before)| *before != cell) {
        runs.push((from, cell));
    }
}

/// The runs of the numbers with these upper 8 bits.
fn within(runs: &[Run], upper: u8) -> Vec<Run> {
    let first = u16::from(upper) << 8;
    let begun = runs.partition_point(|(start, _)| *start <= first);
    let ended = runs.partition_point(|(start, _)| *start <= first | 0xff);
    // The first run of all begins with 0.
    let mut within = vec![(first, runs[begun.saturating_sub(1)].1)];
    within.extend_from_slice(&runs[begun..ended]);
    within
}

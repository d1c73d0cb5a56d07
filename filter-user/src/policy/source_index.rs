//! The table in front of the source tries, made from the prefixes that they have.

use std::net::IpAddr;

use bytemuck::zeroed_box;
use filter_common::source_index::{
    Cell, NEAR_BLOCKS, RUNS, SourceBlock, SourceIndex, SourceNode, SourceRoots, SourceRun,
};
use ipnet::IpNet;

use super::source_filter;

/// How many blocks, nodes and single runs an index may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IndexRoom {
    /// Blocks that do not stand beside the roots.
    pub blocks: usize,
    /// Nodes.
    pub nodes: usize,
    /// Single runs.
    pub runs: usize,
}

impl IndexRoom {
    /// All that the cells of both families can lead to.
    pub const MOST: Self =
        Self { blocks: 2 * Cell::BLOCKS as usize, nodes: 2 * Cell::NODES as usize, runs: 2 * Cell::RUNS as usize };

    /// What the index of these sources, which ascend, takes up of it.
    pub fn taken_by(sources: &[(IpNet, u32)]) -> Self {
        let [blocks, nodes, runs] = HostIndex::without_filter(sources, Self::MOST, NEAR_BLOCKS).counts();
        Self { blocks, nodes, runs }
    }

    /// As much of it as the cells of one family can lead to.
    fn in_cells(self) -> Self {
        Self {
            blocks: self.blocks.min(Cell::BLOCKS.into()),
            nodes: self.nodes.min(Cell::NODES.into()),
            runs: self.runs.min(Cell::RUNS.into()),
        }
    }
}

/// The index of a policy's sources, of both families.
#[derive(Clone)]
pub struct HostIndex {
    /// Where the look-up begins. Its cells lead to the parts below as if these were all that there are.
    pub roots: Box<SourceRoots>,
    /// The blocks that do not stand beside the roots.
    pub blocks: Vec<SourceBlock>,
    /// The nodes.
    pub nodes: Vec<SourceNode>,
    /// The single runs.
    pub runs: Vec<SourceRun>,
}

/// The first number from which on a cell holds.
type Run = (u16, Cell);

/// An address, its bits in the upper part whatever its family, from which on another set holds, as a cell.
type Cut = (u128, Cell);

/// How many bits an address has.
const WIDTH: u32 = u128::BITS;

/// How many bits are looked up at a time.
const STRIDE: u32 = 16;

impl HostIndex {
    /// The index of the sources, which ascend; what they say of sets is that of the tries.
    ///
    /// Where there is no room for more, the trie is to be asked.
    pub fn new(sources: &[(IpNet, u32)], room: IndexRoom) -> Self {
        Self::with_near(sources, room, NEAR_BLOCKS)
    }

    /// The same with so many blocks beside the roots.
    fn with_near(sources: &[(IpNet, u32)], room: IndexRoom, near: usize) -> Self {
        let mut index = Self::without_filter(sources, room, near);
        source_filter::fill(&mut index.roots.filter, sources);
        index
    }

    /// The same with an empty filter.
    fn without_filter(sources: &[(IpNet, u32)], room: IndexRoom, near: usize) -> Self {
        let mut index = Self { roots: zeroed_box(), blocks: Vec::new(), nodes: Vec::new(), runs: Vec::new() };
        for (family, v4) in [true, false].into_iter().enumerate() {
            let [blocks, nodes, runs] = index.counts();
            let left = IndexRoom { blocks: room.blocks - blocks, nodes: room.nodes - nodes, runs: room.runs - runs };
            let near = if v4 { near } else { 0 };
            let mut made =
                Making { near, blocks: Vec::new(), nodes: Vec::new(), runs: Vec::new(), room: left.in_cells() };
            let cuts = cuts(sources.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == v4));
            let cells = made.level(0, &cuts, Cell::default());
            index.take(family, &cells, made);
        }
        index
    }

    /// How many blocks, nodes and single runs it has.
    const fn counts(&self) -> [usize; 3] {
        [self.blocks.len(), self.nodes.len(), self.runs.len()]
    }

    /// Adds what was made of a family, with the cells of its root.
    fn take(&mut self, family: usize, cells: &[Run], made: Making) {
        let [blocks, nodes, runs] = self.counts();
        let root = &mut self.roots.families[family];
        root.lead_to([blocks, nodes, runs].map(place));
        fill(&mut root.cells, 0, cells);
        let (near, far) = made.blocks.split_at(made.near.min(made.blocks.len()));
        self.roots.near[..near.len()].copy_from_slice(near);
        self.blocks.extend_from_slice(far);
        self.nodes.extend(made.nodes);
        self.runs.extend(made.runs);
    }
}

/// A number of parts, of which there are fewer than that.
#[expect(clippy::cast_possible_truncation, reason = "cells lead to fewer")]
const fn place(count: usize) -> u32 {
    count as u32
}

impl SourceIndex for HostIndex {
    fn roots(&self) -> &SourceRoots {
        &self.roots
    }

    fn block(&self, place: u32) -> Option<&SourceBlock> {
        self.blocks.get(usize::try_from(place).ok()?)
    }

    fn node(&self, place: u32) -> Option<&SourceNode> {
        self.nodes.get(usize::try_from(place).ok()?)
    }

    fn run(&self, place: u32) -> Option<&SourceRun> {
        self.runs.get(usize::try_from(place).ok()?)
    }
}

/// Where the set of the longest prefix changes, ascending.
fn cuts<'a>(sources: impl Iterator<Item = &'a (IpNet, u32)>) -> Vec<Cut> {
    let mut cuts = Vec::new();
    // The last address of each prefix that covers the current one, outermost first, with its cell.
    let mut around: Vec<(u128, Cell)> = Vec::new();
    for (prefix, set) in sources {
        let (first, last) = ends(prefix);
        close(&mut cuts, &mut around, Some(first));
        let cell = Cell::set(*set).unwrap_or(Cell::ASK);
        cut(&mut cuts, first, cell);
        around.push((last, cell));
    }
    close(&mut cuts, &mut around, None);
    cuts
}

/// Ends the prefixes that end before an address; all, if none is given.
fn close(cuts: &mut Vec<Cut>, around: &mut Vec<(u128, Cell)>, before: Option<u128>) {
    while let Some((last, _)) = around.pop_if(|(last, _)| before.is_none_or(|address| *last < address)) {
        if let Some(next) = last.checked_add(1) {
            cut(cuts, next, around.last().map_or_else(Cell::default, |(_, cell)| *cell));
        }
    }
}

/// Lets a cell hold from an address on.
fn cut(cuts: &mut Vec<Cut>, from: u128, cell: Cell) {
    cuts.pop_if(|(start, _)| *start == from);
    if cuts.last().map_or_else(Cell::default, |(_, before)| *before) != cell {
        cuts.push((from, cell));
    }
}

/// The first address of a prefix and its last.
fn ends(prefix: &IpNet) -> (u128, u128) {
    let first = match prefix.network() {
        IpAddr::V4(address) => u128::from(u32::from(address)) << (WIDTH - u32::BITS),
        IpAddr::V6(address) => address.into(),
    };
    let host = u128::MAX.checked_shr(prefix.prefix_len().into()).unwrap_or_default();
    (first, first | host)
}

/// An index that is being made.
struct Making {
    /// How many blocks stand beside the roots, the first ones.
    near: usize,
    blocks: Vec<SourceBlock>,
    nodes: Vec<SourceNode>,
    runs: Vec<SourceRun>,
    room: IndexRoom,
}

impl Making {
    /// The runs of the 16 bits behind `depth` of them, by the cuts behind their first address, from which on `cell` holds.
    fn level(&mut self, depth: u32, cuts: &[Cut], mut cell: Cell) -> Vec<Run> {
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

/// Fills cells that begin with the number `first`.
fn fill(cells: &mut [Cell], first: u16, runs: &[Run]) {
    for (index, (start, cell)) in runs.iter().enumerate() {
        let from = usize::from(start - first);
        let to = runs.get(index + 1).map_or(cells.len(), |(next, _)| usize::from(next - first));
        cells[from..to].fill(*cell);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use filter_common::{Address, source_index::look_up};
    use prefix_trie::joint::JointPrefixMap;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Addresses that have much in common: prefixes nest, meet and repeat, and fill blocks.
    fn address(v4: bool) -> impl Strategy<Value = IpAddr> {
        let half = prop_oneof![0..4_u16, 0..64_u16, (0..4_u16).prop_map(|number| number << 14), any::<u16>()];
        vec(half, 8).prop_map(move |halves| {
            let halves: [u16; 8] = halves.try_into().expect("eight");
            if v4 {
                Ipv4Addr::from(u32::from(halves[0] % 8) << 24 | u32::from(halves[1] & 7) << 16 | u32::from(halves[2]))
                    .into()
            } else {
                Ipv6Addr::from(halves).into()
            }
        })
    }

    /// Prefixes of both families.
    fn sources() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
        let prefix = |v4: bool| {
            let width: u8 = if v4 { 32 } else { 128 };
            (address(v4), 0..=width, 0..6_u32)
                .prop_map(|(address, length, set)| (IpNet::new(address, length).expect("a length").trunc(), set))
        };
        (vec(prefix(true), 0..200), vec(prefix(false), 0..200)).prop_map(|(v4, v6)| {
            let mut sources = [v4, v6].concat();
            sources.sort_unstable();
            sources.dedup_by_key(|(prefix, _)| *prefix);
            sources
        })
    }

    fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
        (vec(address(true), 100), vec(address(false), 100)).prop_map(|(v4, v6)| [v4, v6].concat())
    }

    fn room() -> impl Strategy<Value = IndexRoom> {
        (0..4_usize, 0..20_usize, 0..20_usize).prop_map(|(blocks, nodes, runs)| IndexRoom { blocks, nodes, runs })
    }

    /// How many blocks stand beside the roots: often fewer than there are, so that the others are looked at too.
    fn near() -> impl Strategy<Value = usize> {
        prop_oneof![0..4_usize, Just(NEAR_BLOCKS)]
    }

    /// Whether the index and a trie agree about these addresses and all where something begins or ends; how often the
    /// index sends to the trie.
    fn compare(sources: &[(IpNet, u32)], index: &HostIndex, addresses: &[IpAddr]) -> usize {
        let trie: JointPrefixMap<IpNet, u32> = sources.iter().copied().collect();
        let edges = sources.iter().flat_map(|(prefix, _)| {
            let (first, last) = ends(prefix);
            [first, last, first.wrapping_sub(step(prefix)), last.wrapping_add(1)].map(|bits| of_bits(prefix, bits))
        });
        let mut asked = 0;
        for address in addresses.iter().copied().chain(edges) {
            let expected = trie.get_lpm(&IpNet::from(address)).map_or(0, |(_, set)| *set);
            match look_up(index, Address::from(address)) {
                Some(set) => assert_eq!(set, expected, "{address}"),
                None => asked += 1,
            }
        }
        asked
    }

    const fn step(prefix: &IpNet) -> u128 {
        if matches!(prefix, IpNet::V4(_)) { 1 << 96 } else { 1 }
    }

    fn of_bits(prefix: &IpNet, bits: u128) -> IpAddr {
        if matches!(prefix, IpNet::V4(_)) {
            Ipv4Addr::from((bits >> 96) as u32).into()
        } else {
            Ipv6Addr::from(bits).into()
        }
    }

    /// The same with a filter that lets all through: what it tells, the index would tell too.
    fn compare_unfiltered(sources: &[(IpNet, u32)], index: &HostIndex, addresses: &[IpAddr]) -> usize {
        let mut unfiltered = index.clone();
        let all = ["0.0.0.0/0", "::/0"].map(|all| (all.parse().expect("a prefix"), 1));
        source_filter::fill(&mut unfiltered.roots.filter, &all);
        assert!(addresses.iter().all(|address| unfiltered.roots.filter.may_list(Address::from(*address))));
        compare(sources, &unfiltered, addresses)
    }

    proptest! {
        #[test]
        fn the_index_says_what_the_trie_says((sources, addresses, near) in (sources(), addresses(), near())) {
            let index = HostIndex::with_near(&sources, IndexRoom::MOST, near);
            prop_assert_eq!(compare(&sources, &index, &addresses), 0, "asked the trie");
            prop_assert_eq!(compare_unfiltered(&sources, &index, &addresses), 0, "asked the trie");
        }

        #[test]
        fn an_index_without_room_is_never_wrong(
            (sources, addresses, room, near) in (sources(), addresses(), room(), near())
        ) {
            let index = HostIndex::with_near(&sources, room, near);
            compare(&sources, &index, &addresses);
            compare_unfiltered(&sources, &index, &addresses);
            prop_assert!(
                index.blocks.len() <= room.blocks && index.nodes.len() <= room.nodes && index.runs.len() <= room.runs
            );
        }
    }

    /// Every other host of a /24, every other /24 of a /16 and every host of another: blocks of both kinds.
    #[test]
    fn what_is_dense_is_in_blocks() {
        let mut sources: Vec<(IpNet, u32)> = (0..128_u32)
            .flat_map(|number| {
                let host = Ipv4Addr::from(0x0a00_0000 + number * 2);
                let subnet = Ipv4Addr::from(0x0a01_0000 + (number << 9));
                [(format!("{host}/32"), 1), (format!("{subnet}/24"), 2)]
            })
            .map(|(prefix, set)| (prefix.parse().expect("a prefix"), set))
            .collect();
        sources.sort_unstable();
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        let near = index.roots.near.iter().filter(|block| block.0 != [Cell::default(); 1 << 8]).count();
        assert_eq!((near, index.blocks.len(), index.nodes.len(), index.runs.len()), (3, 0, 0, 0));
        assert_eq!(compare(&sources, &index, &[]), 0);
    }

    #[test]
    fn a_prefix_that_stands_alone_is_a_single_run_as_long_as_there_is_room() {
        let nets = ["10.1.2.0/24", "10.2.255.0/24", "10.3.0.0/17", "10.4.7.9/32", "10.5.0.0/24", "10.5.2.0/24"];
        let sources: Vec<(IpNet, u32)> = nets.iter().map(|net| (net.parse().expect("a prefix"), 1)).collect();
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        assert_eq!((index.runs.len(), index.nodes.len()), (4, 1));
        assert_eq!(compare(&sources, &index, &[]), 0);
        let index = HostIndex::new(&sources, IndexRoom { runs: 1, ..IndexRoom::MOST });
        assert_eq!((index.runs.len(), index.nodes.len()), (1, 4));
        assert_eq!(compare(&sources, &index, &[]), 0);
    }

    #[test]
    fn sets_beyond_a_cell_are_asked_of_the_trie() {
        let sources = [("10.0.0.0/8".parse().expect("a prefix"), 5000)];
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        assert_eq!(look_up(&index, Address::V4(0x0a00_0001)), None);
        assert_eq!(look_up(&index, Address::V4(0x0b00_0001)), Some(0));
    }
}

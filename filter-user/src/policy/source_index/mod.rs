//! The table in front of the source tries, made from the prefixes that they have.

mod making;

use std::net::IpAddr;

use bytemuck::zeroed_box;
use filter_common::{
    Address,
    source_index::{
        Cell, FilterBlocks, FilterForm, NEAR_BLOCKS, NEAR_RUNS, SourceBlock, SourceIndex, SourceNode, SourceRoots,
        SourceRun,
    },
};
use ipnet::IpNet;

use self::making::{Making, Near};

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
        let [blocks, nodes, runs] = HostIndex::unfiltered(sources, Self::MOST, Shape::USUAL).counts();
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
    /// The form of the filter. Its blocks are among those below.
    pub form: FilterForm,
    /// Where the look-up begins. Its cells lead to the parts below as if these were all that there are.
    pub roots: Box<SourceRoots>,
    /// The blocks that do not stand beside the roots.
    pub blocks: Vec<SourceBlock>,
    /// The nodes.
    pub nodes: Vec<SourceNode>,
    /// The single runs.
    pub runs: Vec<SourceRun>,
}

/// What depends on no source.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// How many blocks and single runs of IPv4 stand beside the roots.
    near: Near,
    /// From how many prefixes on the filter has blocks.
    many: usize,
}

impl Shape {
    const USUAL: Self = Self { near: Near { blocks: NEAR_BLOCKS, runs: NEAR_RUNS }, many: source_filter::MANY };
}

impl Shape {
    /// What of so many prefixes of IPv4 stands beside the roots. Each makes one single run at the most.
    const fn near_of(self, prefixes: usize) -> Near {
        Near { runs: if prefixes <= self.near.runs { self.near.runs } else { 0 }, ..self.near }
    }
}

/// The first number from which on a cell holds.
type Run = (u32, Cell);

/// An address, its bits in the upper part whatever its family, from which on another set holds, as a cell.
type Cut = (u128, Cell);

/// How many bits an address has.
const WIDTH: u32 = u128::BITS;

impl HostIndex {
    /// The index of the sources, which ascend; what they say of sets is that of the tries.
    ///
    /// Where there is no room for more, the trie is to be asked.
    pub fn new(sources: &[(IpNet, u32)], room: IndexRoom) -> Self {
        Self::of_shape(sources, room, Shape::USUAL)
    }

    fn of_shape(sources: &[(IpNet, u32)], room: IndexRoom, shape: Shape) -> Self {
        let mut index = Self::unfiltered(sources, room, shape);
        source_filter::fill(&mut index.form, &mut index.roots.filter, &mut index.blocks, sources);
        index
    }

    /// The same with empty filters.
    fn unfiltered(sources: &[(IpNet, u32)], room: IndexRoom, shape: Shape) -> Self {
        let mut index = Self {
            form: FilterForm::default(),
            roots: zeroed_box(),
            blocks: Vec::new(),
            nodes: Vec::new(),
            runs: Vec::new(),
        };
        for (family, v4) in [true, false].into_iter().enumerate() {
            let [blocks, nodes, runs] = index.counts();
            let left = IndexRoom { blocks: room.blocks - blocks, nodes: room.nodes - nodes, runs: room.runs - runs };
            let sources = || sources.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == v4);
            let (width, near) = if v4 { (u32::BITS, shape.near_of(sources().count())) } else { (WIDTH, Near::NONE) };
            let mut made = Making::new(width, near, left.in_cells());
            let cells = made.root(&cuts(sources()));
            index.take(family, &cells, made);
        }
        if sources.len() >= shape.many {
            index.add_filter_blocks(source_filter::block_bits(sources.len()), room);
        }
        index
    }

    /// Adds empty blocks for the filter, if there is room for them.
    fn add_filter_blocks(&mut self, bits: u32, room: IndexRoom) {
        let (first, blocks) = (self.blocks.len(), 1 << bits);
        if first + blocks <= room.blocks {
            self.blocks.resize(first + blocks, SourceBlock([Cell::default(); 1 << 8]));
            self.form.blocks = FilterBlocks::new(place(first), bits);
        }
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
        fill(&mut root.cells, cells);
        leave_martians_to_the_trie(&mut root.cells, family);
        self.blocks.extend_from_slice(beside(&mut self.roots.near, &made.blocks, made.near.blocks));
        self.nodes.extend(made.nodes);
        self.runs.extend_from_slice(beside(&mut self.roots.near_runs, &made.runs, made.near.runs));
    }
}

/// Puts the first parts, so many at the most, beside the roots; the others are left.
fn beside<'a, T: Copy>(roots: &mut [T], parts: &'a [T], near: usize) -> &'a [T] {
    let (near, far) = parts.split_at(near.min(parts.len()));
    roots[..near.len()].copy_from_slice(near);
    far
}

/// Lets the trie be asked of addresses that begin like those that no packet may come from, where anything of them is listed.
fn leave_martians_to_the_trie(cells: &mut [Cell], family: usize) {
    for (begin, cell) in (0..=u16::MAX).zip(cells) {
        let address =
            if family == 0 { Address::V4(u32::from(begin) << 16) } else { Address::V6([u64::from(begin) << 48, 0]) };
        if address.is_martian_source() && *cell != Cell::default() {
            *cell = Cell::ASK;
        }
    }
}

/// A number of parts, of which there are fewer than that.
#[expect(clippy::cast_possible_truncation, reason = "cells lead to fewer")]
const fn place(count: usize) -> u32 {
    count as u32
}

impl SourceIndex for HostIndex {
    fn form(&self) -> &FilterForm {
        &self.form
    }

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

/// Fills cells by the runs of their numbers.
fn fill(cells: &mut [Cell], runs: &[Run]) {
    for (index, (start, cell)) in runs.iter().enumerate() {
        let to = runs.get(index + 1).map_or(cells.len(), |(next, _)| *next as usize);
        cells[*start as usize..to].fill(*cell);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use filter_common::source_index::{look_up, source_set};
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

    /// Often fewer blocks beside the roots than there are, and no runs, so that the others are looked at too; often a filter of
    /// blocks, however few prefixes there are.
    fn shape() -> impl Strategy<Value = Shape> {
        let near = (prop_oneof![0..4_usize, Just(NEAR_BLOCKS)], prop_oneof![Just(0), Just(NEAR_RUNS)]);
        (near, prop_oneof![Just(0), Just(usize::MAX)])
            .prop_map(|((blocks, runs), many)| Shape { near: Near { blocks, runs }, many })
    }

    /// Whether the index and a trie agree about these addresses and all where something begins or ends; how often the
    /// index sends to the trie for want of room.
    fn compare(sources: &[(IpNet, u32)], index: &HostIndex, addresses: &[IpAddr]) -> usize {
        let trie: JointPrefixMap<IpNet, u32> = sources.iter().copied().collect();
        let edges = sources.iter().flat_map(|(prefix, _)| {
            let (first, last) = ends(prefix);
            [first, last, first.wrapping_sub(step(prefix)), last.wrapping_add(1)].map(|bits| of_bits(prefix, bits))
        });
        let mut asked = 0;
        for address in addresses.iter().copied().chain(edges) {
            let expected = trie.get_lpm(&IpNet::from(address)).map_or(0, |(_, set)| *set);
            let is_martian = Address::from(address).is_martian_source();
            match look_up(index, Address::from(address)) {
                Some(set) => assert!(set == expected && (set == 0 || !is_martian), "{address}: {set}, not {expected}"),
                None => asked += usize::from(!begins_like_a_martian(address)),
            }
            let set = source_set(index, Address::from(address), || expected);
            assert_eq!(set, if is_martian { 0 } else { expected }, "{address}");
        }
        asked
    }

    /// Whether a source that no packet may have begins with the same 16 bits.
    fn begins_like_a_martian(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => matches!(address.octets()[0], 0 | 127 | 224..),
            IpAddr::V6(address) => matches!(address.segments()[0], 0 | 0xff00..),
        }
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
        unfiltered.form.blocks = FilterBlocks::default();
        bytemuck::bytes_of_mut(&mut unfiltered.roots.filter).fill(u8::MAX);
        compare(sources, &unfiltered, addresses)
    }

    proptest! {
        #[test]
        fn the_index_says_what_the_trie_says((sources, addresses, shape) in (sources(), addresses(), shape())) {
            let index = HostIndex::of_shape(&sources, IndexRoom::MOST, shape);
            prop_assert_eq!(compare(&sources, &index, &addresses), 0, "asked the trie");
            prop_assert_eq!(compare_unfiltered(&sources, &index, &addresses), 0, "asked the trie");
        }

        #[test]
        fn an_index_without_room_is_never_wrong(
            (sources, addresses, room, shape) in (sources(), addresses(), room(), shape())
        ) {
            let index = HostIndex::of_shape(&sources, room, shape);
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
        let index = |runs| {
            let shape = Shape { near: Near { runs: 0, ..Shape::USUAL.near }, ..Shape::USUAL };
            HostIndex::of_shape(&sources, IndexRoom { runs, ..IndexRoom::MOST }, shape)
        };
        for (room, runs, nodes) in [(IndexRoom::MOST.runs, 4, 1), (1, 1, 4)] {
            let index = index(room);
            assert_eq!((index.runs.len(), index.nodes.len()), (runs, nodes));
            assert_eq!(compare(&sources, &index, &[]), 0);
        }
        let index = HostIndex::new(&sources, IndexRoom { runs: 0, ..IndexRoom::MOST });
        assert_eq!((near_runs(&index), index.nodes.len()), (4, 1));
        assert_eq!(compare(&sources, &index, &[]), 0);
    }

    /// How many single runs of an index stand beside its roots.
    fn near_runs(index: &HostIndex) -> usize {
        index.roots.near_runs.iter().filter(|run| run.bits != 0).count()
    }

    #[test]
    fn all_single_runs_of_ipv4_stand_beside_the_roots_or_none() {
        let of = |count: u32| {
            let net =
                |number| IpNet::new(Ipv4Addr::from(0x1000_0700_u32 + (number << 16)).into(), 24).expect("a length");
            let sources: Vec<(IpNet, u32)> = (0..count).map(|number| (net(number), 1)).collect();
            let index = HostIndex::new(&sources, IndexRoom::MOST);
            assert_eq!(compare(&sources, &index, &[]), 0);
            (near_runs(&index), index.runs.len())
        };
        let most = u32::try_from(NEAR_RUNS).expect("few");
        assert_eq!((of(most), of(most + 1)), ((NEAR_RUNS, 0), (0, NEAR_RUNS + 1)));
    }

    /// Three /56s in each of many /48s that begin alike for 40 bits: those behind the root are one run, and behind that a block
    /// parts the /48s.
    #[test]
    fn what_many_prefixes_have_in_common_is_one_run() {
        let nets = (0..240_u32).map(|number| format!("2600:1f00:{:x}:{:x}00::/56", number / 3 * 2, number % 3 * 2));
        let mut sources: Vec<(IpNet, u32)> = nets.map(|net| (net.parse().expect("a prefix"), 1)).collect();
        sources.sort_unstable();
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        assert_eq!((index.blocks.len(), index.nodes.len(), index.runs.len()), (1, 80, 1));
        assert_eq!((index.runs[0].bits, compare(&sources, &index, &[])), (24, 0));
        let index = HostIndex::new(&sources, IndexRoom { runs: 0, ..IndexRoom::MOST });
        assert_eq!((index.blocks.len(), index.nodes.len()), (4, 80));
        assert_eq!(compare(&sources, &index, &[]), 0);
    }

    /// Behind the filter every cell sends to the trie: what is not asked there the filter has told.
    #[test]
    fn where_there_are_many_sources_few_others_pass_the_filter() {
        let spread = |number: u32| number.wrapping_mul(0x9e37_79b1);
        let net = |number| IpNet::new(Ipv4Addr::from(spread(number) & 0xffff_ff00).into(), 24).expect("a length");
        let mut sources: Vec<(IpNet, u32)> = (0..100_000).map(|number| (net(number), 1)).collect();
        sources.sort_unstable();
        sources.dedup();
        let mut index = HostIndex::new(&sources, IndexRoom::MOST);
        assert!(index.form.blocks.is_some());
        index.roots.families[0].cells.fill(Cell::ASK);
        for (prefix, _) in &sources {
            assert_eq!(look_up(&index, Address::from(prefix.addr())), None, "{prefix}");
        }
        let unlisted = (0..1_000_000_u32).map(|number| number.wrapping_mul(0x85eb_ca6b)).filter(|address| {
            let net = IpNet::new(Ipv4Addr::from(address & 0xffff_ff00).into(), 24).expect("a length");
            sources.binary_search(&(net, 1)).is_err()
        });
        let passed = unlisted.filter(|address| look_up(&index, Address::V4(*address)).is_none()).count();
        assert!(passed < 25_000, "{passed} of a million");
    }

    #[test]
    fn sets_beyond_a_cell_are_asked_of_the_trie() {
        let sources = [("10.0.0.0/8".parse().expect("a prefix"), 5000)];
        let index = HostIndex::new(&sources, IndexRoom::MOST);
        assert_eq!(look_up(&index, Address::V4(0x0a00_0001)), None);
        assert_eq!(look_up(&index, Address::V4(0x0b00_0001)), Some(0));
    }
}

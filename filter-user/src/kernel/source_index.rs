//! The index in front of the source tries, written into its maps: they are mapped into memory, for it is much at once.

use anyhow::Result;
use aya::{
    EbpfLoader,
    maps::{Array, Map, MapData},
};
use filter_common::{
    source_index::{SourceBlock, SourceNode, SourceRoot},
    tables::GENERATIONS,
};
use ipnet::IpNet;

use super::{mapped::Mapped, maps::Value};
use crate::policy::{CompiledPolicy, FamilyIndex, IndexRoom};

type Shared<T> = Array<MapData, Value<T>>;

/// Room that every filter has: for the policies that most have, and for those that come after the first one.
const LEAST: IndexRoom = IndexRoom { blocks: 64, nodes: 1024 };

/// The maps of the index.
pub(super) struct IndexMaps {
    roots: Shared<SourceRoot>,
    blocks: Shared<SourceBlock>,
    nodes: Shared<SourceNode>,
}

/// Makes maps that have room for a policy, and for one of twice its size in its place.
pub(super) fn make_room(loader: &mut EbpfLoader<'_>, policy: Option<&CompiledPolicy>) {
    let needed = policy.map_or(LEAST, |policy| needed(&policy.sources));
    let entries = |needed: usize, least: usize| {
        let each = (2 * needed).next_power_of_two().max(least);
        u32::try_from(each).unwrap_or(u32::MAX).saturating_mul(GENERATIONS)
    };
    loader.map_max_entries("SOURCE_BLOCKS", entries(needed.blocks, LEAST.blocks));
    loader.map_max_entries("SOURCE_NODES", entries(needed.nodes, LEAST.nodes));
}

/// How much room the index of these sources needs.
fn needed(sources: &[(IpNet, u32)]) -> IndexRoom {
    let families = [true, false].map(|v4| FamilyIndex::new(sources, v4, IndexRoom::MOST));
    IndexRoom {
        blocks: families.iter().map(|family| family.blocks.len()).sum(),
        nodes: families.iter().map(|family| family.nodes.len()).sum(),
    }
}

impl IndexMaps {
    pub(super) fn collect(mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            roots: map("SOURCE_ROOTS")?.try_into()?,
            blocks: map("SOURCE_BLOCKS")?.try_into()?,
            nodes: map("SOURCE_NODES")?.try_into()?,
        })
    }

    /// Writes the index of these sources into a slot that no packet looks at.
    pub(super) fn write(&mut self, slot: u32, sources: &[(IpNet, u32)]) -> Result<()> {
        let mut roots = Mapped::new(&self.roots)?;
        let mut blocks = Mapped::new(&self.blocks)?;
        let mut nodes = Mapped::new(&self.nodes)?;
        let slot = usize::try_from(slot)?;
        let mut blocks = Region::new(blocks.entries(), slot);
        let mut nodes = Region::new(nodes.entries(), slot);
        for (family, v4) in [true, false].into_iter().enumerate() {
            let room = IndexRoom {
                blocks: blocks.free().min(IndexRoom::MOST.blocks),
                nodes: nodes.free().min(IndexRoom::MOST.nodes),
            };
            let mut index = FamilyIndex::new(sources, v4, room);
            index.root.first_block = blocks.take(&index.blocks)?;
            index.root.first_node = nodes.take(&index.nodes)?;
            roots.entries()[2 * slot + family] = *index.root;
        }
        Ok(())
    }
}

/// The part of a map that belongs to a slot.
struct Region<'m, T> {
    entries: &'m mut [T],
    first: usize,
    taken: usize,
}

impl<'m, T: Copy> Region<'m, T> {
    fn new(all: &'m mut [T], slot: usize) -> Self {
        let each = all.len() / GENERATIONS as usize;
        let first = slot * each;
        Self { entries: &mut all[first..first + each], first, taken: 0 }
    }

    const fn free(&self) -> usize {
        self.entries.len() - self.taken
    }

    /// Writes values behind those that were written, and returns the place of the first among all entries.
    fn take(&mut self, values: &[T]) -> Result<u32> {
        let place = self.first + self.taken;
        self.entries[self.taken..self.taken + values.len()].copy_from_slice(values);
        self.taken += values.len();
        Ok(u32::try_from(place)?)
    }
}

//! The sources of generations: their tries, what is noted of these, and the index in front of them.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use aya::maps::{Array, IterableMap as _, Map, MapData};
use filter_common::{
    noted_prefix::{NotedPrefix, UNKNOWN},
    source_index::{SourceBlock, SourceNode, SourceRoot, SourceRoots, SourceRun},
    tables::GENERATIONS,
};
use ipnet::IpNet;

use super::{
    mapped::Mapped,
    maps::Value,
    policies::SourcesOfSlot,
    source_tries::{self, SourceTries},
};
use crate::{
    fault,
    policy::{HostIndex, IndexRoom, noted_prefix},
};

type Shared<T> = Array<MapData, Value<T>>;

/// The names of the maps, and of that of the policies, which has the roots.
pub(super) const NAMES: [&str; 17] = {
    let [[[a, b, c], [d, e, f]], [[g, h, i], [j, k, l]]] = source_tries::NAMES;
    let [blocks, nodes, runs] = ["SOURCE_BLOCKS", "SOURCE_NODES", "SOURCE_RUNS"];
    ["POLICIES", "SOURCES", blocks, nodes, runs, a, b, c, d, e, f, g, h, i, j, k, l]
};

/// The maps.
pub(super) struct SourceMaps {
    tries: SourceTries,
    prefixes: Shared<NotedPrefix>,
    blocks: Shared<SourceBlock>,
    nodes: Shared<SourceNode>,
    runs: Shared<SourceRun>,
}

/// How much room sources need, in one slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SourceRoom {
    pub(super) prefixes: usize,
    pub(super) index: IndexRoom,
}

impl SourceRoom {
    /// The room of these sources.
    pub(super) fn of(sources: &[(IpNet, u32)]) -> Self {
        Self { prefixes: sources.len(), index: IndexRoom::taken_by(sources) }
    }
}

impl SourceMaps {
    pub(super) fn collect(mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            tries: SourceTries::collect(&mut map)?,
            prefixes: map("SOURCES")?.try_into()?,
            blocks: map("SOURCE_BLOCKS")?.try_into()?,
            nodes: map("SOURCE_NODES")?.try_into()?,
            runs: map("SOURCE_RUNS")?.try_into()?,
        })
    }

    /// Writes sources, which ascend, into a slot that no packet looks at, and whose look-ups begin there.
    pub(super) fn write(&mut self, slot: u32, there: &mut SourcesOfSlot, sources: &[(IpNet, u32)]) -> Result<()> {
        let known = self.noted(&mut there.roots)?;
        fault::step();
        // What the tries have is not known while they are written.
        for root in families(&mut there.roots) {
            root.prefixes = UNKNOWN;
        }
        let counts = self.tries.write(slot, known.as_deref(), sources, || self.note(slot, there, sources))?;
        fault::step();
        for (root, count) in families(&mut there.roots).iter_mut().zip(counts) {
            root.prefixes = count;
        }
        Ok(())
    }

    /// Notes what the tries of a slot are to have, and writes the index in front of them. Returns how many prefixes of each
    /// family are noted, which is for the roots to say when the tries have them.
    fn note(&self, slot: u32, there: &mut SourcesOfSlot, sources: &[(IpNet, u32)]) -> Result<[u32; 2]> {
        let mut prefixes = Region::of(&self.prefixes, slot)?;
        let mut blocks = Region::of(&self.blocks, slot)?;
        let mut nodes = Region::of(&self.nodes, slot)?;
        let mut runs = Region::of(&self.runs, slot)?;
        let mut index =
            HostIndex::new(sources, IndexRoom { blocks: blocks.free(), nodes: nodes.free(), runs: runs.free() });
        let first = [blocks.take(&index.blocks)?, nodes.take(&index.nodes)?, runs.take(&index.runs)?];
        index.form.blocks.move_by(first[0]);
        let mut counts = [0; 2];
        for ((root, v4), count) in index.roots.families.iter_mut().zip([true, false]).zip(&mut counts) {
            let notes = noted_prefix::notes(sources, v4, u64::from);
            root.move_by(first);
            root.first_prefix = prefixes.take(&notes)?;
            root.prefixes = UNKNOWN;
            *count = u32::try_from(notes.len())?;
        }
        there.form.entries()[0] = index.form;
        there.roots.entries()[0] = *index.roots;
        Ok(counts)
    }

    /// The sources in the slot that has these roots, ascending; nothing where they were not written to their end.
    pub(super) fn noted(&self, roots: &mut Mapped<SourceRoots>) -> Result<Option<Vec<(IpNet, u32)>>> {
        let mut sources = Vec::new();
        for (family, v4) in [true, false].into_iter().enumerate() {
            let root = &families(roots)[family];
            if root.prefixes == UNKNOWN {
                return Ok(None);
            }
            let (first, count) = (usize::try_from(root.first_prefix)?, usize::try_from(root.prefixes)?);
            if count == 0 {
                continue;
            }
            let notes = Mapped::part(&self.prefixes, first, count);
            for note in notes.context("the sources are not where the maps say")?.entries() {
                let prefix = noted_prefix::prefix(note, v4).context("a source is no prefix")?;
                sources.push((prefix, u32::try_from(note.value)?));
            }
        }
        Ok(Some(sources))
    }

    /// The index of the set of terms that the policy in a slot has for a host; nothing if it is not listed.
    pub(super) fn find(&self, slot: u32, host: IpAddr) -> Result<Option<u32>> {
        self.tries.find(slot, host)
    }
}

/// The root of each family.
fn families(roots: &mut Mapped<SourceRoots>) -> &mut [SourceRoot; 2] {
    &mut roots.entries()[0].families
}

/// The part of a map that belongs to a slot.
struct Region<T> {
    entries: Mapped<T>,
    first: usize,
    size: usize,
    taken: usize,
}

impl<T: bytemuck::Pod> Region<T> {
    fn of(map: &Shared<T>, slot: u32) -> Result<Self> {
        let all = map.map().info().context("the kernel does not tell a map's size")?.max_entries();
        let size = usize::try_from(all / GENERATIONS)?;
        let first = usize::try_from(slot)? * size;
        Ok(Self { entries: Mapped::part(map, first, size)?, first, size, taken: 0 })
    }

    const fn free(&self) -> usize {
        self.size - self.taken
    }

    /// Writes values behind those that were written, and returns the place of the first among all entries.
    fn take(&mut self, values: &[T]) -> Result<u32> {
        let place = self.first + self.taken;
        let room = self.entries.entries().get_mut(self.taken..self.taken + values.len());
        room.context("the maps have no room for the policy")?.copy_from_slice(values);
        self.taken += values.len();
        Ok(u32::try_from(place)?)
    }
}

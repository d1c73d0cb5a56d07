//! The sources of live allows: their tries, and what is noted of these.

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, Map, MapData};
use filter_common::{
    live::{LIVE_PREFIXES, LiveSet},
    noted_prefix::{NotedPrefix, UNKNOWN},
};
use ipnet::IpNet;

use super::{
    mapped::Mapped,
    maps::Value,
    slot_tries::{Names, SlotTries},
};
use crate::{fault, policy::noted_prefix};

const TRIES: Names = [["LIVE_V4_0", "LIVE_V4_1", "LIVE_V4_2"], ["LIVE_V6_0", "LIVE_V6_1", "LIVE_V6_2"]];

/// The maps.
pub(super) struct LiveSourceMaps {
    tries: SlotTries<LiveSet>,
    prefixes: Array<MapData, Value<NotedPrefix>>,
    counts: Array<MapData, Value<[u32; 2]>>,
}

impl LiveSourceMaps {
    pub(super) fn collect(mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            tries: SlotTries::collect(TRIES, &mut map)?,
            prefixes: map("LIVE_SOURCES")?.try_into()?,
            counts: map("LIVE_COUNTS")?.try_into()?,
        })
    }

    /// Writes sources, which ascend, into a slot that no packet looks at.
    pub(super) fn write(&mut self, slot: u32, sources: &[(IpNet, LiveSet)]) -> Result<()> {
        let known = self.noted(slot)?;
        self.count(slot, [UNKNOWN; 2])?;
        self.tries.write(slot, known.map(Vec::into_iter), sources.iter().copied())?;
        let mut counts = [0; 2];
        for (family, v4) in [true, false].into_iter().enumerate() {
            let notes = noted_prefix::notes(sources, v4, LiveSet::bits);
            if let Some(mut room) = self.notes(slot, family, notes.len())? {
                room.entries().copy_from_slice(&notes);
            }
            counts[family] = u32::try_from(notes.len())?;
        }
        self.count(slot, counts)
    }

    /// Where the first prefixes of a family are noted, so many of them; nothing for none.
    fn notes(&self, slot: u32, family: usize, count: usize) -> Result<Option<Mapped<NotedPrefix>>> {
        let each = LIVE_PREFIXES as usize;
        ensure!(count <= each, "the maps have no room for the live allows");
        let first = (2 * usize::try_from(slot)? + family) * each;
        (count > 0).then(|| Mapped::part(&self.prefixes, first, count)).transpose()
    }

    fn count(&mut self, slot: u32, counts: [u32; 2]) -> Result<()> {
        fault::step();
        self.counts.set(slot, Value(counts), 0).context("cannot write the live allows")
    }

    /// The sources in a slot, ascending.
    pub(super) fn read(&self, slot: u32) -> Result<Vec<(IpNet, LiveSet)>> {
        self.noted(slot)?.context("the live allows were not written to their end")
    }

    /// The sources in a slot, ascending; nothing where they were not written to their end.
    fn noted(&self, slot: u32) -> Result<Option<Vec<(IpNet, LiveSet)>>> {
        let Value(counts) = self.counts.get(&slot, 0).context("cannot read the live allows")?;
        if counts.contains(&UNKNOWN) {
            return Ok(None);
        }
        let mut sources = Vec::new();
        for (family, v4) in [true, false].into_iter().enumerate() {
            let mut notes = self.notes(slot, family, usize::try_from(counts[family])?)?;
            for note in notes.iter_mut().flat_map(|notes| notes.entries().iter()) {
                let prefix = noted_prefix::prefix(note, v4).context("a source of a live allow is no prefix")?;
                sources.push((prefix, LiveSet::new(note.value)));
            }
        }
        Ok(Some(sources))
    }
}

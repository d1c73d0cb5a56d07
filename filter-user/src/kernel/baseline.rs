//! What had been counted when a policy was published: by that it is told what was counted since.
//!
//! A note beside the pins, which the program does not know.

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData};
use bytemuck::{Pod, Zeroable};
use filter_common::{Counter, REASON_COUNTERS, RULE_COUNTERS, tables::GENERATIONS};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::{
    maps::{Maps, Value},
    pins::{self, Pins},
};
use crate::fault;

/// What had been counted when a generation was published.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Baseline {
    /// The generation, which is not that of the slot where it could not be noted.
    generation: u64,
    /// How many drops had been sampled.
    pub(super) samples: u64,
    /// Each reason's counter.
    pub(super) reasons: [Counter; REASON_COUNTERS as usize],
    /// Each rule's counter.
    pub(super) rules: [Counter; RULE_COUNTERS as usize],
}

impl Maps {
    /// Notes what had been counted up to the generation that was just published.
    pub(super) fn note_baseline(&self, directory: &Path) -> Result<()> {
        let slot = self.standing()?.switch.slot;
        let generation = self.generation_in(slot)?.context("the switch names no policy")?.generation;
        let mut noted = Baseline { generation, samples: self.samples.count()?, ..Baseline::zeroed() };
        for (index, counter) in (0..).zip(&mut noted.reasons) {
            *counter = self.reason_counter(index)?;
        }
        // No other counter was ever used.
        for index in self.rule_counters()?.into_values() {
            noted.rules[usize::from(index)] = self.rule_counter(index.into())?;
        }
        let path = pins::baseline(directory);
        let is_new = !path.exists();
        let mut baselines: Array<MapData, Value<Baseline>> =
            if is_new { Array::create(GENERATIONS, 0).context("cannot create a map")? } else { open(&path)? };
        fault::step();
        baselines.set(slot, Value(noted), 0).context("cannot note the counters")?;
        if is_new {
            fault::step();
            baselines.pin(&path).with_context(|| format!("cannot pin `{}`", path.display()))?;
        }
        Ok(())
    }

    /// What had been counted when the generation in force was published; nothing where that was not noted.
    pub(super) fn baseline(&self, directory: &Path) -> Result<Option<Baseline>> {
        let path = pins::baseline(directory);
        let slot = self.standing()?.slot();
        let Some(info) = self.generation_in(slot)?.filter(|_| path.exists()) else { return Ok(None) };
        let Value(noted) = open(&path)?.get(&slot, 0).context("cannot read what the counters were")?;
        Ok(Some(noted).filter(|noted| noted.generation == info.generation))
    }
}

fn open(path: &Path) -> Result<Array<MapData, Value<Baseline>>> {
    let data = MapData::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok(Map::from_map_data(data)?.try_into()?)
}

/// When counting began, in seconds since the epoch: since then the pin of the counters is there.
pub(super) fn counting_since(directory: &Path) -> Option<u64> {
    let modified = fs::metadata(counters_pin(directory)).and_then(|metadata| metadata.modified()).ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// Lets the counters that a filter takes over be as old as they are.
pub(super) fn keep_age(older: &Pins, newer: &Pins) -> Result<()> {
    let Some(since) = counting_since(older.directory()) else { return Ok(()) };
    let time = Timespec { tv_sec: since.try_into()?, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, counters_pin(newer.directory()), &times, AtFlags::empty()).context("cannot keep when counting began")
}

fn counters_pin(directory: &Path) -> PathBuf {
    let [reasons, _] = COUNTERS;
    directory.join(reasons)
}

/// The maps of counters that nearly all packets are counted in: those of the reasons, and those of what rules let in. They begin
/// together.
pub(super) const COUNTERS: [&str; 2] = ["REASONS", "LISTED"];

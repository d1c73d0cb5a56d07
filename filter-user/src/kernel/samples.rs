//! Samples of dropped packets, read without taking them from anybody.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Map, MapData, MapInfo, PerCpuArray};
use filter_common::{Recorder, SAMPLES, Sample};

use super::{
    maps::{self, Value},
    pins::{self, Pins},
    standing,
};

/// Reads the samples that the filter on one interface takes.
pub struct SampleReader {
    interface: String,
    maps: SampleMaps,
    /// The pin of the samples and the kernel's number of the map behind it: another filter has another.
    pin: (PathBuf, u32),
    /// The number of the last sample that was read, by CPU.
    read: Vec<u64>,
}

/// What was read at one time.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Whole samples in the order of their times.
    pub samples: Vec<Sample>,
    /// How many were overwritten before they could be read.
    pub overwritten: u64,
}

impl SampleReader {
    /// Opens the samples of the filter on `interface`; those that are kept are read first.
    ///
    /// # Errors
    /// If no filter is attached there, or its pins cannot be read.
    pub fn open(interface: &str) -> Result<Self> {
        let pins = Pins::attached(interface)?;
        let pin = pins.directory().join("SAMPLES");
        let id = map_id(&pin).with_context(|| format!("cannot open `{}`", pin.display()))?;
        let place = pins::of_maps(pins.directory());
        let maps = SampleMaps::collect(|name| maps::pinned(&place(name), name))?;
        let read = maps.oldest()?;
        Ok(Self { interface: interface.to_owned(), maps, pin: (pin, id), read })
    }

    /// The interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Leaves out what was taken until now.
    ///
    /// # Errors
    /// If the samples cannot be read.
    pub fn skip(&mut self) -> Result<()> {
        self.read = self.maps.taken()?;
        Ok(())
    }

    /// What was taken since the last time.
    ///
    /// # Errors
    /// If the samples cannot be read, or the filter was detached.
    pub fn read(&mut self) -> Result<Recorded> {
        let (pin, id) = &self.pin;
        ensure!(map_id(pin).is_ok_and(|now| now == *id), "the filter on `{}` was detached", self.interface);
        self.maps.read(&mut self.read)
    }
}

/// The kernel's number of the map that is pinned there.
fn map_id(pin: &Path) -> Result<u32> {
    Ok(MapInfo::from_pin(pin)?.id())
}

/// When something happened, from the monotonic clock in nanoseconds.
pub fn wall_clock(time: u64) -> SystemTime {
    let ago = standing::now().saturating_sub(time);
    SystemTime::now() - Duration::from_nanos(ago)
}

/// The maps that samples are in.
pub(super) struct SampleMaps {
    samples: PerCpuArray<MapData, Value<Sample>>,
    recorder: PerCpuArray<MapData, Value<Recorder>>,
}

impl SampleMaps {
    pub(super) fn collect(mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self { samples: map("SAMPLES")?.try_into()?, recorder: map("RECORDER")?.try_into()? })
    }

    /// How many samples were taken.
    pub(super) fn count(&self) -> Result<u64> {
        Ok(self.taken()?.iter().sum())
    }

    /// How many samples each CPU has taken.
    fn taken(&self) -> Result<Vec<u64>> {
        let recorders = self.recorder.get(&0, 0).context("cannot read how many samples there are")?;
        Ok(recorders.iter().map(|Value(recorder)| recorder.taken).collect())
    }

    /// The number before that of the oldest sample that each CPU keeps.
    fn oldest(&self) -> Result<Vec<u64>> {
        Ok(self.taken()?.into_iter().map(before_oldest).collect())
    }

    /// Everything that is kept.
    pub(super) fn all(&self) -> Result<Recorded> {
        self.read(&mut self.oldest()?)
    }

    /// What was taken since, by CPU, the samples of these numbers, which are brought up to date.
    fn read(&self, since: &mut Vec<u64>) -> Result<Recorded> {
        let taken = self.taken()?;
        since.resize(taken.len(), 0);
        let mut recorded = Recorded::default();
        // One system call reads a place of every CPU.
        let mut wanted: BTreeMap<u64, Vec<(usize, u64)>> = BTreeMap::new();
        for (cpu, (since, taken)) in since.iter_mut().zip(taken).enumerate() {
            let first = before_oldest(taken).max(*since);
            recorded.overwritten += first - *since;
            for sequence in first + 1..=taken {
                wanted.entry(sequence % u64::from(SAMPLES)).or_default().push((cpu, sequence));
            }
            *since = taken;
        }
        for (place, wanted) in wanted {
            let samples = self.samples.get(&u32::try_from(place)?, 0).context("cannot read a sample")?;
            for (cpu, sequence) in wanted {
                match samples.get(cpu) {
                    Some(Value(sample)) if sample.is(sequence) => recorded.samples.push(*sample),
                    _ => recorded.overwritten += 1,
                }
            }
        }
        recorded.samples.sort_by_key(|sample| sample.time);
        Ok(recorded)
    }
}

/// The number before that of the oldest sample that is kept where so many were taken. The place that is written next is
/// left out: it may be written now.
const fn before_oldest(taken: u64) -> u64 {
    taken.saturating_sub(SAMPLES as u64 - 1)
}

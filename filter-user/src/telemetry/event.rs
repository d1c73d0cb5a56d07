//! Samples of dropped packets as people and programs see them.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use filter_common::{Reason, Sample};
use serde::{Serialize, Serializer};

use super::Headers;
use crate::{
    instant,
    kernel::{SampleReader, wall_clock},
};

/// A packet that was dropped, or would have been.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When it arrived.
    #[serde(serialize_with = "instant::precise::serialize")]
    pub time: SystemTime,
    /// Where it arrived.
    pub interface: String,
    /// `drop`, or `would_drop` where it passed all the same.
    pub action: &'static str,
    /// Why.
    #[serde(serialize_with = "name")]
    pub reason: Reason,
    /// How many packets it stands for, itself included.
    pub weight: u64,
    /// How many octets it had, Ethernet header included.
    pub length_bytes: u32,
    /// What it says of itself.
    #[serde(flatten)]
    pub headers: Headers,
    /// Its first octets.
    #[serde(skip)]
    pub octets: Vec<u8>,
}

impl Event {
    fn new(interface: &str, sample: &Sample) -> Option<Self> {
        let (reason, would_drop) = sample.reason()?;
        Some(Self {
            time: wall_clock(sample.time),
            interface: interface.to_owned(),
            action: if would_drop { "would_drop" } else { "drop" },
            reason,
            weight: sample.weight,
            length_bytes: sample.length,
            headers: Headers::of(sample.frame()),
            octets: sample.frame().to_vec(),
        })
    }

    /// When it arrived, in UTC, to the millisecond.
    pub fn time_text(&self) -> String {
        instant::precise_text(self.time)
    }

    /// The time since the epoch.
    pub fn since_epoch(&self) -> Duration {
        self.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn name<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.name())
}

/// The events of some interfaces, as they come. Any number of readers can have them.
pub struct Events {
    readers: Vec<SampleReader>,
    missed: u64,
}

impl Events {
    /// Those of these interfaces; what is kept of the past comes first.
    ///
    /// # Errors
    /// If one of them has no filter, or its pins cannot be read.
    pub fn open(interfaces: &[String]) -> Result<Self> {
        let readers = interfaces.iter().map(|interface| SampleReader::open(interface)).collect::<Result<_>>()?;
        Ok(Self { readers, missed: 0 })
    }

    /// What came since the last time, in the order in which it came.
    ///
    /// # Errors
    /// If the samples cannot be read, or a filter was detached.
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        for reader in &mut self.readers {
            let recorded = reader.read()?;
            self.missed += recorded.overwritten;
            events.extend(recorded.samples.iter().filter_map(|sample| Event::new(reader.interface(), sample)));
        }
        events.sort_by_key(|event| event.time);
        Ok(events)
    }

    /// How many samples were overwritten before they could be read.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

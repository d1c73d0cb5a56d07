//! Samples of dropped packets as people and programs see them.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use filter_common::{Reason, Sample};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Headers;
use crate::{
    instant,
    kernel::{SampleReader, wall_clock},
};

/// What became of a packet that the policy does not let in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was dropped.
    Drop,
    /// It passed all the same, in monitor mode.
    WouldDrop,
}

impl Fate {
    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::WouldDrop => "would_drop",
        }
    }
}

/// A packet that was dropped, or would have been.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Event {
    /// When it arrived.
    #[serde(with = "instant::precise")]
    pub time: SystemTime,
    /// Where it arrived.
    pub interface: String,
    /// What became of it.
    pub action: Fate,
    /// Why.
    #[serde(serialize_with = "name", deserialize_with = "read_name")]
    pub reason: Reason,
    /// How many packets it stands for, itself included.
    pub weight: u64,
    /// How many octets it had, Ethernet header included.
    pub length_bytes: u32,
    /// What it says of itself.
    #[serde(flatten)]
    pub headers: Headers,
    /// Its first octets; none of what was read as JSON.
    #[serde(skip)]
    pub octets: Vec<u8>,
}

impl Event {
    fn new(interface: &str, sample: &Sample) -> Option<Self> {
        let (reason, would_drop) = sample.reason()?;
        Some(Self {
            time: wall_clock(sample.time),
            interface: interface.to_owned(),
            action: if would_drop { Fate::WouldDrop } else { Fate::Drop },
            reason,
            weight: sample.weight,
            length_bytes: sample.length,
            headers: Headers::of(sample.frame()),
            octets: sample.frame().to_vec(),
        })
    }

    /// The packet on a line, as people read it.
    pub fn line(&self) -> String {
        let headers = &self.headers;
        let reason = format!("{:<16}", self.reason.name());
        let mut words =
            vec![self.time_text(), self.interface.clone(), reason, headers.from(), "→".to_owned(), headers.to()];
        words.push(headers.protocol.clone());
        if !headers.vlans.is_empty() {
            let tags: Vec<_> = headers.vlans.iter().map(u16::to_string).collect();
            words.push(format!("vlan {}", tags.join(".")));
        }
        if self.action == Fate::WouldDrop {
            words.push(self.action.name().to_owned());
        }
        if self.weight > 1 {
            words.push(format!("×{}", self.weight));
        }
        words.extend(headers.text.as_ref().map(|text| format!("\"{text}\"")));
        words.join(" ")
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

fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reason, D::Error> {
    let name = String::deserialize(deserializer)?;
    Reason::from_name(&name).ok_or_else(|| de::Error::custom("a reason that this version does not know"))
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

    /// Leaves out what was taken until now.
    ///
    /// # Errors
    /// If the samples cannot be read.
    pub fn skip(&mut self) -> Result<()> {
        self.readers.iter_mut().try_for_each(SampleReader::skip)
    }

    /// How many samples were overwritten before they could be read.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

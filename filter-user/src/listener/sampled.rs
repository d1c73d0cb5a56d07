//! What the samples of drops say: who knocks, and what was dropped last.

use std::{
    collections::{HashMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{
    collect::Contribute,
    snapshot::{DroppedPacket, InterfaceSnapshot, Knocking, Snapshot},
};
use crate::telemetry::{By, Event, Fate, Follower, Span, Trends};

/// How many sources, networks and ports are told of.
const MOST: usize = 12;
/// How many drops are told of.
const DROPS: usize = 20;

/// Reads the samples of every filter.
#[derive(Default)]
pub struct Sampled {
    filters: HashMap<String, Filter>,
}

/// The samples of one filter.
struct Filter {
    samples: Follower,
    /// Newest first.
    drops: VecDeque<DroppedPacket>,
}

impl Contribute for Sampled {
    fn watch(&mut self) {
        // One that was detached, or attached anew, is opened again with the next snapshot.
        self.filters.retain(|_, filter| filter.read().is_ok());
    }

    fn contribute(&mut self, snapshot: &mut Snapshot) {
        let second = snapshot.taken_at / 1000;
        self.filters.retain(|name, _| snapshot.interfaces.iter().any(|interface| interface.status.interface == *name));
        for interface in &mut snapshot.interfaces {
            if self.fill(interface, second).is_err() {
                self.filters.remove(&interface.status.interface);
            }
        }
    }
}

impl Sampled {
    fn fill(&mut self, interface: &mut InterfaceSnapshot, second: u64) -> Result<()> {
        let name = &interface.status.interface;
        if !self.filters.contains_key(name) {
            self.filters.insert(name.clone(), Filter::open(name)?);
        }
        let Some(filter) = self.filters.get_mut(name) else { return Ok(()) };
        filter.read()?;
        interface.refused = filter.samples.refused();
        interface.knocking = Some(knocking(filter.samples.trends(), second));
        interface.drops = Some(filter.drops.iter().cloned().collect());
        Ok(())
    }
}

impl Filter {
    fn open(interface: &str) -> Result<Self> {
        Ok(Self { samples: Follower::open(interface)?, drops: VecDeque::new() })
    }

    fn read(&mut self) -> Result<()> {
        for event in self.samples.read()? {
            self.drops.truncate(DROPS - 1);
            self.drops.push_front(dropped(event));
        }
        Ok(())
    }
}

/// Every ranking over every span, as they are in this second since the epoch.
fn knocking(trends: &Trends, second: u64) -> Vec<Knocking> {
    let over = |span| {
        let packets = trends.total(span, second);
        By::ALL.map(|by| {
            let (most, count) = trends.ranked(by, span, second, MOST);
            Knocking { span, by, packets, count, most }
        })
    };
    Span::ALL.into_iter().flat_map(over).collect()
}

fn dropped(event: Event) -> DroppedPacket {
    let headers = event.headers;
    DroppedPacket {
        at: milliseconds(event.time),
        source: headers.source,
        source_port: headers.source_port,
        destination: headers.destination,
        destination_port: headers.destination_port,
        protocol: headers.protocol,
        text: headers.text,
        reason: event.reason.name(),
        would_drop: event.action == Fate::WouldDrop,
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

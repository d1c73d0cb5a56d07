//! What the samples of drops say: who knocks, and what was dropped last.

use std::{
    collections::{HashMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{
    collect::Contribute,
    snapshot::{DroppedPacket, InterfaceSnapshot, Snapshot, Talker},
};
use crate::telemetry::{Event, Events, Ranked, Span, Trends};

/// How many sources are told of.
const TALKERS: usize = 20;
/// How many drops are told of.
const DROPS: usize = 20;

/// Reads the samples of every filter.
#[derive(Default)]
pub struct Sampled {
    filters: HashMap<String, Filter>,
}

/// The samples of one filter.
struct Filter {
    events: Events,
    trends: Trends,
    /// Newest first.
    drops: VecDeque<DroppedPacket>,
}

impl Contribute for Sampled {
    fn contribute(&mut self, snapshot: &mut Snapshot) {
        let second = snapshot.taken_at / 1000;
        self.filters.retain(|name, _| snapshot.interfaces.iter().any(|interface| interface.status.interface == *name));
        for interface in &mut snapshot.interfaces {
            if self.fill(interface, second).is_err() {
                // It was detached, or attached anew: it is opened again the next time.
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
        let (sources, _) = filter.trends.sources(Span::TenMinutes, second, TALKERS);
        interface.talkers = Some(sources.into_iter().map(talker).collect());
        interface.drops = Some(filter.drops.iter().cloned().collect());
        Ok(())
    }
}

impl Filter {
    fn open(interface: &str) -> Result<Self> {
        let events = Events::open(&[interface.to_owned()])?;
        Ok(Self { events, trends: Trends::default(), drops: VecDeque::new() })
    }

    fn read(&mut self) -> Result<()> {
        for event in self.events.read()? {
            self.trends.count(&event);
            self.drops.truncate(DROPS - 1);
            self.drops.push_front(dropped(event));
        }
        Ok(())
    }
}

fn talker(ranked: Ranked) -> Talker {
    let Ranked { what, packets, reasons, wanted } = ranked;
    Talker { source: what, packets, tried: wanted, reasons }
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
        would_drop: event.action == "would_drop",
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! A policy compared with the one that runs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use filter_common::{RULE_COUNTERS, SNAPSHOTS, Snapshot};
use serde::Serialize;

use super::{
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    standing,
};
use crate::{
    fault,
    policy::{CompiledPolicy, Outline, OutlineDiff},
};

/// How far back what rules passed is told.
const LATELY: Duration = Duration::from_hours(1);
/// How long after a snapshot the next one is worth its place.
const SNAPSHOT_EVERY: Duration = Duration::from_mins(5);

/// How a policy differs from the one that runs.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The interface.
    pub interface: String,
    /// Whether it is the same: to the last octet, not only in what `diff` shows.
    pub same: bool,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// What would change.
    pub diff: OutlineDiff,
    /// What the rules passed lately; nothing where nobody took note before.
    pub lately: Option<Lately>,
}

/// What the rules passed lately.
#[derive(Clone, Debug, Serialize)]
pub struct Lately {
    /// Over so many seconds: an hour, or as far back as is known.
    pub interval_seconds: u64,
    /// Packets by rule.
    pub packets_by_rule: BTreeMap<String, u64>,
}

/// Compares a policy with the one that runs on `interface`.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be read.
pub fn compare(interface: &str, policy: &CompiledPolicy) -> Result<Comparison> {
    let _lock = WriteLock::take()?;
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let slot = maps.standing()?.slot();
    let info = maps.generation_in(slot)?;
    let (running, same) = match info {
        Some(_) => {
            let running = maps.running(slot)?;
            (running.outline(), running.is(policy))
        }
        None => (Outline::default(), false),
    };
    Ok(Comparison {
        interface: interface.to_owned(),
        same,
        generation: info.map_or(0, |info| info.generation),
        diff: running.diff(&policy.outline()),
        lately: maps.lately()?,
    })
}

/// Takes note of what the rules on `interface` have passed, unless that was done minutes ago.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be used.
pub fn take_snapshot(interface: &str) -> Result<()> {
    let _lock = WriteLock::take()?;
    Maps::open(Pins::attached(interface)?.directory())?.take_snapshot()
}

impl Maps {
    /// Takes note of what the rules have passed, unless that was done minutes ago.
    pub(super) fn take_snapshot(&mut self) -> Result<()> {
        let taken: Vec<u64> = (0..SNAPSHOTS).map(|place| Ok(self.snapshot(place)?.taken_at)).collect::<Result<_>>()?;
        let now = standing::now();
        let newest = taken.iter().copied().max().unwrap_or_default();
        if newest != 0 && now.saturating_sub(newest) < nanoseconds(SNAPSHOT_EVERY) {
            return Ok(());
        }
        let oldest = (0..SNAPSHOTS).zip(&taken).min_by_key(|(_, taken)| **taken).map_or(0, |(place, _)| place);
        let snapshot = Snapshot { taken_at: now, packets: self.rule_packets()? };
        fault::step();
        Ok(self.history.set(oldest, Value(snapshot), 0)?)
    }

    /// What the rules passed since the oldest snapshot of the past hour, or the newest before it.
    fn lately(&self) -> Result<Option<Lately>> {
        let now = standing::now();
        let age = |snapshot: &Snapshot| now.saturating_sub(snapshot.taken_at);
        let mut taken: Vec<Snapshot> = (0..SNAPSHOTS).map(|place| self.snapshot(place)).collect::<Result<_>>()?;
        taken.retain(|snapshot| snapshot.taken_at != 0);
        taken.sort_by_key(age);
        let within = taken.iter().rev().find(|snapshot| age(snapshot) <= nanoseconds(LATELY));
        let Some(then) = within.or_else(|| taken.first()) else { return Ok(None) };
        let packets = self.rule_packets()?;
        let passed = self.rule_counters()?.into_iter().map(|(rule, counter)| {
            let counter = usize::from(counter);
            (rule, packets[counter].saturating_sub(then.packets[counter]))
        });
        Ok(Some(Lately { interval_seconds: age(then) / 1_000_000_000, packets_by_rule: passed.collect() }))
    }

    fn snapshot(&self, place: u32) -> Result<Snapshot> {
        Ok(self.history.get(&place, 0)?.0)
    }

    /// The packets of each counter that is a rule's.
    fn rule_packets(&self) -> Result<[u64; RULE_COUNTERS as usize]> {
        let mut packets = [0; RULE_COUNTERS as usize];
        for place in self.rule_counters()?.into_values() {
            packets[usize::from(place)] = self.rule_counter(place.into())?.packets;
        }
        Ok(packets)
    }
}

fn nanoseconds(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

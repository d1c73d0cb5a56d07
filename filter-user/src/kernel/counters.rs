//! Counters, read from the pins of an attached filter.

use anyhow::{Context as _, Result};
use aya::maps::{MapData, PerCpuArray};
use bytemuck::Pod;
use filter_common::{Action, Counter, RULE_COUNTERS, Reason, Tally, reason_counter, tables::flags};
use serde::Serialize;

use super::{
    baseline::{self, Baseline},
    maps::{Maps, Value},
    pins::Pins,
};
use crate::instant;

/// What a filter counted since it was attached.
#[derive(Clone, Debug, Serialize)]
pub struct Stats {
    /// The interface.
    pub interface: String,
    /// `enforce` or `monitor`; nothing before the first policy.
    pub mode: Option<&'static str>,
    /// The number of the policy in force; 0 before the first one.
    pub generation: u64,
    /// When counting began: when the filter was attached, or when its policy was published.
    #[serde(with = "instant::optional")]
    pub since: Option<u64>,
    /// By rule, in the order of their names; rules of earlier policies too.
    pub rules: Vec<RuleCount>,
    /// By reason, every one of them.
    pub reasons: Vec<ReasonCount>,
    /// How many of the packets that were dropped, or would have been, were sampled.
    pub sampled: u64,
}

/// What a rule let in.
#[derive(Clone, Debug, Serialize)]
pub struct RuleCount {
    /// The name of the rule.
    pub rule: String,
    /// Packets.
    pub packets: u64,
    /// Octets, Ethernet header included.
    pub bytes: u64,
}

/// What a reason ended.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonCount {
    /// The name of the reason.
    pub reason: &'static str,
    /// `pass`, `drop`, or `would_drop` for what monitor mode let pass.
    pub action: &'static str,
    /// Packets.
    pub packets: u64,
    /// Octets, Ethernet header included.
    pub bytes: u64,
}

/// Reads the counters of the filter on `interface`.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be read.
pub fn stats(interface: &str) -> Result<Stats> {
    let pins = Pins::attached(interface)?;
    let since = baseline::counting_since(pins.directory());
    Ok(Stats { since, ..Maps::open(pins.directory())?.stats(interface, None)? })
}

/// Reads what the filter on `interface` counted since the policy in force was published.
///
/// # Errors
/// If no filter is attached there, no policy is in force, it was not noted what had been counted before, or the pins cannot
/// be read.
pub fn stats_since_policy(interface: &str) -> Result<Stats> {
    let pins = Pins::attached(interface)?;
    let maps = Maps::open(pins.directory())?;
    let info = maps.in_force()?.with_context(|| format!("no policy is in force on `{interface}`"))?;
    let before = maps.baseline(pins.directory())?.with_context(|| {
        format!(
            "it was not noted what had been counted on `{interface}` when its policy was published\nhint: this version \
             notes it whenever it puts a policy in force"
        )
    })?;
    Ok(Stats { since: Some(info.published_at), ..maps.stats(interface, Some(&before))? })
}

impl Maps {
    /// Everything that was counted, less what had been before.
    pub(super) fn stats(&self, interface: &str, before: Option<&Baseline>) -> Result<Stats> {
        let info = self.in_force()?;
        Ok(Stats {
            interface: interface.to_owned(),
            mode: info.map(|info| mode_name(info.flags)),
            generation: info.map_or(0, |info| info.generation),
            since: None,
            rules: self.rule_counts(before)?,
            reasons: self.reason_counts(before)?,
            sampled: self.samples.count()?.saturating_sub(before.map_or(0, |before| before.samples)),
        })
    }

    fn rule_counts(&self, before: Option<&Baseline>) -> Result<Vec<RuleCount>> {
        let mut counts = Vec::new();
        for slot in 0..RULE_COUNTERS {
            if let Some(rule) = self.rule_names.get(&slot, 0)?.0.as_str() {
                let before = before.map(|before| before.rules[slot as usize]);
                let Counter { packets, bytes } = less(self.rule_counter(slot)?, before);
                counts.push(RuleCount { rule: rule.to_owned(), packets, bytes });
            }
        }
        counts.sort_by(|one, other| one.rule.cmp(&other.rule));
        Ok(counts)
    }

    fn reason_counts(&self, before: Option<&Baseline>) -> Result<Vec<ReasonCount>> {
        let carried_out = Reason::ALL.iter().map(|reason| (*reason, false, reason.action().name()));
        let drops = Reason::ALL.iter().filter(|reason| reason.action() == Action::Drop);
        let would_drop = drops.map(|reason| (*reason, true, "would_drop"));
        carried_out
            .chain(would_drop)
            .map(|(reason, would_drop, action)| {
                let index = reason_counter(reason, would_drop);
                let before = before.map(|before| before.reasons[index as usize]);
                let Counter { packets, bytes } = less(self.reason_counter(index)?, before);
                Ok(ReasonCount { reason: reason.name(), action, packets, bytes })
            })
            .collect()
    }

    /// What was counted for a reason, by the index of its counter, over all CPUs.
    pub(super) fn reason_counter(&self, index: u32) -> Result<Counter> {
        let alone = over_all_cpus(&self.reasons, index, |tally: Tally| tally.counter)?;
        if index != reason_counter(Reason::Listed, false) {
            return Ok(alone);
        }
        self.rule_counters()?.into_values().try_fold(alone, |sum, rule| Ok(sum + self.listed_counter(rule.into())?))
    }

    /// What was counted for a rule, by the number of its counter, over all CPUs.
    pub(super) fn rule_counter(&self, index: u32) -> Result<Counter> {
        Ok(over_all_cpus(&self.rules, index, |counter| counter)? + self.listed_counter(index)?)
    }

    /// What it let in as listed.
    fn listed_counter(&self, index: u32) -> Result<Counter> {
        over_all_cpus(&self.listed, index, |counter| counter)
    }
}

/// The sum of the counters in this place of a map.
fn over_all_cpus<T: Pod>(
    map: &PerCpuArray<MapData, Value<T>>,
    index: u32,
    counter: impl Fn(T) -> Counter,
) -> Result<Counter> {
    Ok(map.get(&index, 0)?.iter().fold(Counter::default(), |sum, Value(value)| sum + counter(*value)))
}

/// What was counted since a counter was this.
fn less(counter: Counter, before: Option<Counter>) -> Counter {
    let before = before.unwrap_or_default();
    Counter {
        packets: counter.packets.saturating_sub(before.packets),
        bytes: counter.bytes.saturating_sub(before.bytes),
    }
}

/// The mode that a policy's flags say.
pub(super) const fn mode_name(policy_flags: u32) -> &'static str {
    if policy_flags & flags::MONITOR == 0 { "enforce" } else { "monitor" }
}

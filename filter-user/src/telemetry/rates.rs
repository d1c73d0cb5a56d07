//! Counters of two times become rates.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use crate::{
    instant,
    kernel::{self, ReasonCount, RuleCount, Stats},
};

/// How much came in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Packets.
    pub packets_per_second: f64,
    /// Octets.
    pub bytes_per_second: f64,
}

/// What a rule let in.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredRule {
    /// Since the filter was attached.
    #[serde(flatten)]
    pub count: RuleCount,
    /// Since the last time.
    #[serde(flatten)]
    pub rate: Option<Rate>,
}

/// What a reason ended.
#[derive(Clone, Debug, Serialize)]
pub struct MeasuredReason {
    /// Since the filter was attached.
    #[serde(flatten)]
    pub count: ReasonCount,
    /// Since the last time.
    #[serde(flatten)]
    pub rate: Option<Rate>,
}

/// What a filter counted, and how fast.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// The interface.
    pub interface: String,
    /// `enforce` or `monitor`; nothing where no policy is in force.
    pub mode: Option<&'static str>,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// When counting began.
    #[serde(with = "instant::optional")]
    pub since: Option<u64>,
    /// Over how many seconds rates are; nothing the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<f64>,
    /// By rule.
    pub rules: Vec<MeasuredRule>,
    /// By reason.
    pub reasons: Vec<MeasuredReason>,
    /// How many of the packets that were dropped, or would have been, were sampled.
    pub sampled: u64,
}

/// Packets over all reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Passed, without what monitor mode let pass.
    pub passed: (u64, Rate),
    /// Dropped.
    pub dropped: (u64, Rate),
    /// Passed, and would have been dropped.
    pub would_drop: (u64, Rate),
}

impl Totals {
    /// All packets.
    pub const fn packets(&self) -> u64 {
        self.passed.0 + self.dropped.0 + self.would_drop.0
    }
}

/// Reads the counters of an interface again and again.
pub struct Meter {
    interface: String,
    read: fn(&str) -> Result<Stats>,
    last: Option<(Instant, Stats)>,
}

impl Meter {
    /// For this interface, of all that was counted.
    pub fn new(interface: &str) -> Self {
        Self { interface: interface.to_owned(), read: kernel::stats, last: None }
    }

    /// For this interface, of what was counted since its policy was published.
    pub fn since_policy(interface: &str) -> Self {
        Self { read: kernel::stats_since_policy, ..Self::new(interface) }
    }

    /// Reads the counters; rates are those since the last time.
    ///
    /// # Errors
    /// If no filter is attached there, or its pins cannot be read.
    pub fn read(&mut self) -> Result<Measured> {
        let (now, stats) = (Instant::now(), (self.read)(&self.interface)?);
        let then = self.last.replace((now, stats.clone()));
        let then = then.map(|(then, stats)| (now.duration_since(then).as_secs_f64(), stats));
        Ok(Measured::new(stats, then.as_ref().map(|(seconds, stats)| (*seconds, stats))))
    }
}

impl Measured {
    /// What was counted, and how fast since those seconds ago when this was.
    pub fn new(now: Stats, then: Option<(f64, &Stats)>) -> Self {
        let Stats { interface, mode, generation, since, rules, reasons, sampled } = now;
        let before = |rule: &str| then.and_then(|(_, stats)| stats.rules.iter().find(|count| count.rule == rule));
        let rules = rules.into_iter().map(|count| {
            let old = before(&count.rule).map(|old| (old.packets, old.bytes)).unwrap_or_default();
            let rate = then.map(|(seconds, _)| Rate::between(old, (count.packets, count.bytes), seconds));
            MeasuredRule { count, rate }
        });
        let rules = rules.collect();
        // Both have every reason, in the same order.
        let reasons = reasons.into_iter().enumerate().map(|(place, count)| {
            let rate = then.and_then(|(seconds, stats)| {
                let old = stats.reasons.get(place)?;
                Some(Rate::between((old.packets, old.bytes), (count.packets, count.bytes), seconds))
            });
            MeasuredReason { count, rate }
        });
        let reasons = reasons.collect();
        Self {
            interface,
            mode,
            generation,
            since,
            interval_seconds: then.map(|(seconds, _)| seconds),
            rules,
            reasons,
            sampled,
        }
    }

    /// Packets over all reasons.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for MeasuredReason { count, rate } in &self.reasons {
            // What inspection only counts passed by its rule, and is counted there.
            let total = match count.action {
                "pass" => &mut totals.passed,
                "drop" => &mut totals.dropped,
                _ => &mut totals.would_drop,
            };
            let rate = rate.unwrap_or_default();
            total.0 += count.packets;
            total.1.packets_per_second += rate.packets_per_second;
            total.1.bytes_per_second += rate.bytes_per_second;
        }
        totals
    }
}

impl Rate {
    /// From what was counted then to what was counted now. A filter that was attached anew begins at nothing.
    fn between(then: (u64, u64), now: (u64, u64), seconds: f64) -> Self {
        let per_second = |then: u64, now: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a rate has no 53 bits that matter")]
            let difference = now.checked_sub(then).unwrap_or(now) as f64;
            if seconds > 0.0 { difference / seconds } else { 0.0 }
        };
        Self { packets_per_second: per_second(then.0, now.0), bytes_per_second: per_second(then.1, now.1) }
    }
}

//! Reads what is shown.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use filter_common::Reason;
use filter_user::{
    instant,
    kernel::{self, Status},
    telemetry::{
        By, Calls, Follower, Measured, MeasuredReason, MeasuredRule, Meter, Rate, Span, concerns_listed, provider,
    },
};

use super::model::{Model, Quiet, ReasonRow, RuleRow, Series};
use crate::cli::{check, refresh::StateDirectory};

/// How many readings the past has: as many as the widest screen shows.
const PAST: usize = 300;
/// Over how long it is told what was dropped of listed sources.
const MINUTE: Duration = Duration::from_mins(1);
/// How many sources, networks or ports can be scrolled through.
const RANKED: usize = 100;
/// How often a policy file is compared with what runs.
const LOOK: Duration = Duration::from_secs(30);

/// Reads one interface again and again.
pub(super) struct Gatherer {
    interface: String,
    meter: Meter,
    samples: Follower,
    status: Status,
    measured: Measured,
    passed: VecDeque<u64>,
    dropped: VecDeque<u64>,
    begun: Instant,
    /// When each rule last let something in, since this began.
    heard: HashMap<String, Instant>,
    /// What was counted of listed sources at each reading of the last minute.
    listed: VecDeque<(Instant, Listed)>,
}

impl Gatherer {
    pub(super) fn new(interface: &str) -> Result<Self> {
        let (mut samples, mut meter) = (Follower::open(interface)?, Meter::new(interface));
        // What was sampled before is no news of what will be counted.
        samples.read()?;
        let measured = meter.read()?;
        Ok(Self {
            interface: interface.to_owned(),
            samples,
            status: kernel::status(interface)?,
            listed: VecDeque::from([(Instant::now(), Listed::of(&measured))]),
            meter,
            measured,
            passed: VecDeque::new(),
            dropped: VecDeque::new(),
            begun: Instant::now(),
            heard: HashMap::new(),
        })
    }

    pub(super) fn interface(&self) -> &str {
        &self.interface
    }

    /// Reads what does not wait.
    pub(super) fn watch(&mut self) -> Result<()> {
        self.samples.read().map(drop)
    }

    /// Reads everything.
    pub(super) fn read(&mut self) -> Result<()> {
        self.status = kernel::status(&self.interface)?;
        self.measured = self.meter.read()?;
        // Of all that was counted it is known whose it was.
        self.watch()?;
        let totals = self.measured.totals();
        push(&mut self.passed, totals.passed.1.packets_per_second, PAST);
        push(&mut self.dropped, sum(totals.dropped.1, totals.would_drop.1).packets_per_second, PAST);
        for MeasuredRule { count, rate } in &self.measured.rules {
            if rate.is_some_and(|rate| rate.packets_per_second > 0.0) {
                self.heard.insert(count.rule.clone(), Instant::now());
            }
        }
        self.listed.push_back((Instant::now(), Listed::of(&self.measured)));
        // The one that a minute began with stays.
        while self.listed.get(1).is_some_and(|(at, _)| at.elapsed() >= MINUTE) {
            self.listed.pop_front();
        }
        Ok(())
    }

    /// What was read last, and what was dropped most in this span.
    pub(super) fn model(&self, by: By, span: Span, place: (usize, usize), drift: Option<String>) -> Model {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let totals = self.measured.totals();
        let Listed { dropped: at_risk, passed } = self.lately();
        let refused = self.samples.refused();
        let (knockers, source_count) = self.samples.trends().ranked(By::Source, span, now, 1);
        let past = |rates: &VecDeque<u64>| rates.iter().copied().collect();
        Model {
            time: instant::text(now),
            status: self.status.clone(),
            place,
            drift,
            passed: Series { past: past(&self.passed), rate: totals.passed.1, packets: totals.passed.0 },
            dropped: Series {
                past: past(&self.dropped),
                rate: sum(totals.dropped.1, totals.would_drop.1),
                packets: totals.dropped.0 + totals.would_drop.0,
            },
            rules: self.measured.rules.iter().map(|rule| self.rule(rule)).collect(),
            reasons: self.measured.reasons.iter().filter_map(reason).collect(),
            watched: self.listed.front().map_or(Duration::ZERO, |(at, _)| at.elapsed()),
            calls: Calls::new(at_risk.values().sum(), refused, passed),
            at_risk: most_first(at_risk),
            refused,
            span,
            by,
            ranked: self.samples.trends().ranked(by, span, now, RANKED).0,
            knocker: knockers.into_iter().next(),
            source_count,
            span_total: self.samples.trends().total(span, now),
        }
    }

    fn rule(&self, MeasuredRule { count, rate }: &MeasuredRule) -> RuleRow {
        let quiet = match self.heard.get(&count.rule) {
            Some(heard) => Quiet::For(heard.elapsed()),
            None if count.packets > 0 => Quiet::Longer(self.begun.elapsed()),
            None => Quiet::Always,
        };
        let packets_per_second = rate.unwrap_or_default().packets_per_second;
        RuleRow { rule: count.rule.clone(), packets_per_second, packets: count.packets, quiet }
    }

    /// What was counted in the last minute.
    fn lately(&self) -> Listed {
        let (Some((_, then)), Some((_, now))) = (self.listed.front(), self.listed.back()) else {
            return Listed::default();
        };
        let before = |reason: &str| then.dropped.get(reason).copied().unwrap_or_default();
        let dropped = now.dropped.iter().map(|(reason, packets)| (*reason, packets.saturating_sub(before(reason))));
        Listed { dropped: dropped.collect(), passed: now.passed.saturating_sub(then.passed) }
    }
}

/// What was counted of listed sources.
#[derive(Debug, Default)]
struct Listed {
    /// Dropped, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// Let in by the rules of providers.
    passed: u64,
}

impl Listed {
    fn of(measured: &Measured) -> Self {
        let mut dropped = BTreeMap::new();
        for MeasuredReason { count, .. } in &measured.reasons {
            if Reason::from_name(count.reason).is_some_and(concerns_listed) {
                *dropped.entry(count.reason).or_default() += count.packets;
            }
        }
        let of_providers = measured.rules.iter().filter(|rule| provider(&rule.count.rule).is_some());
        Self { dropped, passed: of_providers.map(|rule| rule.count.packets).sum() }
    }
}

/// The reasons that anything was dropped for.
fn most_first(dropped: BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
    let mut reasons: Vec<_> = dropped.into_iter().filter(|(_, packets)| *packets > 0).collect();
    reasons.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
    reasons
}

fn reason(MeasuredReason { count, rate }: &MeasuredReason) -> Option<ReasonRow> {
    (count.action != "pass" && count.packets > 0).then(|| ReasonRow {
        reason: count.reason,
        action: count.action,
        packets_per_second: rate.unwrap_or_default().packets_per_second,
        packets: count.packets,
    })
}

fn sum(one: Rate, other: Rate) -> Rate {
    Rate {
        packets_per_second: one.packets_per_second + other.packets_per_second,
        bytes_per_second: one.bytes_per_second + other.bytes_per_second,
    }
}

fn push(past: &mut VecDeque<u64>, rate: f64, most: usize) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is no negative number")]
    past.push_back(rate.round() as u64);
    if past.len() > most {
        past.pop_front();
    }
}

/// Whether a policy file is what runs.
pub(super) struct Drift {
    file: PathBuf,
    state: StateDirectory,
    looked: Option<(Instant, String)>,
    text: Option<String>,
}

impl Drift {
    pub(super) const fn new(file: PathBuf, state: StateDirectory) -> Self {
        Self { file, state, looked: None, text: None }
    }

    /// Compares, unless that was done a moment ago.
    pub(super) fn look(&mut self, interface: &str) {
        let is_fresh = |(at, of): &(Instant, String)| at.elapsed() < LOOK && of == interface;
        if self.looked.as_ref().is_some_and(is_fresh) {
            return;
        }
        self.text = Some(self.compare(interface).unwrap_or_else(|error| format!("policy file: {error:#}")));
        self.looked = Some((Instant::now(), interface.to_owned()));
    }

    pub(super) fn text(&self) -> Option<String> {
        self.text.clone()
    }

    fn compare(&self, interface: &str) -> Result<String> {
        let (_, compiled) = check::load(&self.file, &self.state).ok().context("it is refused, see `sipwall check`")?;
        let comparison = kernel::compare(interface, &compiled)?;
        Ok(if comparison.same { "file is in force" } else { "DRIFT: the file is not what runs" }.to_owned())
    }
}

//! How counters grew in the past minutes.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use filter_common::{Action, Reason};

use super::snapshot::{ReasonTraffic, RuleTraffic, Samples, Traffic};
use crate::{
    kernel::{ReasonCount, RuleCount, Stats},
    telemetry::{concerns_listed, provider},
};

/// How many moments are kept: five minutes, of one a second.
const MOMENTS: usize = 300;
/// How many moments are lately.
const RECENT: usize = 10;

/// The growth of one filter's counters.
#[derive(Debug, Default)]
pub(super) struct History {
    last: Option<Instant>,
    traffic: VecDeque<Traffic>,
    rules: HashMap<String, Rule>,
    reasons: HashMap<(&'static str, &'static str), Track>,
    /// How many drops were not sampled.
    unsampled: u64,
}

#[derive(Debug)]
struct Rule {
    packets: Track,
    bytes: Track,
}

/// The growth of one counter.
#[derive(Debug)]
struct Track {
    total: u64,
    grew_at: Instant,
    growth: VecDeque<u64>,
}

impl Track {
    /// What a counter had before is nothing that it grew by.
    const fn new(total: u64, now: Instant) -> Self {
        Self { total, grew_at: now, growth: VecDeque::new() }
    }

    fn record(&mut self, total: u64, now: Instant) -> u64 {
        // A counter that is smaller belongs to a filter that was attached anew, and began at 0.
        let grown = total.checked_sub(self.total).unwrap_or(total);
        self.total = total;
        if grown > 0 {
            self.grew_at = now;
        }
        push(&mut self.growth, grown);
        grown
    }

    fn recent(&self) -> u64 {
        self.growth.iter().rev().take(RECENT).sum()
    }

    /// The growth in spans of [`RECENT`] moments, oldest first.
    fn trend(&self) -> Vec<u64> {
        let newest_first: Vec<u64> = self.growth.iter().rev().copied().collect();
        let mut spans: Vec<u64> = newest_first.chunks(RECENT).map(|span| span.iter().sum()).collect();
        spans.reverse();
        spans
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == MOMENTS {
        kept.pop_front();
    }
    kept.push_back(new);
}

impl History {
    /// Takes note of what is counted now.
    pub(super) fn record(&mut self, stats: &Stats, now: Instant) {
        let mut traffic = Traffic::default();
        for count in &stats.rules {
            let grown = self.record_rule(count, now);
            if provider(&count.rule).is_some() {
                traffic.by_rule += grown;
            }
        }
        for count in &stats.reasons {
            self.record_reason(count, now, &mut traffic);
        }
        if let Some(last) = self.last.replace(now) {
            traffic.milliseconds = u64::try_from((now - last).as_millis()).unwrap_or(u64::MAX);
            push(&mut self.traffic, traffic);
        }
    }

    fn record_rule(&mut self, count: &RuleCount, now: Instant) -> u64 {
        let new = || Rule { packets: Track::new(count.packets, now), bytes: Track::new(count.bytes, now) };
        let rule = self.rules.entry(count.rule.clone()).or_insert_with(new);
        rule.bytes.record(count.bytes, now);
        rule.packets.record(count.packets, now)
    }

    fn record_reason(&mut self, count: &ReasonCount, now: Instant, traffic: &mut Traffic) {
        let key = (count.reason, count.action);
        let track = self.reasons.entry(key).or_insert_with(|| Track::new(count.packets, now));
        let grown = track.record(count.packets, now);
        let Some(reason) = Reason::from_name(count.reason) else { return };
        match (reason.action(), count.action) {
            (Action::Pass, _) => traffic.passed += grown,
            (Action::Drop, "would_drop") => traffic.would_drop += grown,
            (Action::Drop, _) => traffic.dropped += grown,
        }
        if concerns_listed(reason) {
            traffic.listed_dropped += grown;
        }
    }

    /// What each of these rules let in, in all and lately.
    pub(super) fn rules(&self, counts: &[RuleCount], now: Instant) -> Vec<RuleTraffic> {
        counts.iter().map(|count| self.rule(count, now)).collect()
    }

    fn rule(&self, count: &RuleCount, now: Instant) -> RuleTraffic {
        let RuleCount { rule, packets, bytes } = count;
        let known = RuleTraffic { rule: rule.clone(), packets: *packets, bytes: *bytes, ..RuleTraffic::default() };
        let Some(history) = self.rules.get(rule) else { return known };
        RuleTraffic {
            recent_packets: history.packets.recent(),
            recent_bytes: history.bytes.recent(),
            trend: history.packets.trend(),
            quiet_for: (now - history.packets.grew_at).as_secs(),
            ..known
        }
    }

    /// What each of these reasons ended, in all and lately.
    pub(super) fn reasons(&self, counts: &[ReasonCount]) -> Vec<ReasonTraffic> {
        let recent = |count: &ReasonCount| self.reasons.get(&(count.reason, count.action)).map_or(0, Track::recent);
        let with_history = |count: &ReasonCount| {
            let ReasonCount { reason, action, packets, bytes } = *count;
            ReasonTraffic { reason, action, packets, bytes, recent_packets: recent(count) }
        };
        counts.iter().map(with_history).collect()
    }

    /// What became of the samples. Counters are read one after the other: what was not sampled yet is never less again.
    pub(super) fn samples(&mut self, stats: &Stats) -> Samples {
        let drops = stats.reasons.iter().filter(|count| count.action != Action::Pass.name());
        let dropped: u64 = drops.map(|count| count.packets).sum();
        let unsampled = dropped.saturating_sub(stats.sampled);
        // All is less where the filter was attached anew.
        self.unsampled = if dropped < self.unsampled { unsampled } else { self.unsampled.max(unsampled) };
        Samples { taken: stats.sampled, lost: self.unsampled }
    }

    /// The past minutes, oldest first.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.traffic.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn stats(rule: u64, unlisted: u64, source_port: u64) -> Stats {
        let reason = |reason, action, packets| ReasonCount { reason, action, packets, bytes: packets * 100 };
        Stats {
            interface: "eth0".to_owned(),
            mode: Some("enforce"),
            generation: 1,
            since: None,
            sampled: unlisted / 2,
            rules: vec![RuleCount { rule: "kore/media".to_owned(), packets: rule, bytes: rule * 100 }],
            reasons: vec![
                reason("listed", "pass", rule),
                reason("source_unlisted", "drop", unlisted),
                reason("source_port", "would_drop", source_port),
            ],
        }
    }

    #[test]
    fn what_was_counted_before_is_no_traffic_and_what_comes_is_told_apart() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        history.record(&stats(1_000, 500, 0), at(0));
        assert_eq!(history.traffic(), []);
        history.record(&stats(1_050, 507, 3), at(2));
        let traffic =
            Traffic { milliseconds: 2000, passed: 50, dropped: 7, would_drop: 3, listed_dropped: 3, by_rule: 50 };
        assert_eq!(history.traffic(), [traffic]);
        let rules = history.rules(&stats(1_050, 0, 0).rules, at(9));
        assert_eq!((rules[0].recent_packets, rules[0].recent_bytes, rules[0].quiet_for), (50, 5_000, 7));
    }

    #[test]
    fn counters_that_begin_anew_count_from_nothing() {
        let start = Instant::now();
        let mut history = History::default();
        history.record(&stats(1_000, 0, 0), start);
        history.record(&stats(4, 0, 0), start + Duration::from_secs(1));
        assert_eq!(history.traffic()[0].by_rule, 4);
    }

    #[test]
    fn only_the_past_minutes_are_kept() {
        let start = Instant::now();
        let mut history = History::default();
        for second in 0..=1000 {
            history.record(&stats(second, 0, 0), start + Duration::from_secs(second));
        }
        assert_eq!(history.traffic().len(), MOMENTS);
        let rule = &history.rules(&stats(1000, 0, 0).rules, start + Duration::from_secs(1000))[0];
        assert_eq!((rule.trend.len(), rule.trend[0], rule.recent_packets), (MOMENTS / RECENT, 10, 10));
    }
}

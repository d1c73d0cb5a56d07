//! Whether a policy on trial is good, by what the filter lets in and drops.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// How far back tallies are kept.
const LONGEST: Duration = Duration::from_mins(1);
/// Over how long what is usual is looked at, at the least.
const SHORTEST: Duration = Duration::from_secs(5);
/// How many packets make a judgement: fewer can be missing or too many by chance.
const ENOUGH: f64 = 20.0;
/// A rule that passes less than this share of what is usual has lost something.
const LEAST_SHARE: f64 = 0.1;
/// Drops of listed sources may be so many times the usual…
const MOST_TIMES: f64 = 2.0;
/// …and so many more a second.
const MOST_MORE: f64 = 1.0;

/// The reasons for which only packets of listed sources are dropped.
pub(super) const LISTED_DROPS: [&str; 4] = ["port_closed", "source_port", "opening_segment", "protocol_unlisted"];

/// What was counted up to a moment, over all interfaces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Packets by rule.
    pub rules: BTreeMap<String, u64>,
    /// Packets of listed sources that were dropped, or would have been, by reason.
    pub listed_drops: BTreeMap<&'static str, u64>,
    /// All packets that passed.
    pub passed: u64,
    /// All packets that were dropped, or would have been.
    pub dropped: u64,
}

/// What is usual: packets a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Usual {
    rules: BTreeMap<String, f64>,
    listed_drops: BTreeMap<&'static str, f64>,
}

/// The tallies of the past minute.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<(Instant, Tally)>);

impl Past {
    /// Adds a tally.
    pub(super) fn add(&mut self, at: Instant, tally: Tally) {
        while self.0.front().is_some_and(|(first, _)| at.duration_since(*first) > LONGEST) {
            self.0.pop_front();
        }
        self.0.push_back((at, tally));
    }

    /// Packets a second in the past minute: those that passed and those that were dropped.
    pub(super) fn rates(&self) -> [u64; 2] {
        let Some((first, last, seconds)) = self.span(LONGEST) else { return [0, 0] };
        [last.passed.saturating_sub(first.passed), last.dropped.saturating_sub(first.dropped)].map(|packets| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate that people read")]
            let rate = (number(packets) / seconds).round() as u64;
            rate
        })
    }

    /// What was usual over so long, as far as it is known; nothing while too little is known.
    pub(super) fn usual(&self, over: Duration) -> Usual {
        let Some((first, last, seconds)) = self.span(over.max(SHORTEST)) else { return Usual::default() };
        let grown =
            |last: u64, first: Option<&u64>| number(last.saturating_sub(first.copied().unwrap_or(last))) / seconds;
        let rules = last.rules.iter().map(|(rule, packets)| (rule.clone(), grown(*packets, first.rules.get(rule))));
        let drops = last.listed_drops.iter();
        let drops = drops.map(|(reason, packets)| (*reason, grown(*packets, first.listed_drops.get(reason))));
        Usual { rules: rules.collect(), listed_drops: drops.collect() }
    }

    fn span(&self, over: Duration) -> Option<(&Tally, &Tally, f64)> {
        let (ended, last) = self.0.back()?;
        let (begun, first) = self.0.iter().find(|(at, _)| ended.duration_since(*at) <= over)?;
        let seconds = ended.duration_since(*begun).as_secs_f64();
        (seconds > 0.0).then_some((first, last, seconds))
    }
}

/// What is to be thought of a policy on trial.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// It has not been watched for long enough.
    TooEarly,
    /// Nothing speaks against it.
    Good,
    /// It drops what is listed.
    Bad(String),
}

/// A policy on trial, as it is watched.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// What was usual before.
    pub(super) usual: Usual,
    /// What was counted when it came into force.
    pub(super) at_start: Tally,
    /// For how long it is watched.
    pub(super) observe_for: Duration,
    /// The providers and rules that may fall silent.
    pub(super) may_lose: Vec<String>,
}

impl Watch {
    /// What is to be thought of it after so long, with what is counted now.
    pub(super) fn judge(&self, elapsed: Duration, now: &Tally) -> Verdict {
        if let Some(why) = self.dropped_too_much(elapsed, now) {
            return Verdict::Bad(why);
        }
        if elapsed < self.observe_for {
            return Verdict::TooEarly;
        }
        self.fell_silent(elapsed, now).map_or(Verdict::Good, Verdict::Bad)
    }

    /// Drops for which only listed sources come into question, and which are not usual.
    fn dropped_too_much(&self, elapsed: Duration, now: &Tally) -> Option<String> {
        // Nothing tells whose packets they are, and some are meant to be dropped.
        if !self.may_lose.is_empty() {
            return None;
        }
        now.listed_drops.iter().find_map(|(reason, packets)| {
            let dropped = number(packets.saturating_sub(self.at_start.listed_drops.get(reason).copied().unwrap_or(0)));
            let usual = self.usual.listed_drops.get(reason).copied().unwrap_or(0.0);
            let limit = (usual * MOST_TIMES + MOST_MORE) * elapsed.as_secs_f64().max(1.0);
            (dropped >= ENOUGH && dropped > limit).then(|| {
                format!(
                    "listed sources are dropped for `{reason}`: {dropped} packets in {:.0} s, where {usual:.1} a second \
                     were usual",
                    elapsed.as_secs_f64()
                )
            })
        })
    }

    /// A rule that passed packets steadily, and hardly does any more.
    fn fell_silent(&self, elapsed: Duration, now: &Tally) -> Option<String> {
        self.usual.rules.iter().filter(|(rule, _)| !is_own(rule) && !self.may_be_lost(rule)).find_map(
            |(rule, usual)| {
                let counted = |tally: &Tally| tally.rules.get(rule).copied().unwrap_or_default();
                let expected = usual * elapsed.as_secs_f64();
                let passed = number(counted(now).saturating_sub(counted(&self.at_start)));
                (expected >= ENOUGH && passed < expected * LEAST_SHARE).then(|| {
                    format!(
                        "`{rule}` passed {passed} packets in {:.0} s, where {usual:.1} a second were usual",
                        elapsed.as_secs_f64()
                    )
                })
            },
        )
    }

    fn may_be_lost(&self, rule: &str) -> bool {
        let provider = rule.split('/').next().unwrap_or(rule);
        self.may_lose.iter().any(|name| name == rule || name == provider)
    }
}

/// Whether it is a rule of the host's own: a login or a backup begins and ends when it likes.
fn is_own(rule: &str) -> bool {
    rule.starts_with("allow/")
}

fn number(packets: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody counts packets to the last one here")]
    let number = packets as f64;
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(signalling: u64, media: u64, closed: u64) -> Tally {
        Tally {
            rules: BTreeMap::from([("acme/sip-udp".to_owned(), signalling), ("acme/media".to_owned(), media)]),
            listed_drops: BTreeMap::from([("port_closed", closed)]),
            ..Tally::default()
        }
    }

    /// A minute with two packets of signalling and fifty of media a second, and one drop in two seconds.
    fn watch() -> Watch {
        let (mut past, start) = (Past::default(), Instant::now());
        for second in 0..=60 {
            past.add(start + Duration::from_secs(second), tally(second * 2, second * 50, second / 2));
        }
        let at_start = tally(120, 3000, 30);
        Watch {
            usual: past.usual(Duration::from_secs(30)),
            at_start,
            observe_for: Duration::from_secs(30),
            may_lose: Vec::new(),
        }
    }

    fn judge(watch: &Watch, seconds: u64, [signalling, media, closed]: [u64; 3]) -> Verdict {
        let rules = &watch.at_start.rules;
        let now = tally(
            rules["acme/sip-udp"] + signalling,
            rules["acme/media"] + media,
            watch.at_start.listed_drops["port_closed"] + closed,
        );
        watch.judge(Duration::from_secs(seconds), &now)
    }

    #[test]
    fn what_goes_on_as_before_is_good_when_it_was_watched_long_enough() {
        let watch = watch();
        assert_eq!(judge(&watch, 29, [58, 1450, 15]), Verdict::TooEarly);
        assert_eq!(judge(&watch, 30, [60, 1500, 15]), Verdict::Good);
        assert_eq!(judge(&watch, 30, [20, 300, 0]), Verdict::Good, "traffic comes and goes");
    }

    #[test]
    fn a_rule_that_falls_silent_is_bad_unless_that_is_meant() {
        let watch = watch();
        let bad = judge(&watch, 30, [60, 0, 15]);
        assert!(
            matches!(&bad, Verdict::Bad(why) if why.contains("`acme/media` passed 0 packets in 30 s, where 50.0")),
            "{bad:?}"
        );
        assert!(matches!(judge(&watch, 30, [1, 1500, 0]), Verdict::Bad(_)));
        for name in ["acme", "acme/media"] {
            let watch = Watch { may_lose: vec![name.to_owned()], ..watch.clone() };
            assert_eq!(judge(&watch, 30, [60, 0, 15]), Verdict::Good, "{name}");
        }
        // Those that are lost may be dropped for being listed elsewhere.
        let meant = Watch { may_lose: vec!["acme/media".to_owned()], ..watch.clone() };
        assert_eq!(judge(&meant, 30, [60, 0, 1515]), Verdict::Good);
        assert!(matches!(judge(&watch, 30, [60, 0, 1515]), Verdict::Bad(_)));
        // Two packets a second tell nothing in five seconds.
        let short = Watch { observe_for: Duration::from_secs(5), ..watch };
        assert_eq!(judge(&short, 5, [0, 250, 0]), Verdict::Good);
    }

    #[test]
    fn what_the_host_itself_needs_comes_and_goes() {
        let mut watch = watch();
        watch.usual.rules.insert("allow/ssh".to_owned(), 50.0);
        assert_eq!(judge(&watch, 30, [60, 1500, 15]), Verdict::Good);
    }

    #[test]
    fn listed_sources_that_are_dropped_are_bad_at_once() {
        let watch = watch();
        let bad = judge(&watch, 2, [4, 0, 100]);
        assert!(matches!(&bad, Verdict::Bad(why) if why.contains("`port_closed`: 100 packets in 2 s")), "{bad:?}");
        assert_eq!(judge(&watch, 2, [4, 100, 19]), Verdict::TooEarly, "too few to tell");
        assert_eq!(judge(&watch, 30, [60, 1500, 45]), Verdict::Good, "not much more than usual");
    }

    #[test]
    fn nothing_is_usual_for_whom_nothing_is_known_of() {
        assert_eq!(Past::default().usual(LONGEST), Usual::default());
        assert_eq!(Past::default().rates(), [0, 0]);
    }
}

//! The filter's own counters, as `sipwall stats --json` prints them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::flow::Fate;

/// Packets by rule and by reason.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Counters {
    rules: BTreeMap<String, u64>,
    passed: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Stats {
    rules: Vec<RuleCount>,
    reasons: Vec<ReasonCount>,
}

#[derive(Deserialize)]
struct RuleCount {
    rule: String,
    packets: u64,
}

#[derive(Deserialize)]
struct ReasonCount {
    reason: String,
    action: String,
    packets: u64,
}

impl Counters {
    /// Reads one line of `sipwall stats --json`.
    pub(super) fn read(json: &str) -> Result<Self> {
        let stats: Stats = serde_json::from_str(json).context("`sipwall stats --json` printed something else")?;
        let by_action = |action: &str| {
            let counts = stats.reasons.iter().filter(|count| count.action == action);
            counts.map(|count| (count.reason.clone(), count.packets)).collect()
        };
        Ok(Self {
            passed: by_action("pass"),
            dropped: by_action("drop"),
            rules: stats.rules.into_iter().map(|count| (count.rule, count.packets)).collect(),
        })
    }

    /// What was counted since an earlier reading.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let difference = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            let counted = now.iter().map(|(name, packets)| (name.clone(), packets - then.get(name).unwrap_or(&0)));
            counted.collect()
        };
        Self {
            rules: difference(&self.rules, &earlier.rules),
            passed: difference(&self.passed, &earlier.passed),
            dropped: difference(&self.dropped, &earlier.dropped),
        }
    }

    /// The packets that had this fate.
    pub(super) fn of(&self, fate: Fate) -> u64 {
        let (counters, name) = match fate {
            Fate::Listed(rule) => (&self.rules, rule),
            Fate::Passed(reason) => (&self.passed, reason),
            Fate::Dropped(reason) => (&self.dropped, reason),
        };
        counters.get(name).copied().unwrap_or(0)
    }

    /// Rules and drop reasons that counted packets, and are not among these fates.
    pub(super) fn unexpected<'a>(&'a self, fates: &'a BTreeMap<Fate, u64>) -> impl Iterator<Item = (&'a str, u64)> {
        let expected: BTreeSet<_> = fates.keys().map(|fate| fate.counter()).collect();
        let counters = self.rules.iter().chain(&self.dropped).map(|(name, packets)| (name.as_str(), *packets));
        counters.filter(move |(name, packets)| *packets > 0 && !expected.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = r#"{"interface": "eth0", "rules": [{"rule": "kore/media", "packets": 1, "bytes": 60}],
        "reasons": [{"reason": "source_unlisted", "action": "drop", "packets": 2, "bytes": 120},
                    {"reason": "arp", "action": "pass", "packets": 3, "bytes": 180}]}"#;

    #[test]
    fn only_what_was_counted_meanwhile_counts() {
        let before = Counters::read(BEFORE).unwrap();
        let after = BEFORE.replace("\"packets\": 2", "\"packets\": 12");
        let counted = Counters::read(&after).unwrap().since(&before);
        assert_eq!(counted.of(Fate::Dropped("source_unlisted")), 10);
        assert_eq!(counted.of(Fate::Listed("kore/media")), 0);
        assert_eq!(counted.unexpected(&BTreeMap::new()).collect::<Vec<_>>(), [("source_unlisted", 10)]);
    }
}

//! Whose turn it is to be asked, and how long until the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{
    clock::Moment,
    refresher::{Asking, Step},
    report::Outcome,
    schedule::Schedule,
};
use crate::policy::file::{PolicyFile, is_url};

/// When each provider's source is asked next.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<String, Turn>);

#[derive(Debug)]
struct Turn {
    schedule: Schedule,
    at: Instant,
}

impl Turns {
    /// How often at the most names are asked and graces ended between two documents, and a broken policy read again.
    pub const SHORTEST_REST: Duration = Duration::from_secs(30);

    /// Which sources are to be asked now.
    pub fn asking(&self, file: &PolicyFile) -> Asking {
        if self.0.is_empty() {
            return Asking::due();
        }
        let now = Instant::now();
        let names = file.providers.iter().map(|provider| &provider.name.value);
        let due = names.filter(|name| self.0.get(*name).is_none_or(|turn| turn.at <= now));
        Asking::only(due.cloned().collect())
    }

    /// Lets the sources that are files be asked now: they may have changed.
    pub fn ask_files(&mut self, file: &PolicyFile) {
        for provider in &file.providers {
            let place = provider.allowlist.as_ref().filter(|place| !is_url(&place.value));
            if let Some(turn) = place.and_then(|_| self.0.get_mut(&provider.name.value)) {
                turn.at = Instant::now();
            }
        }
    }

    /// Plans the next turn of each provider, and returns the pause until the first.
    pub fn plan(&mut self, steps: &[Step], now: &Moment) -> Duration {
        let present: BTreeSet<_> = steps.iter().map(|step| &step.report.provider).collect();
        self.0.retain(|provider, _| present.contains(provider));
        for step in steps {
            self.plan_turn(step, now);
        }
        let turns = self.0.values().map(|turn| turn.at.saturating_duration_since(Instant::now()));
        let rests = steps.iter().filter_map(|step| step.rests_for(now)).map(|rest| rest.max(Self::SHORTEST_REST));
        turns.chain(rests).min().unwrap_or(Self::SHORTEST_REST)
    }

    /// The time until a provider's source is asked; nothing if it has no turn.
    pub fn time_until(&self, provider: &str) -> Option<Duration> {
        self.0.get(provider).map(|turn| turn.at.saturating_duration_since(Instant::now()))
    }

    fn plan_turn(&mut self, step: &Step, now: &Moment) {
        let known = self.0.get(&step.report.provider).map(|turn| turn.schedule);
        let mut schedule = known.unwrap_or_default();
        let pause = match step.report.outcome {
            Outcome::NotDue if known.is_some() => return,
            Outcome::NotDue => step.holds_for(now),
            outcome => schedule.pause(outcome == Outcome::Failed, step.refresh, fastrand::f64()),
        };
        self.0.insert(step.report.provider.clone(), Turn { schedule, at: Instant::now() + pause });
    }
}

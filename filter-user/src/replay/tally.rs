//! What became of a capture's frames, added up.

use filter_common::{Action, Reason};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{CapturedFrame, Flow, Outcome, Talkers};
use crate::policy::CompiledPolicy;

/// Counts outcomes.
#[derive(Debug)]
pub struct Tally {
    unknown: u64,
    skipped: u64,
    /// By the reason's index.
    reasons: Vec<u64>,
    /// By the rule's place in the policy.
    rules: Vec<u64>,
    talkers: Talkers,
}

/// What became of a capture's frames.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// How many were judged, those whose fate is unknown included.
    pub packets: u64,
    /// How many pass.
    pub passed: u64,
    /// How many are dropped.
    pub dropped: u64,
    /// How many cannot be judged, because the capture cut them off.
    pub unknown: u64,
    /// How many the host itself sent, which were left out.
    pub skipped: u64,
    /// How many each rule lets in, in the order of the policy; rules without any are left out.
    pub by_rule: Map<String, Value>,
    /// How many there are of each reason; reasons without any are left out.
    pub by_reason: Map<String, Value>,
    /// The parts of a policy that a replay cannot judge by.
    pub not_applied: [&'static str; 2],
}

impl Tally {
    /// Nothing counted yet, by this policy.
    pub fn new(policy: &CompiledPolicy) -> Self {
        let slots = usize::try_from(Reason::SLOTS).unwrap_or_default();
        Self {
            unknown: 0,
            skipped: 0,
            reasons: vec![0; slots],
            rules: vec![0; policy.rules.len()],
            talkers: Talkers::default(),
        }
    }

    /// Counts a frame and what became of it.
    pub fn count(&mut self, frame: &CapturedFrame<'_>, outcome: Outcome) {
        let Outcome::Judged(verdict) = outcome else {
            self.unknown += 1;
            return;
        };
        let reason = verdict.reason();
        if let Some(count) = self.reasons.get_mut(reason as usize) {
            *count += 1;
        }
        if let Some(count) = verdict.rule().and_then(|rule| self.rules.get_mut(usize::from(rule))) {
            *count += 1;
        }
        if reason.action() == Action::Drop {
            self.talkers.count(reason, Flow::of(frame.octets()));
        }
    }

    /// Counts a frame that was left out.
    pub const fn skip(&mut self) {
        self.skipped += 1;
    }

    /// The reasons that packets are dropped for, most frequent first.
    pub fn drops(&self) -> Vec<(Reason, u64)> {
        let mut drops: Vec<_> = self.counted().filter(|(reason, _)| reason.action() == Action::Drop).collect();
        drops.sort_by_key(|(_, packets)| std::cmp::Reverse(*packets));
        drops
    }

    /// Who sent what is dropped.
    pub const fn talkers(&self) -> &Talkers {
        &self.talkers
    }

    /// All that was counted; `policy` is the one that it was counted by.
    pub fn summary(&self, policy: &CompiledPolicy) -> Summary {
        let (passed, dropped) = (self.packets(Action::Pass), self.packets(Action::Drop));
        let rules = policy.rules.iter().zip(&self.rules).filter(|(_, packets)| **packets > 0);
        Summary {
            packets: passed + dropped + self.unknown,
            passed,
            dropped,
            unknown: self.unknown,
            skipped: self.skipped,
            by_rule: rules.map(|(rule, packets)| (rule.name.clone(), (*packets).into())).collect(),
            by_reason: self.counted().map(|(reason, packets)| (reason.name().to_owned(), packets.into())).collect(),
            not_applied: ["limits", "return_traffic"],
        }
    }

    fn packets(&self, action: Action) -> u64 {
        self.counted().filter(|(reason, _)| reason.action() == action).map(|(_, packets)| packets).sum()
    }

    /// The reasons that there were, in the order of their definition.
    fn counted(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counts = Reason::ALL.iter().map(|reason| (*reason, self.reasons.get(*reason as usize).copied()));
        counts.filter_map(|(reason, packets)| Some((reason, packets?))).filter(|(_, packets)| *packets > 0)
    }
}

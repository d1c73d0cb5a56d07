//! What the node says of itself: to the fleet by the broker, and on the node itself.

use std::time::{Duration, Instant};

use super::{
    super::{
        events::{Change, Publisher},
        plane::Plane,
        state::{NodeState, Phase},
    },
    Agent,
};
use crate::service::{Failure, FleetSnapshot, now};

/// How often it says so even if nothing changed.
const BEAT: Duration = Duration::from_secs(10);
/// How soon it tries again where nobody heard it.
const AGAIN: Duration = Duration::from_secs(2);

/// What was said last.
#[derive(Debug)]
pub(super) struct Reported {
    state: Option<NodeState>,
    /// What was told as a change last, heard or not.
    told: Option<NodeState>,
    next: Instant,
    connected: bool,
    since: u64,
    problem: Option<Failure>,
}

impl Reported {
    pub(super) fn new() -> Self {
        Self { state: None, told: None, next: Instant::now(), connected: false, since: now(), problem: None }
    }
}

impl<P: Plane> Agent<P> {
    /// Says how the node is, where that is news or time.
    pub(super) async fn report(&mut self) {
        let state = self.state();
        self.tell(&state);
        self.show(&state);
        let is_news = self.reported.state.as_ref().is_none_or(|before| differs(before, &state));
        let is_unheard = self.trial.as_ref().is_some_and(|trial| !trial.is_heard);
        let is_time = self.reported.next <= Instant::now();
        if !self.broker.is_connected() || !(is_time || is_news || is_unheard) {
            return;
        }
        let Some(buckets) = &self.buckets else { return };
        let Ok(octets) = serde_json::to_vec(&state) else { return };
        match buckets.state.write(&self.identity.node, octets).await {
            Ok(()) => {
                if let Some(trial) = &mut self.trial {
                    trial.is_heard = true;
                }
                self.reported.state = Some(state);
                self.reported.next = Instant::now() + BEAT;
            }
            Err(error) => {
                self.problems.broker = Some(crate::service::one_line(&format!("{error:#}")));
                self.reported.next = Instant::now() + AGAIN;
            }
        }
    }

    /// Tells of what changed.
    fn tell(&mut self, state: &NodeState) {
        let Some(publisher) = &self.publisher else { return };
        if self.reported.told.as_ref().is_none_or(|before| differs(before, state)) {
            publisher.tell(Change::of(state));
            self.reported.told = Some(state.clone());
        }
    }

    fn state(&self) -> NodeState {
        let current = self.memory.current().map(|document| &document.head);
        let [passed, dropped] = self.past.rates();
        let mut interfaces = self.look.interfaces.clone();
        if let Some(first) = interfaces.first_mut() {
            (first.passed_per_second, first.dropped_per_second) = (passed, dropped);
        }
        NodeState {
            node: self.identity.node.clone(),
            group: self.identity.group.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            said_at: now(),
            target: current.map(|head| head.target.clone()),
            wanted: self.wanted,
            running: current.map(|head| head.revision),
            trying: self.trial.as_ref().map(|trial| trial.document.head.revision),
            failed: self.memory.tried().filter(|tried| tried.ended.is_some()).map(|tried| tried.revision),
            phase: self.phase(),
            problem: self.problems.text(),
            accepted: self.memory.all_accepted().clone(),
            denied: self.denied.as_ref().map_or(0, std::collections::BTreeSet::len),
            facts: self.plane.facts().unwrap_or_default(),
            metrics: self.metrics.clone(),
            interfaces,
        }
    }

    fn phase(&self) -> Phase {
        let current = self.memory.current().map(|document| document.head.revision);
        match &self.trial {
            Some(trial) if trial.is_good => Phase::Good,
            Some(_) => Phase::Trying,
            // What canaries tried in vain is of no account once nobody wants it.
            None if self.memory.tried().is_some() && self.wanted != current => Phase::Failed,
            None if current.is_some() => Phase::Follows,
            None => Phase::Idle,
        }
    }

    /// Shows it on the node.
    fn show(&mut self, state: &NodeState) {
        let connected = self.broker.is_connected();
        if connected != self.reported.connected {
            self.reported.connected = connected;
            self.reported.since = now();
            if connected {
                tracing::info!("the fleet's broker is reached");
            } else {
                tracing::warn!("the fleet's broker is lost: what is in force stays");
            }
        }
        let before = self.reported.problem.take();
        self.reported.problem = state.problem.clone().map(|message| Failure::continuing(before.as_ref(), message));
        self.plane.note(FleetSnapshot {
            node: state.node.clone(),
            group: state.group.clone(),
            connected,
            since: self.reported.since,
            why: if connected { None } else { self.broker.why() },
            target: state.target.as_ref().map(ToString::to_string),
            running: state.running,
            wanted: state.wanted,
            phase: state.phase.name().to_owned(),
            problem: self.reported.problem.clone(),
            events: self.publisher.as_ref().map(Publisher::snapshot),
        });
    }
}

/// Whether it is news: counters and clocks go on all the time.
fn differs(before: &NodeState, after: &NodeState) -> bool {
    let without_counters = |state: &NodeState| {
        let mut state = state.clone();
        state.said_at = 0;
        for interface in &mut state.interfaces {
            (interface.passed, interface.dropped) = (0, 0);
            (interface.passed_per_second, interface.dropped_per_second) = (0, 0);
        }
        state
    };
    without_counters(before) != without_counters(after)
}

//! What nodes tell beside their state: samples of what they drop, and what changes about them, in a stream of the broker.
//!
//! The stream has bounds of its own, and so has each node. What does not fit is counted, and never waited for.

mod choice;
mod publisher;
mod stream;

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

pub(super) use self::publisher::{Publisher, Samples};
pub use self::stream::{Bounds, EVENTS_STREAM, Reading, Span, make};
use super::{
    document::Target,
    state::{InterfaceState, NodeState, Phase},
};
use crate::{instant, telemetry::Event};

/// The most samples a second that a node may be told to publish.
pub const MOST_EVENTS: u16 = 200;
/// The largest message of a node.
const LARGEST_BATCH: usize = 64 * 1024;

/// What a node tells at one time: a message of the stream.
#[derive(Debug, Deserialize, Serialize)]
struct Batch {
    node: String,
    group: Option<String>,
    /// How many samples were not published since the message before.
    unpublished: u64,
    changes: Vec<Change>,
    drops: Vec<Event>,
}

/// Something that changed about a node.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Change {
    /// When, by the node's clock.
    #[serde(with = "instant::precise")]
    pub time: SystemTime,
    /// Where it stands since then.
    pub state: Phase,
    /// Whose policy it follows; nothing if its own.
    pub target: Option<Target>,
    /// The revision that is in force and stays.
    #[serde(rename = "running_revision")]
    pub running: Option<u64>,
    /// The revision that is on trial.
    #[serde(rename = "trying_revision")]
    pub trying: Option<u64>,
    /// The revision that the fleet wants.
    #[serde(rename = "wanted_revision")]
    pub wanted: Option<u64>,
    /// What goes wrong.
    pub problem: Option<String>,
    /// Its interfaces at that moment.
    pub interfaces: Vec<InterfaceState>,
}

impl Change {
    pub(super) fn of(state: &NodeState) -> Self {
        Self {
            time: SystemTime::now(),
            state: state.phase,
            target: state.target.clone(),
            running: state.running,
            trying: state.trying,
            wanted: state.wanted,
            problem: state.problem.clone(),
            interfaces: state.interfaces.clone(),
        }
    }

    /// The change on a line, as people read it.
    pub fn line(&self) -> String {
        let runs = match (&self.target, self.running) {
            (Some(target), Some(revision)) => format!("revision {revision} of {target} is in force"),
            _ => "its own policy is in force".to_owned(),
        };
        let tries = self.trying.map(|revision| format!(", revision {revision} is on trial")).unwrap_or_default();
        let down =
            self.interfaces.iter().filter(|one| !one.running).map(|one| format!(", {} runs NO FILTER", one.name));
        let problem = self.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        let phase = format!("{:<16}", self.state.name());
        format!("{} - {phase} {runs}{tries}{}{problem}", instant::precise_text(self.time), down.collect::<String>())
    }
}

/// Something that a node told.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// A packet that it dropped.
    Drop(Box<Event>),
    /// Something that changed about it.
    Change(Change),
    /// So many samples it could not publish.
    Unpublished {
        /// How many.
        unpublished: u64,
    },
}

/// Something that a node told, and which one.
#[derive(Clone, Debug, Serialize)]
pub struct FleetEvent {
    /// Its name.
    pub node: String,
    /// Its group.
    pub group: Option<String>,
    /// What it told.
    #[serde(flatten)]
    pub told: Told,
}

impl Batch {
    /// What is in it, in the order in which it happened.
    fn into_events(self) -> Vec<FleetEvent> {
        let Self { node, group, unpublished, changes, drops } = self;
        let mut told: Vec<_> = changes.into_iter().map(|change| (change.time, Told::Change(change))).collect();
        told.extend(drops.into_iter().map(|drop| (drop.time, Told::Drop(Box::new(drop)))));
        told.sort_by_key(|(time, _)| *time);
        let lost = (unpublished > 0).then_some(Told::Unpublished { unpublished });
        let all = lost.into_iter().chain(told.into_iter().map(|(_, told)| told));
        all.map(|told| FleetEvent { node: node.clone(), group: group.clone(), told }).collect()
    }
}

//! What a node says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::document::Target;
use crate::instant;

/// How long a node may say nothing before it is taken to be gone.
pub const FRESH: u64 = 45;

/// What a node says of itself, in the bucket under its name. It is not signed: nobody enforces it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodeState {
    /// Its name.
    pub node: String,
    /// Its group.
    pub group: Option<String>,
    /// Its version of sipwall.
    pub version: String,
    /// When it said so, by its own clock.
    #[serde(with = "instant")]
    pub said_at: u64,
    /// Whose policy it follows; nothing as long as the fleet has none for it.
    pub target: Option<Target>,
    /// The revision that the fleet wants; nothing if there is none.
    #[serde(rename = "wanted_revision")]
    pub wanted: Option<u64>,
    /// The revision that is in force and stays; nothing if it is the node's own policy.
    #[serde(rename = "running_revision")]
    pub running: Option<u64>,
    /// The revision that is on trial.
    #[serde(rename = "trying_revision")]
    pub trying: Option<u64>,
    /// The revision that was tried last and given up.
    #[serde(rename = "failed_revision")]
    pub failed: Option<u64>,
    /// Where it stands.
    pub phase: Phase,
    /// What goes wrong.
    pub problem: Option<String>,
    /// The highest revision that it ever took, by key.
    pub accepted: BTreeMap<String, u64>,
    /// How many prefixes the fleet denies here.
    pub denied: usize,
    /// What is the node's own in every policy: its part of the policy file.
    pub facts: String,
    /// Where Prometheus finds its metrics, as in `https://sbc1.example:9464`; nothing if nowhere.
    pub metrics: Option<String>,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceState>,
}

/// Where a node stands with what the fleet wants of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The fleet has no policy for it.
    Idle,
    /// It runs what is wanted.
    Follows,
    /// A revision is on trial, and watched.
    Trying,
    /// A revision is on trial and was found good: a canary that waits for the others to be told.
    Good,
    /// The wanted revision was tried and given up: the one before is in force.
    Failed,
}

impl Phase {
    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Follows => "follows",
            Self::Trying => "trying",
            Self::Good => "good",
            Self::Failed => "failed",
        }
    }
}

/// An interface of a node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct InterfaceState {
    /// Its name.
    pub name: String,
    /// Whether it runs the filter.
    pub running: bool,
    /// The number of the policy in force there.
    pub generation: u64,
    /// `enforce` or `monitor`; nothing where everything passes.
    pub mode: Option<String>,
    /// `native`, `generic` or `offloaded`; nothing where nothing is attached.
    pub attach_mode: Option<String>,
    /// Packets that passed since the filter was attached.
    pub passed: u64,
    /// Packets that were dropped, or would have been.
    pub dropped: u64,
    /// Packets a second that passed lately.
    pub passed_per_second: u64,
    /// Packets a second that were dropped lately, or would have been.
    pub dropped_per_second: u64,
}

/// A state as the bucket has it.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The state.
    #[serde(flatten)]
    pub state: NodeState,
    /// When the broker took it, by the broker's clock.
    #[serde(with = "instant")]
    pub seen_at: u64,
}

impl Seen {
    /// Whether the node said something lately.
    pub const fn is_fresh(&self, now: u64) -> bool {
        now.saturating_sub(self.seen_at) <= FRESH
    }

    /// By how many seconds the node's clock is ahead of the broker's; behind, where it is negative.
    pub fn skew(&self) -> i64 {
        i64::try_from(self.state.said_at).unwrap_or_default() - i64::try_from(self.seen_at).unwrap_or_default()
    }
}

//! What the service knows of itself.

use std::{
    collections::BTreeMap,
    path::Path,
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{instant, refresh::Outcome};

/// What the service knows of itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snapshot {
    /// Its version.
    pub version: String,
    /// Its process.
    pub process: u32,
    /// When it started.
    #[serde(with = "instant")]
    pub started_at: u64,
    /// The policy file.
    pub policy: String,
    /// When the policy was last read and could be used; nothing if never.
    #[serde(with = "instant::optional")]
    pub loaded_at: Option<u64>,
    /// What the policy is refused for since then; what was in force before still is.
    pub refused: Option<Failure>,
    /// The interfaces that it looks after, by name.
    pub interfaces: BTreeMap<String, InterfaceSnapshot>,
    /// The sources that it refreshes, by provider.
    pub sources: BTreeMap<String, SourceSnapshot>,
    /// Why sources are not refreshed at all.
    pub refresh_failure: Option<Failure>,
    /// Why the listener goes on with a certificate or a token that was read before.
    pub renewal_failure: Option<Failure>,
    /// How the node stands with its fleet; nothing where it is in none.
    pub fleet: Option<FleetSnapshot>,
}

/// How a node stands with its fleet.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FleetSnapshot {
    /// The node's name.
    pub node: String,
    /// Its group.
    pub group: Option<String>,
    /// Whether the broker is reached.
    pub connected: bool,
    /// Since when it is, or is not.
    #[serde(with = "instant")]
    pub since: u64,
    /// Why it is not reached.
    pub why: Option<String>,
    /// Whose policy it follows: `node.NAME`, `group.NAME` or `default`; nothing if its own.
    pub target: Option<String>,
    /// The revision that is in force and stays.
    #[serde(rename = "running_revision")]
    pub running: Option<u64>,
    /// The revision that the fleet wants, as far as is known.
    #[serde(rename = "wanted_revision")]
    pub wanted: Option<u64>,
    /// Where it stands: `idle`, `follows`, `trying`, `good` or `failed`.
    pub phase: String,
    /// What goes wrong.
    pub problem: Option<Failure>,
    /// What it publishes of its samples; nothing where it does not.
    pub events: Option<EventsSnapshot>,
}

/// What a node publishes of its samples of drops.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EventsSnapshot {
    /// How many the broker has taken since the service started.
    pub published: u64,
    /// How many were not published: too many at once, missed, or the broker did not take them.
    pub unpublished: u64,
    /// Why the last ones were not taken.
    pub why: Option<String>,
}

/// Something that goes wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// Since when.
    #[serde(with = "instant")]
    pub since: u64,
    /// What.
    pub message: String,
}

/// How an interface is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InterfaceSnapshot {
    /// Its state.
    pub state: InterfaceState,
    /// Since when.
    #[serde(with = "instant")]
    pub since: u64,
    /// Whether a filter runs there, be it with another policy.
    pub filtered: bool,
    /// The policy that was in force when the service last looked; nothing where no filter is.
    pub generation: Option<u64>,
    /// What goes wrong, or what is waited for.
    pub message: Option<String>,
}

/// The state of an interface.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceState {
    /// The policy is in force.
    Enforced,
    /// Another policy is on trial, or failed to be confirmed: nothing is changed behind its back.
    Held,
    /// Somebody put another policy in force by hand: it stays.
    ByHand,
    /// Somebody took the filter off: it stays off.
    Detached,
    /// The policy would cut what this host is in the middle of: what was in force before still is, be it nothing.
    Guarded,
    /// There is no such interface.
    Absent,
    /// The policy could not be put in force.
    Failed,
}

/// How a source is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SourceSnapshot {
    /// Where the document is.
    pub source: String,
    /// What became of it last.
    pub outcome: Outcome,
    /// Why it was refused or failed.
    pub why: Option<String>,
    /// When it last went well; nothing if that is not known.
    #[serde(with = "instant::optional")]
    pub good_at: Option<u64>,
    /// When it is asked next.
    #[serde(with = "instant")]
    pub next_at: u64,
    /// How often it was refused or failed since the service started.
    pub failures: u64,
}

impl InterfaceState {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Enforced, Self::Held, Self::ByHand, Self::Detached, Self::Guarded, Self::Absent, Self::Failed];

    /// Its name, as in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Held => "held",
            Self::ByHand => "by_hand",
            Self::Detached => "detached",
            Self::Guarded => "guarded",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }

    /// The same for people; nothing where all is well.
    pub const fn title(self) -> Option<&'static str> {
        match self {
            Self::Enforced => None,
            Self::Held | Self::Guarded => Some("WAITS"),
            Self::ByHand => Some("BY HAND"),
            Self::Detached => Some("DETACHED"),
            Self::Absent => Some("ABSENT"),
            Self::Failed => Some("FAILED"),
        }
    }
}

impl InterfaceSnapshot {
    /// Whether everything reaches the host there. What is not there receives nothing.
    pub fn is_open(&self) -> bool {
        !self.filtered && self.state != InterfaceState::Absent
    }
}

impl Snapshot {
    pub(super) fn new(policy: &Path) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: process::id(),
            started_at: now(),
            policy: policy.display().to_string(),
            loaded_at: None,
            refused: None,
            interfaces: BTreeMap::new(),
            sources: BTreeMap::new(),
            refresh_failure: None,
            renewal_failure: None,
            fleet: None,
        }
    }
}

impl Failure {
    /// What goes wrong now; if it did already, since then.
    pub fn continuing(before: Option<&Self>, message: String) -> Self {
        let since = before.filter(|before| before.message == message).map_or_else(now, |before| before.since);
        Self { since, message }
    }
}

/// Now, in seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

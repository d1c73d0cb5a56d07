//! What a refresh did, for people and programs.

use serde::{Deserialize, Serialize};

use crate::{allowlist::diff::Rule, instant};

/// What became of a source.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was not asked yet: its last answer still holds.
    NotDue,
    /// It states what it stated.
    Unchanged,
    /// It states something else, which is accepted.
    Updated,
    /// Its document is not accepted; the last accepted one stays.
    Refused,
    /// It could not be had; the last accepted document stays.
    Failed,
}

impl Outcome {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotDue => "not due",
            Self::Unchanged => "unchanged",
            Self::Updated => "updated",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A rule that is no longer stated, and how long it stays.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Departing {
    /// The rule.
    #[serde(flatten)]
    pub rule: Rule,
    /// The line of the document that last stated it.
    pub line: u32,
    /// When its grace is over if the clock goes on as it does.
    #[serde(with = "instant")]
    pub until: u64,
}

/// What a refresh did with a provider.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The provider.
    pub provider: String,
    /// Its source.
    pub source: String,
    /// What became of it.
    pub outcome: Outcome,
    /// In how many seconds it is due, where it was not.
    pub due_in_seconds: Option<u64>,
    /// Why it was refused or failed.
    pub why: Option<String>,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
    /// What is allowed now and was not before.
    pub added: Vec<Rule>,
    /// What was allowed before and is no more: its grace is over.
    pub removed: Vec<Rule>,
    /// What the source states no more, and stays allowed for now.
    pub departing: Vec<Departing>,
}

//! The data plane as an agent sees it: something that can try a policy, keep it or give it up.

use std::{future::Future, path::Path, time::Duration};

use anyhow::Result;
use ipnet::IpNet;

use super::{health::Tally, state::InterfaceState};
use crate::service::FleetSnapshot;

/// What an agent finds when it looks.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The interfaces.
    pub interfaces: Vec<InterfaceState>,
    /// What became of the policy on trial.
    pub trial: Standing,
    /// What was counted.
    pub tally: Tally,
}

/// What became of a policy that was put on trial.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Standing {
    /// None is on trial.
    #[default]
    None,
    /// It is in force until its time is over.
    Pending,
    /// Its time is over, and what was before is in force again.
    Over,
}

/// What enforces policies on a node.
pub trait Plane: Send + Sync + 'static {
    /// Puts the policy in a file on trial.
    fn try_policy(&self, policy: &Path, confirm_within: Duration) -> impl Future<Output = Result<()>> + Send;

    /// Lets what is on trial stay.
    fn confirm(&self) -> impl Future<Output = Result<()>> + Send;

    /// Gives up what is on trial, if anything is: what was before is in force for ever.
    fn fall_back(&self) -> impl Future<Output = Result<()>> + Send;

    /// Denies these prefixes in the fleet's name, and no others.
    fn deny(&self, prefixes: Vec<IpNet>) -> impl Future<Output = Result<()>> + Send;

    /// Looks at it.
    fn look(&self) -> impl Future<Output = Result<Look>> + Send;

    /// The node's own facts.
    ///
    /// # Errors
    /// If its own policy file cannot be read.
    fn facts(&self) -> Result<String>;

    /// Shows on the node itself how it stands with its fleet.
    fn note(&self, snapshot: FleetSnapshot);
}

//! What would become of a packet under a policy that is to be put in force, with what holds beside it.

use anyhow::Result;
use filter_common::{Action, Reason, Stateless, decide, live::DenyEntry};

use super::{judge, maps::Maps, pins::Pins, standing};
use crate::policy::{CompiledPolicy, HostPolicy};

/// A policy as it would be in force on an interface: live allows and the deny list survive the change.
pub struct Prospect {
    policy: HostPolicy,
    /// The filter that is there now.
    maps: Option<Maps>,
}

impl Prospect {
    /// The prospect of `policy` on `interface`, whether a filter is attached there or not.
    ///
    /// # Errors
    /// If the maps of the filter there cannot be read.
    pub fn new(interface: &str, policy: &CompiledPolicy) -> Result<Self> {
        let policy = HostPolicy::new(policy);
        if !Pins::of(interface).is_attached() {
            return Ok(Self { policy, maps: None });
        }
        let maps = Maps::open(Pins::attached(interface)?.directory())?;
        let policy = match maps.live_tables()? {
            Some(live) => policy.with_live(live, standing::now()),
            None => policy,
        };
        Ok(Self { policy, maps: Some(maps) })
    }

    /// Why the policy would drop a frame; nothing if it passes, or if the deny list beside the policy drops it anyway.
    ///
    /// # Errors
    /// If the deny list cannot be read.
    pub fn drops(&self, frame: &[u8]) -> Result<Option<Reason>> {
        let verdict = decide(frame, &self.policy, &Stateless);
        if verdict.action() == Action::Pass {
            return Ok(None);
        }
        let denied = match (&self.maps, judge::source(frame)) {
            (Some(maps), Some(source)) => maps.denied_by(source, DenyEntry::ADDED | DenyEntry::LISTS)?,
            _ => false,
        };
        Ok((!denied).then_some(verdict.reason()))
    }
}

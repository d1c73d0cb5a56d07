//! What others do to the policy while the service runs: a line of the log for each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::kernel::{Confirmation, Status};

/// Knows what was in force when it last looked.
#[derive(Debug, Default)]
pub(super) struct Onlooker(Mutex<HashMap<String, Seen>>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Seen {
    generation: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Confirmed,
    OnTrial,
    RolledBack(u64),
}

impl Onlooker {
    /// Takes note of what the service itself did, and has said.
    pub(super) fn note(&self, status: &Status) {
        self.see(status);
    }

    /// Says what others did since it last looked.
    pub(super) fn look(&self, status: &Status) {
        let (before, now) = self.see(status);
        let Some(before) = before.filter(|before| *before != now) else { return };
        let (interface, generation) = (status.interface.as_str(), now.generation);
        let (policy, mode) = (status.policy.as_deref().unwrap_or_default(), status.mode.unwrap_or_default());
        match now.stage {
            Stage::RolledBack(refused) if now.stage != before.stage => tracing::warn!(
                interface,
                refused,
                generation,
                policy,
                mode,
                "the policy was not confirmed in time, the one before is in force again"
            ),
            Stage::OnTrial if generation != before.generation => {
                tracing::info!(interface, generation, policy, mode, "another policy is on trial");
            }
            Stage::Confirmed if generation == before.generation => {
                tracing::info!(interface, generation, policy, mode, "the policy was confirmed");
            }
            _ => tracing::info!(interface, generation, policy, mode, "another policy was put in force"),
        }
    }

    fn see(&self, status: &Status) -> (Option<Seen>, Seen) {
        let stage = match status.confirmation {
            Confirmation::Confirmed => Stage::Confirmed,
            Confirmation::Pending { .. } => Stage::OnTrial,
            Confirmation::RolledBack { generation } => Stage::RolledBack(generation),
        };
        let now = Seen { generation: status.generation, stage };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (known.insert(status.interface.clone(), now), now)
    }
}

//! Confirming a policy that is on trial, or giving it up.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{lock::WriteLock, standing::Confirmation, upgrade};
use crate::fault;

/// How long before the end of a trial a confirmation comes too late: it would be written after the end.
const MARGIN: Duration = Duration::from_millis(50);

/// Makes the policy on trial stay, and returns its generation; nothing if none is on trial.
///
/// # Errors
/// If no filter is attached to `interface`, or its policy was not confirmed in time.
pub fn confirm(interface: &str) -> Result<Option<u64>> {
    let _lock = WriteLock::take()?;
    let mut maps = upgrade::maps_to_change(interface)?;
    match maps.confirmation()? {
        Confirmation::Confirmed => Ok(None),
        Confirmation::RolledBack { generation } => Err(too_late(generation)),
        Confirmation::Pending { .. } => {
            let standing = maps.standing()?;
            let generation =
                maps.generation_in(standing.switch.slot)?.context("the switch names no policy")?.generation;
            if standing.trial.has_failed(standing.now.saturating_add(u64::try_from(MARGIN.as_nanos())?)) {
                return Err(too_late(generation));
            }
            maps.end_trial()?;
            Ok(Some(generation))
        }
    }
}

fn too_late(generation: u64) -> anyhow::Error {
    anyhow::anyhow!(
        "too late: generation {generation} was not confirmed in time, and what was in force before it is again\n\
         hint: `sipwall apply` puts a policy in force once more"
    )
}

/// Gives up the policy on trial at once: what was in force before it is again. Returns the generation that is given up.
///
/// # Errors
/// If no filter is attached to `interface`, or none is on trial.
pub fn revert(interface: &str) -> Result<u64> {
    let _lock = WriteLock::take()?;
    let maps = upgrade::maps_to_change(interface)?;
    let Confirmation::Pending { .. } = maps.confirmation()? else {
        bail!("no policy awaits confirmation on `{interface}`");
    };
    let standing = maps.standing()?;
    let generation = maps.generation_in(standing.switch.slot)?.context("the switch names no policy")?.generation;
    let slot = standing.trial.fallback;
    fault::step();
    maps.set_switch(standing.switch.to(slot, false))?;
    Ok(generation)
}

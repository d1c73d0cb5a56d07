//! Putting a policy in force on a filter that is attached.

use anyhow::Result;
use serde::Serialize;

use super::{
    attach::{self, Change},
    lock::WriteLock,
    maps::Maps,
    needs,
    pins::{Pins, attached_interfaces},
    standing::Confirmation,
    status::Status,
    upgrade,
};
use crate::fault;

/// What applying did.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// The interface.
    pub interface: String,
    /// Whether another policy is in force now than before.
    pub changed: bool,
    /// The number of the policy in force.
    pub generation: u64,
    /// Whether it stays.
    pub confirmation: Confirmation,
}

/// Puts a policy in force on the filter of `interface`, unless it is the one that is in force and stays. Where another build
/// of the program runs, this binary's takes its place.
///
/// # Errors
/// If no filter is attached there, or the kernel refuses a step. What was in force still is.
pub fn apply(interface: &str, change: &Change<'_>) -> Result<Applied> {
    needs::check(change.policy)?;
    let _lock = WriteLock::take()?;
    apply_to(interface, &Pins::attached(interface)?, change)
}

/// The same, unless somebody put another policy in force since `seen`, or took the filter off: nothing then, and nothing is
/// changed.
///
/// Who decides by a status what may be replaced must not replace what came after it: a trial would end by nobody's word.
///
/// # Errors
/// If the kernel refuses a step. What was in force still is.
pub fn apply_over(seen: &Status, change: &Change<'_>) -> Result<Option<Applied>> {
    needs::check(change.policy)?;
    fault::stop_at("apply");
    let _lock = WriteLock::take()?;
    if !attached_interfaces()?.contains(&seen.interface) {
        return Ok(None);
    }
    let pins = Pins::attached(&seen.interface)?;
    // Generations are numbered anew where a filter was taken off and attached.
    let now = (pins.program_id()?, Maps::open(pins.directory())?.named_generation()?);
    if now != (seen.program_id, seen.named_generation) {
        return Ok(None);
    }
    apply_to(&seen.interface, &pins, change).map(Some)
}

fn apply_to(interface: &str, pins: &Pins, change: &Change<'_>) -> Result<Applied> {
    upgrade::swap_program(pins, change.policy)?;
    let maps = Maps::open(pins.directory())?;
    let stays = maps.confirmation()? == Confirmation::Confirmed;
    let same = stays && maps.is_in_force(change.policy)?;
    let generation = match maps.in_force()? {
        Some(info) if same => info.generation,
        _ => attach::replace(interface, pins, change)?,
    };
    let confirmation = Maps::open(pins.directory())?.confirmation()?;
    Ok(Applied { interface: interface.to_owned(), changed: !same, generation, confirmation })
}

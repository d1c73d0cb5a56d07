//! One refresh: asking, then, all at once, keeping and putting in force.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use filter_user::{
    kernel::{self, Confirmation, Status},
    policy::file::PolicyFile,
    refresh::{Asking, Moment, Outcome, Refresher, Settled, Step},
};

use super::{Refresh, report};
use crate::cli::{WRONG_INPUT, change::Loaded, check};

/// Refreshes once.
pub(super) fn run(command: &Refresh, refresher: &Refresher, asking: &Asking) -> Result<ExitCode> {
    let file = match PolicyFile::read(&command.target.policy) {
        Ok(file) => file,
        Err(refusals) => return Ok(check::refuse(&refusals)),
    };
    if file.providers.iter().all(|provider| provider.source.is_none()) {
        eprintln!("note: no provider of the policy has a `source`: there is nothing to refresh");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = asking.accept_shrink.iter().find(|name| !has_source(&file, name)) {
        eprintln!("error: no provider of the policy is named `{}` and has a `source`", unknown.escape_debug());
        return Ok(ExitCode::from(WRONG_INPUT));
    }
    let lock = refresher.store.lock()?;
    let now = Moment::now().context("cannot tell the time")?;
    let steps = refresher.refresh(&file, file.folder(), &now, asking);
    let ended = settle(command, refresher, file, &steps);
    drop(lock);
    ended
}

fn has_source(file: &PolicyFile, name: &str) -> bool {
    file.providers.iter().any(|provider| provider.source.is_some() && provider.name.value == name)
}

/// Says what the steps did, keeps it, and puts it in force.
pub(super) fn settle(command: &Refresh, refresher: &Refresher, file: PolicyFile, steps: &[Step]) -> Result<ExitCode> {
    report::steps(steps, command.json)?;
    let interfaces = match &command.target.interfaces[..] {
        [] => file.sbc.interfaces.clone(),
        named => named.to_vec(),
    };
    let all_in_force = match refresher.settle(file, steps)? {
        Settled::Complete(policy, compiled) => {
            let loaded = Loaded::new(*policy, *compiled, command.guard);
            put_in_force(command, &interfaces, &loaded, steps)?
        }
        Settled::Incomplete(refusals) => {
            eprintln!("error: the policy is not complete, nothing is put in force\n{refusals}");
            return Ok(ExitCode::FAILURE);
        }
        Settled::Refused(refusals) => {
            eprintln!("error: the policy is refused, what was in force and what was accepted before stay\n{refusals}");
            return Ok(ExitCode::from(WRONG_INPUT));
        }
    };
    let well = |step: &Step| !matches!(step.report.outcome, Outcome::Refused | Outcome::Failed);
    Ok(if all_in_force && steps.iter().all(well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts the policy in force on the interfaces that have the filter, if theirs is older than what the sources state; returns
/// whether no one would lock somebody out.
fn put_in_force(command: &Refresh, interfaces: &[String], loaded: &Loaded, steps: &[Step]) -> Result<bool> {
    if interfaces.is_empty() {
        return Ok(true);
    }
    let mut well = true;
    for interface in interfaces {
        well &= put_in_force_on(command, interface, loaded, steps)?;
    }
    Ok(well)
}

fn put_in_force_on(command: &Refresh, interface: &str, loaded: &Loaded, steps: &[Step]) -> Result<bool> {
    loop {
        if let Some(well) = put_in_force_unless_changed(command, interface, loaded, steps)? {
            return Ok(well);
        }
    }
}

/// Nothing if somebody put something else in force, or took the filter off, while what was there was looked at.
fn put_in_force_unless_changed(
    command: &Refresh,
    interface: &str,
    loaded: &Loaded,
    steps: &[Step],
) -> Result<Option<bool>> {
    if !kernel::attached_interfaces()?.iter().any(|attached| attached == interface) {
        eprintln!("note: `{interface}` has no filter: `sipwall attach` puts the policy in force there");
        return Ok(Some(true));
    }
    let status = kernel::status(interface)?;
    if !is_outdated(&status, steps) {
        return Ok(Some(true));
    }
    if let Some(why) = held(&status) {
        eprintln!("note: `{interface}`: nothing is put in force: {why}");
        return Ok(Some(true));
    }
    let comparison = kernel::compare(interface, &loaded.compiled)?;
    if comparison.same {
        return Ok(Some(true));
    }
    if !loaded.may_go_on([interface])? {
        return Ok(Some(false));
    }
    let in_force = loaded.apply_over(&status, &comparison, command.json)?;
    Ok(in_force.then_some(true))
}

/// Why what runs is left alone: somebody tries a policy out, or what was tried may be the very one of the file.
fn held(status: &Status) -> Option<String> {
    match status.confirmation {
        Confirmation::Confirmed => None,
        Confirmation::Pending { remaining_seconds, .. } => Some(format!(
            "generation {} waits to be confirmed, {remaining_seconds} s left; the next refresh makes up for it",
            status.generation
        )),
        Confirmation::RolledBack { generation } => Some(format!(
            "generation {generation} was not confirmed in time; `sipwall apply` puts a policy in force again"
        )),
    }
}

/// Whether a source has stated something else since the policy was published, also if an earlier refresh accepted that.
fn is_outdated(status: &Status, steps: &[Step]) -> bool {
    let published = status.published_at.unwrap_or_default();
    let mut states = steps.iter().filter_map(|step| step.after.as_ref());
    steps.iter().any(Step::changes_policy) || states.any(|state| state.changed >= published)
}

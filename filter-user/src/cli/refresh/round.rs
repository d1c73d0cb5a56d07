//! One refresh: asking, then, all at once, keeping and putting in force.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use filter_user::{
    kernel::{self, AttachMode, Change},
    policy::{CompiledPolicy, file::PolicyFile},
    refresh::{Asking, Moment, Outcome, Refresher, Settled, Step},
};

use super::{Refresh, report};
use crate::cli::{WRONG_INPUT, check};

/// Refreshes once.
pub(super) fn run(command: &Refresh, refresher: &Refresher, asking: &Asking) -> Result<ExitCode> {
    let file = match PolicyFile::read(&command.policy) {
        Ok(file) => file,
        Err(refusals) => return Ok(check::refuse(&refusals)),
    };
    if file.providers.iter().all(|provider| provider.source.is_none()) {
        eprintln!("note: no provider of the policy has a `source`: there is nothing to refresh");
        return Ok(ExitCode::SUCCESS);
    }
    let lock = refresher.store.lock()?;
    let now = Moment::now().context("cannot tell the time")?;
    let steps = refresher.refresh(&file, file.folder(), &now, asking);
    let ended = settle(command, refresher, file, &steps);
    drop(lock);
    ended
}

/// Says what the steps did, keeps it, and puts it in force.
pub(super) fn settle(command: &Refresh, refresher: &Refresher, file: PolicyFile, steps: &[Step]) -> Result<ExitCode> {
    report::steps(steps, command.json)?;
    let interfaces =
        if command.interfaces.is_empty() { file.sbc.interfaces.clone() } else { command.interfaces.clone() };
    match refresher.settle(file, steps)? {
        Settled::Complete(policy) => put_in_force(command, &interfaces, &policy, steps)?,
        Settled::Incomplete(refusals) => {
            eprintln!("error: the policy is not complete, nothing is put in force\n{refusals}");
            return Ok(ExitCode::FAILURE);
        }
        Settled::Refused(refusals) => {
            eprintln!("error: the policy is refused, what was in force and what was accepted before stay\n{refusals}");
            return Ok(ExitCode::from(WRONG_INPUT));
        }
    }
    let well = |step: &Step| !matches!(step.report.outcome, Outcome::Refused | Outcome::Failed);
    Ok(if steps.iter().all(well) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Replaces the policy on the interfaces that have the filter, if theirs is older than what the sources state.
fn put_in_force(command: &Refresh, interfaces: &[String], policy: &CompiledPolicy, steps: &[Step]) -> Result<()> {
    if interfaces.is_empty() {
        return Ok(());
    }
    let attached = kernel::attached_interfaces()?;
    let name = command.policy.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    for interface in interfaces {
        if !attached.contains(interface) {
            eprintln!("note: `{interface}` has no filter: `sipwall attach` puts the policy in force there");
        } else if is_outdated(interface, steps)? {
            let change = Change { policy, name: &name, confirm_within: None };
            report::attached(&kernel::attach(interface, AttachMode::Native, &change)?, command.json)?;
        }
    }
    Ok(())
}

/// Also true if an earlier refresh accepted something that it could not put in force.
fn is_outdated(interface: &str, steps: &[Step]) -> Result<bool> {
    let published = kernel::status(interface)?.published_at;
    let mut states = steps.iter().filter_map(|step| step.after.as_ref());
    Ok(steps.iter().any(Step::changes_policy) || states.any(|state| state.changed > published))
}

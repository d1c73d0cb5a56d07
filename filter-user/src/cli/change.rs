//! What `attach` and `apply` have in common: a policy that is put in force, for ever or on trial.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::{
    kernel::{self, Applied, Change, Comparison, Confirmation, Prospect, Status},
    lockout::{self, Cut},
    policy::{CompiledPolicy, Policy},
};
use serde::Serialize;

use super::{check, diff, output, refresh::StateDirectory, time::parse_duration};

/// How a policy is put in force.
#[derive(clap::Args)]
pub(crate) struct Trial {
    /// Go back to what was in force before unless `sipwall confirm` comes in time (`60s`, `5m`); the kernel does it,
    /// whatever became of this command
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    confirm: Option<Duration>,
    #[command(flatten)]
    guard: Guard,
}

/// Whether what would lock somebody out is done all the same.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Guard {
    /// Go on even if that cuts the session that this command runs in, the default gateway or SIP sessions that are open
    #[arg(long)]
    allow_lockout: bool,
}

/// A policy that was read and can be put in force.
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) compiled: CompiledPolicy,
    name: String,
    confirm_within: Option<Duration>,
    guard: Guard,
}

/// What is printed as JSON of a policy that was put in force.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    applied: &'a Applied,
    diff: &'a Comparison,
}

impl Trial {
    /// Reads and compiles a policy file, or says what it is refused for.
    pub(crate) fn load(&self, file: &Path, state: &StateDirectory) -> Result<Loaded, ExitCode> {
        let (policy, compiled) = check::load(file, state).map_err(|refusals| check::refuse(&refusals))?;
        Ok(Loaded { confirm_within: self.confirm, ..Loaded::new(policy, compiled, self.guard) })
    }
}

impl Loaded {
    /// A policy that was read, and is to stay.
    pub(crate) fn new(policy: Policy, compiled: CompiledPolicy, guard: Guard) -> Self {
        let name = policy.file().title();
        Self { policy, compiled, name, confirm_within: None, guard }
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change { policy: &self.compiled, name: &self.name, confirm_within: self.confirm_within }
    }

    /// The interfaces that are named, else the policy's.
    pub(crate) fn interfaces(&self, named: &[String]) -> Result<Vec<String>, ExitCode> {
        let interfaces = if named.is_empty() { &self.policy.file().sbc.interfaces } else { named };
        if interfaces.is_empty() {
            eprintln!("error: no interface is named\nhint: name one, or set `interfaces` in the policy's `[sbc]`");
            return Err(ExitCode::from(super::WRONG_INPUT));
        }
        Ok(interfaces.to_vec())
    }
}

impl Loaded {
    /// Whether the policy may be put in force on `interfaces`: not if it would cut what this host is in the middle of.
    pub(crate) fn may_go_on<'a>(&self, interfaces: impl IntoIterator<Item = &'a str>) -> Result<bool> {
        let mut cuts = Vec::new();
        for interface in interfaces {
            self.warn_if_foreign(interface)?;
            let prospect = Prospect::new(interface, &self.compiled)?;
            let of_interface = lockout::cuts(interface, &self.policy, |frame| prospect.drops(frame))?;
            cuts.extend(of_interface.into_iter().map(|cut| (interface, cut)));
        }
        Ok(self.guard.lets("the policy", &cuts))
    }

    /// Warns of a policy that seems to be another machine's; a floating address may be the other one's for now.
    fn warn_if_foreign(&self, interface: &str) -> Result<()> {
        let addresses = lockout::foreign_addresses(interface, &self.compiled)?;
        if addresses.is_empty() {
            return Ok(());
        }
        let listed: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        let fate = if self.policy.file().sbc.scope_ports { "is not judged" } else { "ends as `destination_foreign`" };
        eprintln!(
            "warning: `{interface}`: the policy's `addresses` have none of its own, {}: what is sent there {fate}\n\
             hint: name this host's addresses beside those that float between hosts, if that is not meant",
            listed.join(", ")
        );
        Ok(())
    }

    /// Puts the policy in force where a filter is attached, and says what that changes.
    pub(crate) fn apply(&self, interface: &str, comparison: &Comparison, json: bool) -> Result<()> {
        if !json {
            diff::show(comparison)?;
        }
        let applied = kernel::apply(interface, &self.change())?;
        report(&applied, comparison, json)
    }

    /// The same, unless something else was put in force there since `seen`; returns whether that is not so.
    pub(crate) fn apply_over(&self, seen: &Status, comparison: &Comparison, json: bool) -> Result<bool> {
        if !json {
            diff::show(comparison)?;
        }
        let Some(applied) = kernel::apply_over(seen, &self.change())? else { return Ok(false) };
        report(&applied, comparison, json)?;
        Ok(true)
    }
}

/// Says what putting a policy in force did.
fn report(applied: &Applied, comparison: &Comparison, json: bool) -> Result<()> {
    let Applied { interface, changed, generation, confirmation } = applied;
    let done = if *changed { "is in force now" } else { "is in force already, nothing changes" };
    eprintln!("`{interface}`: generation {generation} {done}");
    remind(interface, *confirmation);
    if json { output::json(&Report { applied, diff: comparison }) } else { Ok(()) }
}

impl Guard {
    /// Says what would be cut on which interface, and by what; and whether to go on.
    pub(crate) fn lets(self, by: &str, cuts: &[(&str, Cut)]) -> bool {
        let level = if self.allow_lockout { "warning" } else { "error" };
        for (interface, cut) in cuts {
            let Cut { subject, reason } = cut;
            eprintln!("{level}: `{interface}`: {by} would cut {subject}: {}", reason.description());
            if let Some(allow) = cut.allow() {
                eprintln!("hint: an `[[allow]]` lets it in: {allow}");
            }
        }
        if !cuts.is_empty() && !self.allow_lockout {
            eprintln!("hint: what is in force has not changed; `--allow-lockout` goes on all the same");
        }
        cuts.is_empty() || self.allow_lockout
    }
}

/// Says what is to be done where a policy awaits confirmation.
pub(crate) fn remind(interface: &str, confirmation: Confirmation) {
    if let Confirmation::Pending { remaining_seconds, fallback } = confirmation {
        let then = match fallback {
            Some(generation) => format!("generation {generation} is in force again"),
            None => "everything passes".to_owned(),
        };
        eprintln!("`{interface}`: {remaining_seconds} s to confirm it, or {then}\nhint: `sipwall confirm {interface}`");
    }
}

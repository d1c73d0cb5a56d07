//! What `attach` and `apply` have in common: a policy that is put in force, for ever or on trial.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Result;
use filter_user::{
    kernel::{Change, Confirmation},
    lockout,
    policy::{CompiledPolicy, Policy},
};

use super::{check, refresh::StateDirectory, time::parse_duration};

/// How a policy is put in force.
#[derive(clap::Args)]
pub(crate) struct Trial {
    /// Go back to what was in force before unless `sipwall confirm` comes in time (`60s`, `5m`); the kernel does it,
    /// whatever became of this command
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    confirm: Option<Duration>,
    /// Put the policy in force even if it cuts the session that this command runs in, the default gateway or SIP
    /// sessions that are open
    #[arg(long)]
    allow_lockout: bool,
}

/// A policy that was read and can be put in force.
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) compiled: CompiledPolicy,
    name: String,
    confirm_within: Option<Duration>,
    allow_lockout: bool,
}

impl Trial {
    /// Reads and compiles a policy file, or says what it is refused for.
    pub(crate) fn load(&self, file: &Path, state: &StateDirectory) -> Result<Loaded, ExitCode> {
        let (policy, compiled) = check::load(file, state).map_err(|refusals| check::refuse(&refusals))?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Loaded { policy, compiled, name, confirm_within: self.confirm, allow_lockout: self.allow_lockout })
    }
}

impl Loaded {
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
    pub(crate) fn may_go_on<'a>(&self, interfaces: impl IntoIterator<Item = &'a String>) -> Result<bool> {
        let mut cuts = 0;
        let level = if self.allow_lockout { "warning" } else { "error" };
        for interface in interfaces {
            for cut in lockout::cuts(interface, &self.policy, &self.compiled)? {
                eprintln!("{level}: `{interface}`: {cut}");
                if let Some(allow) = cut.allow() {
                    eprintln!("hint: an `[[allow]]` lets it in: {allow}");
                }
                cuts += 1;
            }
        }
        if cuts > 0 && !self.allow_lockout {
            eprintln!("hint: nothing has changed; `--allow-lockout` puts it in force all the same");
        }
        Ok(cuts == 0 || self.allow_lockout)
    }
}

/// Says what is to be done where a policy awaits confirmation.
pub(crate) fn remind(interface: &str, confirmation: Confirmation) {
    if let Confirmation::Pending { seconds_left, fallback } = confirmation {
        let then = match fallback {
            Some(generation) => format!("generation {generation} is in force again"),
            None => "everything passes".to_owned(),
        };
        eprintln!("`{interface}`: {seconds_left} s to confirm it, or {then}\nhint: `sipwall confirm {interface}`");
    }
}

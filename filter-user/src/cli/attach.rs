//! `sipwall attach`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use filter_user::{
    kernel::{self, AttachMode, Attached},
    policy::Policy,
};

use super::{WRONG_INPUT, check, output, refresh::StateDirectory};

/// Put a policy in force on interfaces
///
/// Attaches the filter where there is none yet; where there is one, its policy is replaced, all at once.
#[derive(clap::Args)]
pub(crate) struct Attach {
    /// The interfaces; those of the policy's `[sbc] interfaces` if none is named
    #[arg(value_name = "INTERFACE")]
    interfaces: Vec<String>,
    /// The policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    state: StateDirectory,
    /// Attach in the network stack where the driver has no native XDP: several times slower
    #[arg(long)]
    allow_generic: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Attach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let (policy, compiled) = match check::load(&self.policy, &self.state) {
            Ok(loaded) => loaded,
            Err(refusals) => return Ok(check::refuse(&refusals)),
        };
        let interfaces = self.interfaces(&policy);
        if interfaces.is_empty() {
            eprintln!("error: no interface is named\nhint: name one, or set `interfaces` in the policy's `[sbc]`");
            return Ok(ExitCode::from(WRONG_INPUT));
        }
        let mode = if self.allow_generic { AttachMode::AllowGeneric } else { AttachMode::Native };
        let name = self.policy.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        for interface in &interfaces {
            self.report(&kernel::attach(interface, mode, &compiled, &name)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Those named on the command line, else the policy's.
    fn interfaces(&self, policy: &Policy) -> Vec<String> {
        if self.interfaces.is_empty() { policy.file().sbc.interfaces.clone() } else { self.interfaces.clone() }
    }

    fn report(&self, attached: &Attached) -> Result<()> {
        let Attached { interface, xdp_mode, generation, replaced } = attached;
        let done = if *replaced { "policy replaced" } else { "attached" };
        eprintln!("`{interface}`: {done}, {xdp_mode} XDP, generation {generation}");
        if self.json { output::json(attached) } else { Ok(()) }
    }
}

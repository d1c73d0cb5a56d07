//! `sipwall attach`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use filter_user::kernel::{self, AttachMode, Attached};

use super::{
    change::{self, Trial},
    output,
    refresh::StateDirectory,
};

/// Put a policy in force on interfaces
///
/// Attaches the filter where there is none yet; where there is one, its policy is replaced, all at once.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall attach --policy policy.toml                         # on the policy's own interfaces
  sipwall attach eth0 --policy policy.toml --allow-generic    # even where the driver has no native XDP")]
pub(crate) struct Attach {
    /// The interfaces; those of the policy's `[sbc] interfaces` if none is named
    #[arg(value_name = "INTERFACE")]
    interfaces: Vec<String>,
    /// The policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    #[command(flatten)]
    trial: Trial,
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
        let prepared = self.trial.load(&self.policy, &self.state);
        let (loaded, interfaces) = match prepared
            .and_then(|loaded| loaded.interfaces(&self.interfaces).map(|interfaces| (loaded, interfaces)))
        {
            Ok(prepared) => prepared,
            Err(code) => return Ok(code),
        };
        let mode = if self.allow_generic { AttachMode::AllowGeneric } else { AttachMode::Native };
        for interface in &interfaces {
            self.report(&kernel::attach(interface, mode, &loaded.change())?)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn report(&self, attached: &Attached) -> Result<()> {
        let Attached { interface, xdp_mode, generation, replaced, confirmation } = attached;
        let done = if *replaced { "policy replaced" } else { "attached" };
        eprintln!("`{interface}`: {done}, {xdp_mode} XDP, generation {generation}");
        change::remind(interface, *confirmation);
        if self.json { output::json(attached) } else { Ok(()) }
    }
}

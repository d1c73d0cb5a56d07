//! `sipwall apply`

use std::process::ExitCode;

use anyhow::Result;
use filter_user::kernel;

use super::{change::Trial, refresh::StateDirectory, target::Target};

/// Put a policy in force where the filter is attached, and say what changes
///
/// All at once: a packet is judged by the old policy or by the new one. A policy that is in force already changes nothing.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall apply policy.toml
  sipwall apply policy.toml --confirm 60s
  sipwall apply eth1 policy.toml --json")]
pub(crate) struct Apply {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    trial: Trial,
    #[command(flatten)]
    state: StateDirectory,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

impl Apply {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let prepared = self.trial.load(&self.target.policy, &self.state);
        let (loaded, interfaces) = match prepared
            .and_then(|loaded| loaded.interfaces(&self.target.interfaces).map(|interfaces| (loaded, interfaces)))
        {
            Ok(prepared) => prepared,
            Err(code) => return Ok(code),
        };
        let compared = interfaces.iter().map(|interface| kernel::compare(interface, &loaded.compiled));
        let comparisons: Vec<_> = compared.collect::<Result<_>>()?;
        let changing = comparisons.iter().filter(|comparison| !comparison.same);
        if !loaded.may_go_on(changing.map(|comparison| comparison.interface.as_str()))? {
            return Ok(ExitCode::FAILURE);
        }
        for (interface, comparison) in interfaces.iter().zip(&comparisons) {
            loaded.apply(interface, comparison, self.json)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

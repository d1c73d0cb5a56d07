//! `sipwall confirm`

use std::process::ExitCode;

use anyhow::Result;
use filter_user::kernel::{self, Confirmation};

use super::target::Interfaces;

/// Keep a policy that was put in force with `--confirm`
///
/// Without it the policy that was in force before comes back by itself. Where no interface is named, it is about all on which
/// a policy awaits confirmation. Exit code 1 where none does.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall confirm
  sipwall confirm eth0 --revert")]
pub(crate) struct Confirm {
    #[command(flatten)]
    interfaces: Interfaces,
    /// Go back at once instead
    #[arg(long)]
    revert: bool,
}

impl Confirm {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = match self.interfaces.0 {
            none if none.is_empty() => on_trial()?,
            named => named,
        };
        let mut done = !interfaces.is_empty();
        if !done {
            eprintln!("no policy awaits confirmation");
        }
        for interface in &interfaces {
            if self.revert {
                let generation = kernel::revert(interface)?;
                eprintln!("`{interface}`: generation {generation} is given up, what was in force before is again");
                continue;
            }
            match kernel::confirm(interface)? {
                Some(generation) => eprintln!("`{interface}`: generation {generation} stays"),
                None => {
                    eprintln!("`{interface}`: no policy awaits confirmation");
                    done = false;
                }
            }
        }
        // Who confirms too late must not take it for done.
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The interfaces on which a policy is on trial, or failed to be confirmed.
fn on_trial() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for interface in kernel::attached_interfaces()? {
        if kernel::status(&interface)?.confirmation != Confirmation::Confirmed {
            found.push(interface);
        }
    }
    Ok(found)
}

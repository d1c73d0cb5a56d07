//! `sipwall detach`

use std::process::ExitCode;

use anyhow::Result;

use filter_user::kernel;

use super::WRONG_INPUT;

/// Take the filter off interfaces
///
/// From then on everything that arrives there reaches the host. Counters and the deny list are forgotten.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall detach eth0     # from now on everything that arrives there reaches the host
  sipwall detach --all")]
pub(crate) struct Detach {
    /// The interfaces
    #[arg(value_name = "INTERFACE")]
    interfaces: Vec<String>,
    /// Every interface that has a filter, another version's too
    #[arg(long, conflicts_with = "interfaces")]
    all: bool,
}

impl Detach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.interfaces.is_empty() && !self.all {
            return none_named();
        }
        let interfaces = if self.all { every()? } else { self.interfaces };
        for interface in &interfaces {
            kernel::detach(interface)?;
            eprintln!("`{interface}`: detached, everything passes");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Says what could have been meant.
fn none_named() -> Result<ExitCode> {
    let attached: Vec<_> = kernel::attached_interfaces()?.iter().map(|name| format!("`{name}`")).collect();
    let hint = if attached.is_empty() {
        "no filter is attached to any interface".to_owned()
    } else {
        format!("a filter is attached to {}; `--all` takes it off every one", attached.join(", "))
    };
    eprintln!("error: no interface is named\nhint: {hint}");
    Ok(ExitCode::from(WRONG_INPUT))
}

/// Every interface that has a filter, of whatever version.
fn every() -> Result<Vec<String>> {
    let mut interfaces = kernel::attached_interfaces()?;
    interfaces.extend(kernel::other_versions()?.into_iter().map(|other| other.interface));
    interfaces.dedup();
    Ok(interfaces)
}

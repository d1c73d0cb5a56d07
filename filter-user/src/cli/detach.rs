//! `sipwall detach`

use std::process::ExitCode;

use anyhow::Result;

use filter_user::kernel;

/// Take the filter off interfaces
///
/// From then on everything that arrives there reaches the host. Counters and the deny list are forgotten.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall detach eth0     # from now on everything that arrives there reaches the host
  sipwall detach --all")]
pub(crate) struct Detach {
    /// The interfaces
    #[arg(required_unless_present = "all", value_name = "INTERFACE")]
    interfaces: Vec<String>,
    /// Every interface that has a filter, another version's too
    #[arg(long, conflicts_with = "interfaces")]
    all: bool,
}

impl Detach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = if self.all { all()? } else { self.interfaces };
        for interface in &interfaces {
            kernel::detach(interface)?;
            eprintln!("`{interface}`: detached, everything passes");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Every interface that has a filter, of whatever version.
fn all() -> Result<Vec<String>> {
    let mut interfaces = kernel::attached_interfaces()?;
    interfaces.extend(kernel::other_versions()?.into_iter().map(|other| other.interface));
    interfaces.dedup();
    Ok(interfaces)
}

//! `sipwall detach`

use std::process::ExitCode;

use anyhow::Result;

use filter_user::kernel;

/// Take the filter off interfaces
///
/// From then on everything that arrives there reaches the host. Counters and the deny list are forgotten.
#[derive(clap::Args)]
pub(crate) struct Detach {
    /// The interfaces
    #[arg(required = true, value_name = "INTERFACE")]
    interfaces: Vec<String>,
}

impl Detach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        for interface in &self.interfaces {
            kernel::detach(interface)?;
            eprintln!("`{interface}`: detached, everything passes");
        }
        Ok(ExitCode::SUCCESS)
    }
}

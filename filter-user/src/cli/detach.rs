//! `sipwall detach`

use std::process::ExitCode;

use anyhow::Result;

use filter_user::{
    kernel,
    service::{self, Liveness},
};

use super::{WRONG_INPUT, status::RuntimeDirectory};

/// Take the filter off interfaces
///
/// From then on everything that arrives there reaches the host. Counters, the deny list and live allows are forgotten. A
/// service that runs attaches the filter again: it is to be stopped first.
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
    #[command(flatten)]
    runtime: RuntimeDirectory,
}

impl Detach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.interfaces.is_empty() && !self.all {
            return none_named();
        }
        let interfaces = if self.all { every()? } else { self.interfaces.clone() };
        for interface in &interfaces {
            kernel::detach(interface)?;
            eprintln!("`{interface}`: detached, everything passes");
        }
        self.runtime.warn_of_service();
        Ok(ExitCode::SUCCESS)
    }
}

impl RuntimeDirectory {
    /// Warns of a service that will attach the filter again.
    fn warn_of_service(&self) {
        let alive = |record: service::Record| record.liveness != Liveness::Dead;
        if service::read_record(&self.runtime).ok().flatten().is_some_and(alive) {
            eprintln!(
                "warning: the service runs, and attaches the filter again within seconds\n\
                 hint: `systemctl stop sipwall`, then `sipwall detach` again"
            );
        }
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

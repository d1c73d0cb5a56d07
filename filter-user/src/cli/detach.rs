//! `sipwall detach`

use std::process::ExitCode;

use anyhow::Result;

use filter_user::{kernel, service};

use super::{WRONG_INPUT, status::RuntimeDirectory};

/// Take the filter off interfaces
///
/// From then on everything that arrives there reaches the host. Counters, the deny list and live allows are forgotten. A
/// service that runs leaves the filter off, also when it starts anew, until `sipwall attach`, `systemctl reload sipwall` or the
/// next boot.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall detach eth0     # from now on everything that arrives there reaches the host
  sipwall detach --all")]
pub(crate) struct Detach {
    /// The interfaces
    #[arg(value_name = "INTERFACE")]
    words: Vec<String>,
    /// The same, as an option
    #[arg(long = "interface", value_name = "INTERFACE")]
    options: Vec<String>,
    /// Every interface that has a filter, another version's too
    #[arg(long, conflicts_with_all = ["words", "options"])]
    all: bool,
    #[command(flatten)]
    runtime: RuntimeDirectory,
}

impl Detach {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let named = [self.words, self.options].concat();
        if named.is_empty() && !self.all {
            return none_named();
        }
        let interfaces = if self.all { every()? } else { named };
        let served = self.runtime.has_service();
        for interface in &interfaces {
            kernel::detach(interface, served)?;
            eprintln!("`{interface}`: detached, everything passes");
        }
        if served && !interfaces.is_empty() {
            eprintln!(
                "note: the service leaves it so, also when it starts anew\n\
                 hint: `sipwall attach` or `systemctl reload sipwall` (SIGHUP to the service) filters again"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl RuntimeDirectory {
    /// Whether a service runs that would attach the filter again, or one ended that nobody stopped, and that is started anew.
    fn has_service(&self) -> bool {
        service::read_record(&self.runtime).is_ok_and(|record| record.is_some())
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

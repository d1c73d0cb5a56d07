//! `sipwall refresh`

mod report;
mod round;
mod watch;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;
use filter_user::refresh::{Asking, DEFAULT_STATE, FetchError, Fetcher, Limits, NameServers, Refresher, Store};

use super::{WRONG_INPUT, change::Guard, target::Target};

/// Fetch the documents of a policy's sources, and put what changed in force
///
/// Asks the sources whose last answer holds no more. A document that is broken, empty or much smaller than the last one
/// is refused, and the last accepted one stays. Where the filter is attached and a source states something else, the policy
/// file is put in force as it is then, as `sipwall apply` does it; not where a policy waits to be confirmed.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall refresh --policy policy.toml            # ask what is due, once: for a timer
  sipwall refresh --policy policy.toml --watch    # go on, and ask each source when it is due
  sipwall refresh --policy policy.toml --now      # ask every source at once
  sipwall refresh --policy policy.toml --accept-shrink carrier    # take its document even if it shrank")]
pub(crate) struct Refresh {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    state: StateDirectory,
    /// Ask every source now, for the whole document
    #[arg(long)]
    now: bool,
    /// Ask this provider's source now, and take its document however much it shrank
    #[arg(long, value_name = "PROVIDER")]
    accept_shrink: Vec<String>,
    /// Go on in the foreground, and ask each source when it is due, until SIGINT or SIGTERM
    #[arg(long, conflicts_with_all = ["now", "accept_shrink"])]
    watch: bool,
    #[command(flatten)]
    guard: Guard,
    #[command(flatten)]
    fetching: Fetching,
    /// Print one JSON object a line: one for each provider, then one for each interface
    #[arg(long)]
    json: bool,
}

/// How documents are fetched and names resolved.
#[derive(clap::Args)]
pub(crate) struct Fetching {
    /// Trust the certificate authorities of this PEM file instead of those of the web
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name server for `resolve` instead of the system's
    #[arg(long, value_name = "ADDRESS:PORT")]
    resolver: Option<SocketAddr>,
    /// How long a document may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Fetching {
    pub(crate) fn refresher(&self, state: &StateDirectory) -> Result<Refresher, FetchError> {
        let limits = Limits { timeout: Duration::from_secs(self.timeout), ..Limits::default() };
        Ok(Refresher {
            store: state.store(),
            fetcher: Fetcher::new(limits, self.ca.as_deref())?,
            name_servers: self.resolver.map_or(NameServers::System, NameServers::One),
        })
    }
}

/// Where commands find what was last accepted of a policy's sources.
#[derive(clap::Args)]
pub(crate) struct StateDirectory {
    /// Where `refresh` keeps what it accepted of the policy's sources
    #[arg(long = "state", value_name = "DIR", default_value = DEFAULT_STATE)]
    directory: PathBuf,
}

impl StateDirectory {
    pub(crate) fn store(&self) -> Store {
        Store::new(&self.directory)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }
}

impl Refresh {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let refresher = match self.fetching.refresher(&self.state) {
            Ok(refresher) => refresher,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        if self.watch {
            return watch::run(self, refresher);
        }
        let asking = if self.now { Asking::every() } else { Asking::due() };
        round::run(&self, &refresher, &asking.accepting(self.accept_shrink.iter().cloned().collect()))
    }
}

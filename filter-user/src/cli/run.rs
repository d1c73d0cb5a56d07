//! `sipwall run`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use filter_user::{
    fleet::{Config, ConfigError, DEFAULT_CONFIG, Node},
    kernel::AttachMode,
    listener::{self, ListenError},
    service::{self, LogFormat, Settings, StartError, Supply, start_logging},
};

use super::{
    WRONG_INPUT,
    listen::Listen,
    refresh::{Fetching, StateDirectory},
    status::RuntimeDirectory,
    target::Target,
};

/// Keep a policy in force: the service
///
/// Stays in the foreground. Puts the policy in force, and again when its file or a file that it names changes, on SIGHUP,
/// when a provider's source states something else, and when an interface goes and comes back. A policy that is refused
/// leaves the one before in force, and so does, at the start, one that would cut what this host is in the middle of. SIGTERM ends the service and leaves the filter in force; `sipwall detach` removes it.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall run --policy /etc/sipwall/policy.toml
  sipwall run eth0 policy.toml --log json
  sipwall run --policy policy.toml --fleet tls://nats.example:4222    # follow a fleet: docs/fleet.md
  sipwall run --policy policy.toml --listen 127.0.0.1:9464    # a dashboard at http://127.0.0.1:9464/")]
pub(crate) struct Run {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    state: StateDirectory,
    #[command(flatten)]
    runtime: RuntimeDirectory,
    #[command(flatten)]
    fetching: Fetching,
    /// Attach in the network stack where the driver has no native XDP: several times slower
    #[arg(long)]
    allow_generic: bool,
    /// Put the policy in force at the start even if it cuts the session that this command runs in, the default gateway or
    /// SIP sessions that are open
    #[arg(long)]
    allow_lockout: bool,
    /// How the log looks; by default for the journal where it reads it, else for people
    #[arg(long, value_name = "FORMAT")]
    log: Option<Log>,
    #[command(flatten)]
    fleet: Fleet,
    #[command(flatten)]
    listen: Listen,
}

/// Of which fleet the node is a part.
#[derive(clap::Args)]
#[command(next_help_heading = "Fleet")]
struct Fleet {
    /// Follow the policies that this broker hands on, as in `tls://nats.example:4222`; may be given several times
    ///
    /// Who the node is and whose signature it trusts is in the fleet's configuration.
    #[arg(long = "fleet", value_name = "URL")]
    servers: Vec<String>,
    /// The fleet's configuration: `--fleet` alone takes that of `/etc/sipwall/fleet.toml`
    #[arg(long = "fleet-config", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Fleet {
    /// The node; nothing where it is in no fleet.
    fn node(
        &self,
        state: &StateDirectory,
        own: &Path,
        listen: Option<&listener::Settings>,
    ) -> Result<Option<Arc<dyn Supply>>, ConfigError> {
        if self.servers.is_empty() && self.config.is_none() {
            return Ok(None);
        }
        let path = self.config.as_deref().unwrap_or_else(|| Path::new(DEFAULT_CONFIG));
        let metrics = listen.and_then(listener::Settings::seen_from_elsewhere);
        let node = Node::new(&Config::read(path, &self.servers)?, state.path(), own, metrics)?;
        Ok(Some(Arc::new(node)))
    }
}

/// How the log looks.
#[derive(Clone, Copy, ValueEnum)]
enum Log {
    /// A line for people
    Human,
    /// A JSON object a line
    Json,
    /// A line that begins with its level, as the journal reads it
    Journal,
}

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let refresher = match self.fetching.refresher(&self.state) {
            Ok(refresher) => refresher,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let listen = self.listen.settings();
        let supplier = match self.fleet.node(&self.state, &self.target.policy, listen.as_ref()) {
            Ok(supplier) => supplier,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let limits = start_logging(self.log.map_or_else(LogFormat::of_this_process, Log::format));
        let settings = Settings {
            policy: std::path::absolute(self.target.policy).context("there is no working directory")?,
            interfaces: self.target.interfaces,
            mode: if self.allow_generic { AttachMode::AllowGeneric } else { AttachMode::Native },
            allow_lockout: self.allow_lockout,
            refresher,
            runtime: self.runtime.runtime,
            listen,
            supplier,
        };
        match service::run(settings, &limits) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(StartError::Listen(error @ ListenError::Bind { .. })) => Err(error.into()),
            Err(error @ (StartError::Refused(_) | StartError::NoInterface | StartError::Listen(_))) => {
                eprintln!("error: {error}");
                Ok(ExitCode::from(WRONG_INPUT))
            }
            Err(StartError::Failed(error)) => Err(error),
        }
    }
}

impl Log {
    const fn format(self) -> LogFormat {
        match self {
            Self::Human => LogFormat::Human,
            Self::Json => LogFormat::Json,
            Self::Journal => LogFormat::Journal,
        }
    }
}

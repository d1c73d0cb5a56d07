//! `sipwall fleet`

mod apply;
mod compare;
mod deny;
mod events;
mod init;
mod keys;
mod nodes;
mod progress;
mod targets;

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use filter_user::{
    fleet::{Broker, Config, ConfigError, DEFAULT_CONFIG, Operator, Seen, Target},
    policy::file::is_name,
};
use tokio::runtime::{Builder, Runtime};

use super::{WRONG_INPUT, output};

/// Change and show what a fleet of nodes runs
///
/// Nodes are services with `sipwall run --fleet`. What they are to run is signed here, and handed on by a NATS broker; each
/// node tries it before it stays. `docs/fleet.md` is the guide.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall fleet keygen /etc/sipwall/fleet.key
  sipwall fleet init --replicas 3
  sipwall fleet status
  sipwall fleet diff policy.toml --group edge
  sipwall fleet apply policy.toml --group edge --canary 2 --confirm 5m
  sipwall fleet history --group edge
  sipwall fleet rollback 7 --group edge
  sipwall fleet deny add 192.0.2.66 --all --for 2h --comment scanner
  sipwall fleet explain --node sbc-1 udp 192.0.2.1:5060 198.51.100.10:5060
  sipwall fleet events --follow --group edge --reason port_closed
  sipwall fleet targets --output /etc/prometheus/sipwall.json --follow")]
pub(crate) struct Fleet {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keys::Keygen),
    Init(init::Init),
    Status(nodes::Status),
    Diff(compare::Diff),
    Apply(apply::Apply),
    History(compare::History),
    Rollback(apply::Rollback),
    Deny(deny::Deny),
    Explain(compare::Explain),
    Events(events::Events),
    Targets(targets::Targets),
}

impl Fleet {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Keygen(command) => command.run(),
            Command::Init(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Diff(command) => command.run(),
            Command::Apply(command) => command.run(),
            Command::History(command) => command.run(),
            Command::Rollback(command) => command.run(),
            Command::Deny(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Events(command) => command.run(),
            Command::Targets(command) => command.run(),
        }
    }
}

/// How the fleet's broker is reached.
#[derive(clap::Args)]
#[command(next_help_heading = "Broker")]
struct Access {
    /// The fleet's configuration: the broker, the keys
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Another broker than the configuration names
    #[arg(long = "server", value_name = "URL")]
    servers: Vec<String>,
}

impl Access {
    /// Does something at the broker, with the fleet's buckets and keys.
    fn with_operator(&self, act: impl AsyncFnOnce(Operator) -> Result<ExitCode>) -> Result<ExitCode> {
        let config = match Config::read(&self.config, &self.servers) {
            Ok(config) => config,
            Err(error) => return Ok(refuse(&error)),
        };
        let done = runtime()?.block_on(async { act(Operator::connect(&config, &author()).await?).await });
        done.or_else(|error| {
            let shared = error.downcast_ref::<Arc<ConfigError>>().map(AsRef::as_ref);
            match error.downcast_ref::<ConfigError>().or(shared) {
                Some(wrong) => Ok(refuse(wrong)),
                None => Err(error),
            }
        })
    }

    /// The same without them: for who only looks.
    fn with_broker(&self, act: impl AsyncFnOnce(Broker) -> Result<ExitCode>) -> Result<ExitCode> {
        let config = match Config::read(&self.config, &self.servers) {
            Ok(config) => config,
            Err(error) => return Ok(refuse(&error)),
        };
        runtime()?.block_on(async { act(Broker::connect(&config.access(), "sipwall fleet").await?).await })
    }

    /// The same without them, at a broker that may just have been started.
    fn with_new_broker(&self, act: impl AsyncFnOnce(Broker) -> Result<ExitCode>) -> Result<ExitCode> {
        let config = match Config::read(&self.config, &self.servers) {
            Ok(config) => config,
            Err(error) => return Ok(refuse(&error)),
        };
        runtime()?.block_on(async { act(Broker::connect_patiently(&config.access(), "sipwall fleet").await?).await })
    }
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the timer")
}

fn refuse(error: &ConfigError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(WRONG_INPUT)
}

/// Who acts: the user, behind `sudo` too, and the host.
fn author() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| env::var(name).ok());
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|| "root".to_owned()), host.trim())
}

/// Whom something is about: a group, a node, or everybody.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The nodes of this group
    #[arg(long, value_name = "GROUP", value_parser = name)]
    group: Option<String>,
    /// This node alone
    #[arg(long, value_name = "NODE", value_parser = name)]
    node: Option<String>,
    /// Every node that is given nothing narrower
    #[arg(long)]
    all: bool,
}

impl Whom {
    fn target(&self) -> Target {
        match (&self.group, &self.node) {
            (Some(group), _) => Target::Group(group.clone()),
            (None, Some(node)) => Target::Node(node.clone()),
            (None, None) => Target::Default,
        }
    }
}

/// The nodes of a group, or all.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Many {
    /// The nodes of this group
    #[arg(long, value_name = "GROUP", value_parser = name)]
    group: Option<String>,
    /// Every node
    #[arg(long)]
    all: bool,
}

impl Many {
    fn target(&self) -> Target {
        self.group.clone().map_or(Target::Default, Target::Group)
    }
}

/// That no node is meant by a target, with those that are there instead.
fn nobody(nodes: &[Seen], target: &Target) -> Option<String> {
    let is_meant = |seen: &Seen| match target {
        Target::Node(name) => seen.state.node == *name,
        Target::Group(name) => seen.state.group.as_ref() == Some(name),
        Target::Default => true,
    };
    if nodes.iter().any(is_meant) {
        return None;
    }
    let groups: BTreeSet<_> = nodes.iter().filter_map(|seen| seen.state.group.as_deref()).collect();
    let hint = match (target, groups.is_empty()) {
        (Target::Group(_), false) => {
            format!("\nhint: groups are {}", output::harmless(&groups.into_iter().collect::<Vec<_>>().join(", ")))
        }
        _ => "\nhint: `sipwall fleet status` shows the nodes".to_owned(),
    };
    Some(format!("no node of `{target}` ever said anything{hint}"))
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("use 1 to 31 of `a-z`, `0-9` and `-`".to_owned()) }
}

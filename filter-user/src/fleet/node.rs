//! A node of a fleet: the agent beside the service, with the kernel as its data plane.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use tokio::task::spawn_blocking;

use super::{
    agent::Agent,
    config::{Access, Config, ConfigError, Identity},
    facts,
    health::{LISTED_DROPS, Tally},
    keys::Trust,
    memory::Memory,
    plane::{Look, Plane, Standing},
    samples::KernelSamples,
    state::InterfaceState,
};
use crate::{
    kernel::{self, Confirmation, LoadedList},
    policy::{Code, Refusal, Refusals},
    service::{self, Desk, FleetSnapshot, Supply},
};

/// The deny list that is the fleet's.
const DENY_LIST: &str = "fleet";

/// A node as its configuration has it.
#[derive(Clone, Debug)]
pub struct Node {
    identity: Identity,
    access: Access,
    trust: Trust,
    /// Where it remembers what the fleet wants.
    directory: PathBuf,
    /// Its own policy file.
    own: PathBuf,
    /// How many samples a second it publishes at the most.
    events: u16,
    /// Where Prometheus finds its metrics.
    metrics: Option<String>,
}

impl Node {
    /// The node of a configuration, which keeps what it knows below `state`, and serves metrics there unless the file says
    /// another place.
    ///
    /// # Errors
    /// If it has no name, trusts no key, or a key cannot be read.
    pub fn new(config: &Config, state: &Path, own: &Path, metrics: Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            identity: config.identity()?,
            access: config.access(),
            trust: config.trust()?,
            directory: state.join("fleet"),
            own: own.to_owned(),
            events: config.events(),
            metrics: config.metrics().map(str::to_owned).or(metrics),
        })
    }

    /// Unpacks the policy that is followed, with the node's own facts, and returns where it is.
    fn unpack_current(&self, own: &Path) -> Result<Option<PathBuf>> {
        let memory = Memory::open(&self.directory)?;
        let Some(document) = memory.current() else { return Ok(None) };
        let name = document.head.target.file_name(document.head.revision);
        document.content.unpack(&memory.current_directory(), &name, &own_facts(own)?).map(Some)
    }
}

impl Supply for Node {
    fn policy(&self, own: &Path) -> Result<PathBuf, Refusals> {
        match self.unpack_current(own) {
            Ok(Some(path)) => Ok(path),
            Ok(None) => Ok(own.to_owned()),
            Err(error) => Err(Refusals::from(Refusal {
                code: Code::Unreadable,
                file: own.display().to_string(),
                line: 0,
                message: format!("the fleet's policy cannot be used: {error:#}"),
                hint: None,
            })),
        }
    }

    fn attend(&self, desk: Desk) -> BoxFuture<'static, ()> {
        let Self { identity, access, trust, directory, own, events, metrics } = self.clone();
        Box::pin(async move {
            let samples = KernelSamples::new(desk.clone());
            let plane = Kernel { desk, own };
            match Agent::start(identity, &access, trust, &directory, plane).await {
                Ok(mut agent) => {
                    agent.tell_metrics(metrics);
                    if events > 0 {
                        agent.publish(events, samples);
                    }
                    agent.run().await;
                }
                Err(error) => tracing::error!(error = service::one_line(&format!("{error:#}")), "no part of a fleet"),
            }
        })
    }
}

fn own_facts(own: &Path) -> Result<String> {
    let text = fs::read_to_string(own).with_context(|| format!("cannot read `{}`", own.display()))?;
    facts::of(&text, own.parent().unwrap_or_else(|| Path::new("")))
}

/// The kernel, by way of the service's controller.
#[derive(Debug)]
struct Kernel {
    desk: Desk,
    own: PathBuf,
}

impl Plane for Kernel {
    async fn try_policy(&self, policy: &Path, confirm_within: Duration) -> Result<()> {
        self.desk.try_policy(policy, confirm_within).await
    }

    async fn confirm(&self) -> Result<()> {
        self.desk.confirm().await
    }

    async fn fall_back(&self) -> Result<()> {
        self.desk.fall_back().await
    }

    async fn deny(&self, prefixes: Vec<IpNet>) -> Result<()> {
        let interfaces = self.desk.interfaces();
        spawn_blocking(move || interfaces.iter().try_for_each(|interface| deny(interface, &prefixes))).await?
    }

    async fn look(&self) -> Result<Look> {
        let interfaces = self.desk.interfaces();
        Ok(spawn_blocking(move || look(&interfaces)).await?)
    }

    fn facts(&self) -> Result<String> {
        own_facts(&self.own)
    }

    fn note(&self, snapshot: FleetSnapshot) {
        self.desk.note(snapshot);
    }
}

fn deny(interface: &str, prefixes: &[IpNet]) -> Result<()> {
    if prefixes.is_empty() {
        if kernel::deny_lists(interface)?.iter().any(|list| list.name == DENY_LIST) {
            kernel::deny_unload(interface, DENY_LIST)?;
        }
        return Ok(());
    }
    let list = LoadedList { name: DENY_LIST, prefixes, lasting: None, comment: "" };
    kernel::deny_load(interface, &list, |_, _| {}).map(drop)
}

/// What cannot be read of an interface shows as not running.
fn look(interfaces: &[String]) -> Look {
    let mut look = Look::default();
    for name in interfaces {
        let read = kernel::status(name).and_then(|status| Ok((status, kernel::stats(name)?)));
        let Ok((status, stats)) = read else {
            look.interfaces.push(InterfaceState { name: name.clone(), ..InterfaceState::default() });
            continue;
        };
        look.trial = match (look.trial, status.confirmation) {
            (_, Confirmation::RolledBack { .. }) | (Standing::Over, _) => Standing::Over,
            (_, Confirmation::Pending { .. }) => Standing::Pending,
            (before, Confirmation::Confirmed) => before,
        };
        let [passed, dropped] = add(&mut look.tally, &stats);
        look.interfaces.push(InterfaceState {
            name: name.clone(),
            running: status.running,
            generation: status.generation,
            mode: status.mode.map(str::to_owned),
            attach_mode: status.attach_mode.map(|mode| mode.to_string()),
            passed,
            dropped,
            ..InterfaceState::default()
        });
    }
    look
}

/// Adds what an interface counted; returns what passed there and what was dropped.
fn add(tally: &mut Tally, stats: &kernel::Stats) -> [u64; 2] {
    for rule in &stats.rules {
        *tally.rules.entry(rule.rule.clone()).or_default() += rule.packets;
    }
    let [mut passed, mut dropped] = [0, 0];
    for count in &stats.reasons {
        if count.action == "pass" {
            passed += count.packets;
            continue;
        }
        dropped += count.packets;
        if LISTED_DROPS.contains(&count.reason) {
            *tally.listed_drops.entry(count.reason).or_default() += count.packets;
        }
    }
    tally.passed += passed;
    tally.dropped += dropped;
    [passed, dropped]
}

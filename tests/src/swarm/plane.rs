//! A data plane without a NIC: policies are compiled as ever, and judge a carrier and a scanner that send all the time.

use std::{
    path::Path,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use filter_common::Action;
use filter_user::{
    fleet::{InterfaceState, Look, Plane, Standing, Tally},
    policy::Explainer,
    refresh::{self, Store},
    service::FleetSnapshot,
};
use ipnet::IpNet;
use tokio::task::spawn_blocking;

use crate::packets::udp;

/// What is the node's own.
const FACTS: &str = "[sbc]\ninterfaces = [\"eth0\"]\n\n[sbc.listen]\nsip-udp = [5060]\nsip-tcp = [5060]\nsip-tls = [5061]\nmedia = [\"16384-32767\"]\n";
/// Who sends to port 5060.
const SENDERS: [&str; 2] = ["203.0.113.17:5060", "192.0.2.99:5060"];
/// How many packets a second each of them sends.
const RATE: f64 = 50.0;

/// What becomes of a packet.
#[derive(Clone, Debug)]
enum Fate {
    Passes(String),
    Dropped(&'static str),
}

/// A policy in force: what becomes of each sender's packets.
type Policy = Vec<Fate>;

#[derive(Debug)]
struct State {
    confirmed: Policy,
    trial: Option<(Policy, Instant)>,
    standing: Standing,
    generation: u64,
    tally: Tally,
    counted: Instant,
}

/// The data plane of a node.
#[derive(Debug)]
pub(super) struct Simulated(Mutex<State>);

impl Simulated {
    /// As nodes are before the fleet has a policy: nothing of a provider is let in.
    pub(super) fn new() -> Self {
        let confirmed = vec![Fate::Dropped("source_unlisted"); SENDERS.len()];
        let (standing, tally, counted) = (Standing::None, Tally::default(), Instant::now());
        Self(Mutex::new(State { confirmed, trial: None, standing, generation: 1, tally, counted }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().expect("nobody panics with it");
        state.go_on();
        state
    }
}

impl State {
    /// What was sent since the last look, and the end of a trial.
    fn go_on(&mut self) {
        let now = Instant::now();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few packets")]
        let packets = (now.duration_since(self.counted).as_secs_f64() * RATE) as u64;
        if packets > 0 {
            self.counted = now;
        }
        for fate in self.trial.as_ref().map_or(&self.confirmed, |(policy, _)| policy) {
            match fate {
                Fate::Passes(rule) => {
                    *self.tally.rules.entry(rule.clone()).or_default() += packets;
                    self.tally.passed += packets;
                }
                Fate::Dropped(reason) => {
                    *self.tally.listed_drops.entry(reason).or_default() +=
                        if *reason == "source_unlisted" { 0 } else { packets };
                    self.tally.dropped += packets;
                }
            }
        }
        if self.trial.take_if(|(_, end)| *end <= now).is_some() {
            self.standing = Standing::Over;
            self.generation += 1;
        }
    }
}

impl Plane for Simulated {
    async fn try_policy(&self, policy: &Path, confirm_within: Duration) -> Result<()> {
        let path = policy.to_owned();
        let policy = spawn_blocking(move || judge(&path)).await??;
        let mut state = self.state();
        state.trial = Some((policy, Instant::now() + confirm_within));
        state.standing = Standing::Pending;
        state.generation += 1;
        Ok(())
    }

    async fn confirm(&self) -> Result<()> {
        let mut state = self.state();
        let (policy, _) = state.trial.take().context("no policy is on trial")?;
        state.confirmed = policy;
        state.standing = Standing::None;
        Ok(())
    }

    async fn fall_back(&self) -> Result<()> {
        let mut state = self.state();
        state.trial = None;
        state.standing = Standing::None;
        Ok(())
    }

    async fn deny(&self, _: Vec<IpNet>) -> Result<()> {
        Ok(())
    }

    async fn look(&self) -> Result<Look> {
        let state = self.state();
        let interface = InterfaceState {
            name: "eth0".to_owned(),
            running: true,
            generation: state.generation,
            mode: Some("enforce".to_owned()),
            attach_mode: Some("native".to_owned()),
            passed: state.tally.passed,
            dropped: state.tally.dropped,
            ..InterfaceState::default()
        };
        Ok(Look { interfaces: vec![interface], trial: state.standing, tally: state.tally.clone() })
    }

    fn facts(&self) -> Result<String> {
        Ok(FACTS.to_owned())
    }

    fn note(&self, _: FleetSnapshot) {}
}

/// What a policy does with each sender's packets.
fn judge(path: &Path) -> Result<Policy> {
    let store = Store::new(path.parent().context("a file is in a directory")?);
    let compiled = refresh::load(path, &store)?.compile()?;
    let explainer = Explainer::new(&compiled);
    let fates = SENDERS.iter().map(|sender| {
        let explained = explainer.explain(&udp(sender, "198.51.100.10:5060"));
        match (explained.action, explained.rule) {
            (Action::Pass, Some(rule)) => Fate::Passes(rule),
            _ => Fate::Dropped(explained.reason.name()),
        }
    });
    Ok(fates.collect())
}

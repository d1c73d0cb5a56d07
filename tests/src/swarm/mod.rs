//! Many nodes of a fleet in one process, with a real broker: the agent of `sipwall run`, with tables on the host in place of a NIC.

mod broker;
mod plane;

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use filter_user::fleet::{Agent, Config, Identity};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};

pub use self::broker::Load;
use self::{broker::Broker, plane::Simulated};
use crate::{
    scene::fixture,
    sipwall::{Ended, sipwall},
};

/// The group that all nodes are in.
pub const GROUP: &str = "edge";
/// What the fleet is to run.
const POLICY: &str = "[[provider]]\nname = \"carrier\"\nallowlist = \"carrier.toml\"\n";
/// The prefix that the simulated carrier sends from.
const PREFIX: &str = "\"203.0.113.16/30\", ";

/// The nodes and their broker, until this is dropped.
#[derive(Debug)]
pub struct Swarm {
    directory: TempDir,
    broker: Broker,
    config: Config,
    runtime: Runtime,
    agents: Vec<JoinHandle<()>>,
}

impl Swarm {
    /// A broker with the fleet's buckets, a key, a policy, and no node yet.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let broker = Broker::start(directory.path());
        let config = format!(
            "[fleet]\nservers = [\"{}\"]\nsign_with = \"fleet.key\"\ntrust = [\"fleet.key.pub\"]\nnode = \"nobody\"\n",
            broker.address()
        );
        fs::write(path("fleet.toml"), config).expect("a file");
        let key = path("fleet.key").display().to_string();
        sipwall(&["fleet", "keygen", &key]).assert_done();
        let allowlist = fs::read_to_string(fixture("carrier.toml")).expect("the fixture");
        assert!(allowlist.contains(PREFIX), "{allowlist}");
        for (name, allowlist) in [("good", allowlist.clone()), ("bad", allowlist.replace(PREFIX, ""))] {
            fs::create_dir(path(name)).expect("a directory");
            fs::write(path(name).join("carrier.toml"), allowlist).expect("a file");
            fs::write(path(name).join("policy.toml"), POLICY).expect("a file");
        }
        let config = Config::read(&path("fleet.toml"), &[]).expect("it was written just now");
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let swarm = Self { directory, broker, config, runtime, agents: Vec::new() };
        swarm.operate(&["init"]).assert_done();
        swarm
    }

    /// Adds nodes until there are so many, and waits until the operator sees them all; says how long that took.
    pub fn grow(&mut self, nodes: usize) -> Duration {
        let begin = Instant::now();
        for number in self.agents.len() + 1..=nodes {
            let identity = Identity { node: format!("sbc{number}"), group: Some(GROUP.to_owned()) };
            let (access, trust) = (self.config.access(), self.config.trust().expect("a key"));
            let state = self.directory.path().join(&identity.node);
            let agent = async move {
                let agent = Agent::start(identity, &access, trust, &state, Simulated::new()).await;
                agent.expect("its directory can be made").run().await;
            };
            self.agents.push(self.runtime.spawn(agent));
        }
        self.await_states("they are seen", |states| states.len() == nodes);
        begin.elapsed()
    }

    /// Waits until the nodes say what is looked for.
    pub fn await_states(&self, what: &str, found: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let end = Instant::now() + Duration::from_mins(5);
        loop {
            let states = self.states();
            if found(&states) {
                return states;
            }
            assert!(Instant::now() < end, "waited in vain: {what}: {states:#?}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What the nodes say.
    pub fn states(&self) -> Vec<Value> {
        let shown = self.operate(&["status", "--json"]);
        shown.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The policy file that lists the carrier, or the one that forgot where it sends from.
    pub fn policy(&self, is_good: bool) -> PathBuf {
        self.directory.path().join(if is_good { "good" } else { "bad" }).join("policy.toml")
    }

    /// Rolls a policy out, and waits for its end.
    pub fn apply(&self, is_good: bool, arguments: &[&str]) -> Ended {
        let policy = self.policy(is_good).display().to_string();
        self.operate(&[&["apply", &policy, "--group", GROUP, "--json"], arguments].concat())
    }

    /// Runs `sipwall fleet` as an operator does.
    pub fn operate(&self, arguments: &[&str]) -> Ended {
        let config = self.directory.path().join("fleet.toml").display().to_string();
        sipwall(&[&["fleet"], arguments, &["--config", &config]].concat())
    }

    /// What the broker had to do until now.
    pub fn load(&self) -> Load {
        self.broker.load()
    }
}

impl Default for Swarm {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.agents.iter().for_each(JoinHandle::abort);
    }
}

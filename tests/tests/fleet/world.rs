//! Brokers, nodes, an operator and a carrier, each in a network namespace.

use std::{
    fs,
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tests::ports::bound;

use filter_user::fleet::{self, Access};
use ipnet::IpNet;
use lab::{Host, Lab, Plan, Process};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    guest::unpacked,
    scene::{SILENCE, fixture},
    service::wait_for,
    sipwall::{Ended, binary, sipwall_on},
};

/// The carrier's address, in one of its SIP prefixes.
pub(crate) const CARRIER: &str = "203.0.113.17";
/// The scanner's address, which nothing lists.
pub(crate) const SCANNER: &str = "192.0.2.99";
/// How long between two datagrams of the carrier to a node.
const PAUSE: Duration = Duration::from_millis(20);

/// What the fleet is to run.
pub(crate) const POLICY: &str = "[[provider]]\nname = \"carrier\"\nallowlist = \"carrier.toml\"\n";
/// The same without the prefix that the carrier sends from.
pub(crate) const WITHOUT_CARRIER: [(&str, &str); 1] = [("\"203.0.113.16/30\", ", "")];

/// Times of trials that suit a test.
pub(crate) const TIMES: [&str; 4] = ["--observe", "2s", "--confirm", "13s"];

/// The world, until it is dropped.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) lab: Lab,
    directory: TempDir,
    brokers: usize,
    nodes: usize,
}

fn host(name: &str, address: &str) -> Plan {
    Plan::new(name, [format!("{address}/32").parse::<IpNet>().expect("a host")])
}

/// The address of a node, counted from 1.
pub(crate) fn node_address(number: usize) -> String {
    format!("198.51.100.{}", 10 + number)
}

/// The address of a broker, counted from 1.
pub(crate) fn broker_address(number: usize) -> String {
    format!("192.0.2.{}", 10 + number)
}

impl World {
    /// Makes the hosts, the key `fleet.key` and the configurations; nothing runs yet.
    pub(crate) fn new(brokers: usize, nodes: usize) -> Self {
        let mut plans = vec![host("ops", "192.0.2.20"), host("carrier", CARRIER), host("scanner", SCANNER)];
        plans.extend((1..=brokers).map(|number| host(&format!("nats{number}"), &broker_address(number))));
        plans.extend((1..=nodes).map(|number| host(&format!("sbc{number}"), &node_address(number))));
        let lab = Lab::new(&plans).expect("namespaces can be made (this needs root)");
        let world = Self { lab, directory: tempfile::tempdir().expect("a directory"), brokers, nodes };
        world.operate_without_config(&["keygen", &world.path("fleet.key")]).assert_done();
        world.write("carrier.toml", &fs::read_to_string(fixture("carrier.toml")).expect("the fixture"));
        world.write("policy.toml", POLICY);
        world.write("ops.toml", &world.config(&format!("sign_with = \"{}\"\n", world.path("fleet.key"))));
        for number in 1..=nodes {
            world.configure_node(number, &[&world.path("fleet.key.pub")]);
        }
        world
    }

    /// What stands in a node's own files: who it is and whom it trusts, and the policy that holds as long as the fleet has none.
    pub(crate) fn configure_node(&self, number: usize, trust: &[&str]) {
        let more = format!("trust = {trust:?}\nnode = \"sbc{number}\"\ngroup = \"edge\"\n");
        self.write(&format!("sbc{number}.fleet.toml"), &self.config(&more));
        let brokers: Vec<_> = (1..=self.brokers).map(broker_address).collect();
        let own = format!(
            "[sbc]\ninterfaces = [\"eth0\"]\n\n[sbc.listen]\nsip-udp = [5060]\nsip-tcp = [5060]\nsip-tls = [5061]\nmedia = \
             [\"16384-32767\"]\n\n[[allow]]\nname = \"broker\"\nfrom = {brokers:?}\ntcp = [\"1024-65535\"]\n"
        );
        self.write(&format!("sbc{number}.toml"), &own);
    }

    /// Adds lines to a node's fleet configuration.
    pub(crate) fn configure_more(&self, number: usize, more: &str) {
        let name = format!("sbc{number}.fleet.toml");
        let text = fs::read_to_string(self.path(&name)).expect("a file");
        self.write(&name, &format!("{text}{more}"));
    }

    fn config(&self, more: &str) -> String {
        let servers: Vec<_> =
            (1..=self.brokers).map(|number| format!("nats://{}:4222", broker_address(number))).collect();
        format!("[fleet]\nservers = {servers:?}\n{more}")
    }

    /// A host.
    pub(crate) fn host(&self, name: &str) -> &Host {
        self.lab.host(name).expect("it was planned")
    }

    /// The path of a file, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// Writes the policy and the carrier's allowlist into a directory, with replacements in the allowlist and more lines in the
    /// policy; returns the policy's path.
    pub(crate) fn policy(&self, name: &str, more: &str, changes: &[(&str, &str)]) -> String {
        fs::create_dir_all(self.path(name)).expect("a directory");
        let mut allowlist = fs::read_to_string(self.path("carrier.toml")).expect("the fixture");
        for (old, new) in changes {
            assert!(allowlist.contains(old), "{old}");
            allowlist = allowlist.replace(old, new);
        }
        self.write(&format!("{name}/carrier.toml"), &allowlist);
        self.write(&format!("{name}/policy.toml"), &format!("{POLICY}{more}"))
    }

    /// Runs `sipwall fleet` at the operator's.
    pub(crate) fn operate(&self, arguments: &[&str]) -> Ended {
        let config = self.path("ops.toml");
        self.operate_without_config(&[arguments, &["--config", &config]].concat())
    }

    fn operate_without_config(&self, arguments: &[&str]) -> Ended {
        sipwall_on(self.host("ops"), &[&["fleet"], arguments].concat())
    }

    /// `sipwall fleet` at the operator's, to be started.
    pub(crate) fn operation(&self, arguments: &[&str]) -> Command {
        let mut command = self.host("ops").command(binary());
        command.arg("fleet").args(arguments).args(["--config", &self.path("ops.toml")]);
        command
    }

    /// Rolls a policy out to the group, with times that suit a test.
    pub(crate) fn apply(&self, policy: &str, arguments: &[&str]) -> Ended {
        self.operate(&[&["apply", policy, "--group", "edge"], &TIMES[..], arguments].concat())
    }

    /// Makes the buckets, as soon as the brokers can.
    pub(crate) fn init(&self) {
        self.operate(&["init", "--replicas", &self.brokers.to_string()]).assert_done();
    }

    /// Starts every broker, makes the buckets, starts every node and waits until the operator sees them.
    pub(crate) fn start(&self) -> (Vec<Broker>, Vec<Node<'_>>) {
        let brokers = (1..=self.brokers).map(|number| Broker::start(self, number)).collect();
        self.init();
        let nodes: Vec<_> = (1..=self.nodes).map(|number| Node::start(self, number)).collect();
        wait_for("the nodes say something", || (self.states().len() == nodes.len()).then_some(()));
        (brokers, nodes)
    }

    /// What the nodes say, as the operator sees it; nothing while the broker does not answer.
    pub(crate) fn states(&self) -> Vec<Value> {
        let shown = self.operate(&["status", "--json"]);
        let lines = shown.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    }

    /// Waits until the operator sees of a node what is looked for.
    pub(crate) fn await_state(&self, number: usize, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let name = format!("sbc{number}");
        wait_for(&format!("{name}: {what}"), || {
            self.states().into_iter().find(|state| state["node"] == *name && found(state))
        })
    }

    /// Does something at the broker, as one that is hostile could.
    pub(crate) fn at_broker<T: Send>(&self, act: impl AsyncFnOnce(&fleet::Broker) -> T + Send) -> T {
        let access = Access {
            servers: vec![format!("nats://{}:4222", broker_address(1))],
            ca: None,
            certificate: None,
            credentials: None,
        };
        let inside = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { act(&fleet::Broker::connect(&access, "test").await.expect("a broker")).await })
        };
        self.host("ops").enter(inside).expect("a host")
    }

    /// How many of three datagrams from the carrier's or scanner's port 5060 arrive at a node.
    pub(crate) fn datagrams(&self, from: &str, number: usize) -> usize {
        let address = node_address(number);
        let node = self.host(&format!("sbc{number}"));
        let receiver = bound(node, || UdpSocket::bind((address.as_str(), 5060)));
        receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
        let source = if from == "carrier" { CARRIER } else { SCANNER };
        let sender = bound(self.host(from), || UdpSocket::bind((source, 5080)));
        for _ in 0..3 {
            sender.send_to(b"OPTIONS", (address.as_str(), 5060)).expect("a datagram leaves");
        }
        let mut buffer = [0; 64];
        let (mut arrived, end) = (0, Instant::now() + SILENCE);
        // Other traffic may arrive all the time.
        while arrived < 3 && Instant::now() < end {
            arrived += receiver.recv_from(&mut buffer).map_or(0, |(_, peer)| usize::from(peer.port() == 5080));
        }
        arrived
    }

    /// Lets the carrier send to every node, fifty packets a second, until what is returned is dropped.
    pub(crate) fn traffic(&self) -> Traffic {
        let socket = bound(self.host("carrier"), || UdpSocket::bind((CARRIER, 5060)));
        let targets: Vec<_> = (1..=self.nodes).map(|number| format!("{}:5060", node_address(number))).collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let sender = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for target in &targets {
                    // Nobody listens, which the host may say.
                    let _ = socket.send_to(b"OPTIONS", target);
                }
                thread::sleep(PAUSE);
            }
        });
        Traffic { is_over, sender: Some(sender) }
    }

    /// Keeps a node and the brokers from each other, or no more.
    pub(crate) fn partition(&self, number: usize, apart: bool) {
        let node = self.host(&format!("sbc{number}"));
        for broker in (1..=self.brokers).map(broker_address) {
            let what = if apart { "add" } else { "delete" };
            let arguments = ["route", what, "blackhole", &broker];
            assert!(node.command("ip").args(arguments).status().expect("`ip` runs").success(), "{arguments:?}");
        }
    }
}

/// Traffic of the carrier, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    is_over: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // What it has to say it said by now.
            let _ = sender.join();
        }
    }
}

/// A broker, until it is dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    _process: Process,
}

impl Broker {
    /// Starts a broker, counted from 1, with what it stored before.
    pub(crate) fn start(world: &World, number: usize) -> Self {
        Self::start_with(world, number, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(world: &World, number: usize, more: &str) -> Self {
        let address = broker_address(number);
        let routes: Vec<_> = (1..=world.brokers).map(|one| format!("nats://{}:6222", broker_address(one))).collect();
        let cluster = if world.brokers > 1 {
            format!("cluster {{ name: fleet, listen: \"{address}:6222\", routes: [{}] }}\n", routes.join(", "))
        } else {
            String::new()
        };
        let configuration = format!(
            "server_name: nats{number}\nlisten: \"{address}:4222\"\njetstream {{ store_dir: \"{}\", max_mem: 64MB, max_file: \
             512MB }}\n{cluster}{more}",
            world.path(&format!("nats{number}.store"))
        );
        let path = world.write(&format!("nats{number}.conf"), &configuration);
        let mut command = world.host(&format!("nats{number}")).command(unpacked("broker/usr/sbin", "nats-server"));
        command.args(["--config", &path, "--log", &world.path(&format!("nats{number}.log"))]);
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        Self { _process: process.expect("`nats-server` starts (`nats-server` in Debian)") }
    }
}

/// A node with its service, until it is dropped. The filter stays.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    world: &'a World,
    number: usize,
    process: Process,
}

impl<'a> Node<'a> {
    /// Starts the service of a node, counted from 1, and waits until it filters.
    pub(crate) fn start(world: &'a World, number: usize) -> Self {
        Self::start_by(world, number, &[])
    }

    /// The same by another command.
    pub(crate) fn start_by(world: &'a World, number: usize, by: &[&str]) -> Self {
        Self::start_with(world, number, by, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(world: &'a World, number: usize, by: &[&str], more: &[&str]) -> Self {
        let path = |name: &str| world.path(&format!("sbc{number}.{name}"));
        let mut command = world.host(&format!("sbc{number}")).command("env");
        command.args(by).arg(binary()).args(["run", "--policy", &path("toml"), "--fleet-config", &path("fleet.toml")]);
        command.args(["--state", &path("state"), "--runtime", &path("run")]).args(more);
        let log = fs::OpenOptions::new().create(true).append(true).open(path("log")).expect("a file");
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
        let node = Self { world, number, process: process.expect("`sipwall run` starts") };
        node.await_status("it filters", |status| status["running"] == true && status["service"]["fleet"].is_object());
        node
    }

    /// What the service wrote, over all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.world.path(&format!("sbc{}.log", self.number))).expect("a file")
    }

    /// What `status` shows of `eth0` and the service; nothing before there is a filter.
    pub(crate) fn status(&self) -> Value {
        let runtime = self.world.path(&format!("sbc{}.run", self.number));
        let host = self.world.host(&format!("sbc{}", self.number));
        let shown = sipwall_on(host, &["status", "eth0", "--json", "--runtime", &runtime]);
        serde_json::from_str(&shown.stdout).unwrap_or_default()
    }

    /// What `status` shows people.
    pub(crate) fn status_text(&self) -> String {
        let runtime = self.world.path(&format!("sbc{}.run", self.number));
        let host = self.world.host(&format!("sbc{}", self.number));
        sipwall_on(host, &["status", "--runtime", &runtime]).stdout
    }

    /// Waits until `status` shows what is looked for.
    pub(crate) fn await_status(&self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let (mut shown, end) = (self.status(), Instant::now() + Duration::from_mins(2));
        while !found(&shown) {
            assert!(
                Instant::now() < end,
                "sbc{}: waited in vain: {what}; it shows {shown:#}\nits log is\n{}\nthat of the broker\n{}",
                self.number,
                self.log(),
                fs::read_to_string(self.world.path("nats1.log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(50));
            shown = self.status();
        }
        shown
    }

    /// Waits until this revision of the group's policy is in force and stays.
    pub(crate) fn await_revision(&self, revision: u64) -> Value {
        self.await_status(&format!("revision {revision}"), |status| {
            status["service"]["fleet"]["running_revision"] == revision && status["confirmation"]["state"] == "confirmed"
        })
    }

    /// Waits until `status` shows a problem with these words.
    pub(crate) fn await_problem(&self, words: &str) -> Value {
        self.await_status(words, |status| {
            let problem = status["service"]["fleet"]["problem"]["message"].as_str();
            problem.is_some_and(|problem| problem.contains(words))
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }
}

/// Removes what a broker stored.
pub(crate) fn wipe(world: &World, number: usize) {
    fs::remove_dir_all(Path::new(&world.path(&format!("nats{number}.store")))).expect("it stored something");
}

//! An SBC, a carrier that its policy lists, and a scanner that it does not, each in a network namespace.

use crate::ports::bound;
use std::{
    fs,
    io::ErrorKind,
    net::{TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;
use lab::{Host, Lab, Plan};
use serde_json::Value;
use tempfile::TempDir;

use crate::sipwall::{Ended, sipwall_on};

/// The SBC's address.
pub const SBC: &str = "198.51.100.10";
/// The carrier's address, in one of its SIP prefixes.
pub const CARRIER: &str = "203.0.113.17";
/// The scanner's address.
pub const SCANNER: &str = "192.0.2.99";
/// How long nothing must arrive to say that nothing does.
pub const SILENCE: Duration = Duration::from_millis(300);

/// The three hosts, and a directory for policies that goes with them.
#[derive(Debug)]
pub struct Scene {
    /// The hosts `sbc`, `carrier` and `scanner`.
    pub lab: Lab,
    directory: TempDir,
}

impl Scene {
    /// Makes the hosts.
    ///
    /// # Panics
    /// If that cannot be done, as without root.
    #[expect(clippy::new_without_default, reason = "it makes network namespaces")]
    pub fn new() -> Self {
        let host = |name, address: &str| Plan::new(name, [address.parse::<IpNet>().expect("a host")]);
        let plans =
            [host("sbc", "198.51.100.10/32"), host("carrier", "203.0.113.17/32"), host("scanner", "192.0.2.99/32")];
        let lab = Lab::new(&plans).expect("namespaces can be made (this needs root)");
        let directory = tempfile::tempdir().expect("a directory");
        fs::copy(fixture("carrier.toml"), directory.path().join("carrier.toml")).expect("a file");
        Self { lab, directory }
    }

    /// A host.
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn host(&self, name: &str) -> &Host {
        self.lab.host(name).expect("it was planned")
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file in the directory, as text.
    ///
    /// # Panics
    /// If it is no UTF-8.
    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes `tests/fixtures/policy.toml` with these replacements made under this name, and returns its path.
    ///
    /// # Panics
    /// If a replacement matches nothing, or the file cannot be written.
    pub fn policy(&self, name: &str, changes: &[(&str, &str)]) -> String {
        let mut text = fs::read_to_string(fixture("policy.toml")).expect("the fixture");
        for (old, new) in changes {
            assert!(text.contains(old), "the policy does not contain `{old}`");
            text = text.replacen(old, new, 1);
        }
        fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// Runs `sipwall` on the SBC.
    pub fn sipwall(&self, arguments: &[&str]) -> Ended {
        sipwall_on(self.host("sbc"), arguments)
    }

    /// Attaches a policy to the SBC's `eth0`.
    ///
    /// # Panics
    /// If that fails.
    pub fn attach(&self, policy: &str) {
        self.sipwall(&["attach", "eth0", "--policy", policy]).assert_done();
    }

    /// How many of three datagrams from a host's port 5060 arrive at a port of the SBC.
    ///
    /// # Panics
    /// If they cannot be sent.
    pub fn datagrams(&self, from: &str, port: u16) -> usize {
        let address = address(from);
        let receiver = bound(self.host("sbc"), || UdpSocket::bind((SBC, port)));
        receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
        let sender = bound(self.host(from), || UdpSocket::bind((address, 5060)));
        for _ in 0..3 {
            sender.send_to(b"OPTIONS", (SBC, port)).expect("a datagram leaves");
        }
        let mut buffer = [0; 64];
        std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
    }

    /// Whether a TCP connection from a host opens.
    ///
    /// # Panics
    /// If it neither opens nor times out.
    pub fn connects(&self, from: &str, port: u16) -> bool {
        let _listener = bound(self.host("sbc"), || TcpListener::bind((SBC, port)));
        let to = format!("{SBC}:{port}").parse().expect("an address");
        match self.host(from).enter(|| TcpStream::connect_timeout(&to, SILENCE)).expect("a host") {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::TimedOut => false,
            Err(error) => panic!("neither open nor silent: {error}"),
        }
    }

    /// What `stats` shows of `eth0`.
    pub fn stats(&self) -> Value {
        self.sipwall(&["stats", "eth0", "--json"]).json()
    }

    /// What `status` shows of `eth0`.
    pub fn status(&self) -> Value {
        self.sipwall(&["status", "eth0", "--json"]).json()
    }
}

/// The packets that `stats` shows for a rule or a reason; with an action, those that ended in it.
///
/// # Panics
/// If there is no such counter.
pub fn packets(stats: &Value, kind: &str, name: &str, action: Option<&str>) -> u64 {
    let counts = stats[format!("{kind}s")].as_array().expect("an array");
    let wanted = |count: &&Value| count[kind] == name && action.is_none_or(|action| count["action"] == action);
    let count = counts.iter().find(wanted).unwrap_or_else(|| panic!("no {kind} `{name}` in {stats}"));
    count["packets"].as_u64().expect("a number")
}

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn address(host: &str) -> &'static str {
    match host {
        "sbc" => SBC,
        "carrier" => CARRIER,
        "scanner" => SCANNER,
        other => panic!("there is no host `{other}`"),
    }
}

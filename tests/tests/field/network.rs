//! The hosts: an SBC, three providers at the addresses that they publish, and someone whom no list names.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use lab::{Frame, Host, Lab, Plan, Tap};
use tempfile::TempDir;
use tests::sipwall::{Ended, sipwall_on};

/// The SBC's public address.
pub(crate) const SBC: &str = "198.51.100.10";
/// How long something may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long the kernel takes from a packet's arrival to its being counted, at the most.
const SETTLED: Duration = Duration::from_millis(300);

/// A provider, or someone who is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Party {
    pub(crate) host: &'static str,
    pub(crate) signalling: &'static str,
    pub(crate) media: &'static str,
}

/// A Twilio interconnect gateway, with media from the range that is the same everywhere.
pub(crate) const TWILIO: Party = Party { host: "twilio", signalling: "208.78.112.64", media: "168.86.130.5" };
/// Kore.ai's voice gateway, with a media host of its own.
pub(crate) const KORE: Party = Party { host: "kore", signalling: "3.224.189.218", media: "44.215.230.111" };
/// A Genesys Cloud trunk.
pub(crate) const GENESYS: Party = Party { host: "genesys", signalling: "192.0.2.20", media: "192.0.2.150" };
/// Who is on no list.
pub(crate) const CALLER: Party = Party { host: "caller", signalling: "203.0.113.99", media: "203.0.113.99" };
/// Twilio's published relays.
pub(crate) const RELAY: &str = "54.172.60.5";

/// The hosts, and a directory for their files.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) lab: Lab,
    files: TempDir,
}

impl Field {
    pub(crate) fn new() -> Self {
        let net = |address: &str| IpNet::from(address.parse::<IpAddr>().expect("an address"));
        let party = |party: Party| {
            let mut addresses = vec![net(party.signalling), net(party.media)];
            addresses.dedup();
            Plan::new(party.host, addresses)
        };
        let plans = [
            Plan::new("sbc", [net(SBC)]),
            party(TWILIO),
            party(KORE),
            party(GENESYS),
            party(CALLER),
            Plan::new("relay", [net(RELAY)]),
        ];
        let lab = Lab::new(&plans).expect("namespaces can be made (this needs root)");
        Self { lab, files: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn host(&self, name: &str) -> &Host {
        self.lab.host(name).expect("it was planned")
    }

    /// The path of a file in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Writes a file in which words stand for others.
    pub(crate) fn write(&self, name: &str, template: &str, words: &[(&str, &str)]) -> PathBuf {
        let text = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
        fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// The last lines of what programs said, for whoever has to find out why something failed.
    pub(crate) fn said(&self, logs: &[&str]) -> String {
        let tail = |log: &&str| {
            let text = fs::read_to_string(self.path(log)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("--- {log}\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        logs.iter().map(tail).collect()
    }

    /// Runs `sipwall` on the SBC.
    pub(crate) fn sipwall(&self, arguments: &[&str]) -> Ended {
        sipwall_on(self.host("sbc"), arguments)
    }

    /// Attaches that policy.
    pub(crate) fn attach(&self, more: &str) {
        self.sipwall(&["attach", "--policy", &self.policy(more)]).assert_done();
    }

    /// Writes the policy of this suite, with more lines at its end.
    pub(crate) fn policy(&self, more: &str) -> String {
        let policy = self.write("policy.toml", &[include_str!("policy.toml"), more].concat(), &[]);
        text(&policy).to_owned()
    }

    /// Packets by rule, once all that were sent are counted.
    pub(crate) fn rule(&self, name: &str) -> u64 {
        thread::sleep(SETTLED);
        tests::scene::packets(&self.sipwall(&["stats", "eth0", "--json"]).json(), "rule", name, None)
    }

    /// Packets that were dropped, by reason; 0 where there were none.
    pub(crate) fn dropped(&self) -> Vec<(String, u64)> {
        let stats = self.sipwall(&["stats", "eth0", "--json"]).json();
        let reasons = stats["reasons"].as_array().expect("an array").iter();
        let dropped = reasons.filter(|count| count["action"] == "drop" && count["packets"] != 0);
        dropped
            .map(|count| {
                let name = count["reason"].as_str().expect("a name").to_owned();
                (name, count["packets"].as_u64().expect("a number"))
            })
            .collect()
    }

    /// A tap at `place` for what comes to `receiver`.
    pub(crate) fn tap(&self, place: &Host, receiver: &str) -> Tap {
        Tap::open(place, self.host(receiver)).expect("a packet socket")
    }
}

/// How many of the frames are UDP from one address to another.
pub(crate) fn datagrams(frames: &[Frame], from: &str, to: &str) -> usize {
    let [from, to] = [from, to].map(|address| address.parse::<std::net::Ipv4Addr>().expect("an address").octets());
    let is_one = |frame: &&Frame| {
        let start = &frame.start;
        start.len() >= 34 && start[12..14] == [8, 0] && start[23] == 17 && start[26..30] == from && start[30..34] == to
    };
    frames.iter().filter(is_one).count()
}

/// A path as text.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Waits until something is so; false if it takes too long.
pub(crate) fn comes_about(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Whether a host has a socket at this port, in `udp` or `tcp`.
pub(crate) fn is_bound(host: &Host, table: &str, port: u16) -> bool {
    let local = format!(":{port:04X}");
    let bound = |line: &str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local));
    let path = format!("/proc/thread-self/net/{table}");
    host.enter(|| fs::read_to_string(path)).expect("a host").expect("a table").lines().any(bound)
}

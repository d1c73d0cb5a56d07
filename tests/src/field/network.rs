//! The hosts: an SBC, three providers at the addresses that they publish, and someone whom no list names.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use lab::{Frame, Host, Lab, Plan, Tap};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    scene::packets,
    service::{Service, wait_for},
    sipwall::{Ended, sipwall_on},
};

/// The SBC's public address.
pub const SBC: &str = "198.51.100.10";
/// How long something may take that must happen: this machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How long nothing may come to say that nothing does.
const SETTLED: Duration = Duration::from_millis(300);

/// The protocol number of UDP.
const UDP: u8 = 17;

/// A provider, or someone who is none.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// The name of its host.
    pub host: &'static str,
    /// The address of its signalling.
    pub signalling: &'static str,
    /// The address that its audio comes from.
    pub media: &'static str,
    /// The rule that lets its audio in; none where nothing does.
    pub media_rule: &'static str,
}

/// A Twilio interconnect gateway, with media from the range that is the same everywhere.
pub const TWILIO: Party =
    Party { host: "twilio", signalling: "208.78.112.64", media: "168.86.130.5", media_rule: "twilio/media" };
/// Kore.ai's voice gateway, with a media host of its own.
pub const KORE: Party =
    Party { host: "kore", signalling: "3.224.189.218", media: "44.215.230.111", media_rule: "kore/media" };
/// A Genesys Cloud trunk.
pub const GENESYS: Party =
    Party { host: "genesys", signalling: "192.0.2.20", media: "192.0.2.150", media_rule: "allow/genesys-media" };
/// Who is on no list.
pub const CALLER: Party = Party { host: "caller", signalling: "203.0.113.99", media: "203.0.113.99", media_rule: "" };
/// A relay that both Twilio and Kore.ai publish.
pub const RELAY: &str = "54.172.60.5";

/// The hosts, and a directory for their files.
#[derive(Debug)]
pub struct Field {
    /// The hosts.
    pub lab: Lab,
    files: TempDir,
}

impl Field {
    /// Makes the hosts.
    #[expect(clippy::new_without_default, reason = "it makes network namespaces")]
    pub fn new() -> Self {
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

    /// A host.
    pub fn host(&self, name: &str) -> &Host {
        self.lab.host(name).expect("it was planned")
    }

    /// The path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A new directory in it.
    pub(super) fn directory(&self) -> TempDir {
        tempfile::tempdir_in(self.files.path()).expect("a directory")
    }

    /// Writes a file in which words stand for others.
    pub fn write(&self, name: &str, template: &str, words: &[(&str, &str)]) -> PathBuf {
        let text = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
        fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// The last lines of what programs said, for whoever has to find out why something failed.
    pub fn said(&self, logs: &[&str]) -> String {
        let tail = |log: &&str| {
            let text = fs::read_to_string(self.path(log)).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            format!("--- {log}\n{}\n", lines[lines.len().saturating_sub(30)..].join("\n"))
        };
        logs.iter().map(tail).collect()
    }

    /// Runs `sipwall` on the SBC.
    pub fn sipwall(&self, arguments: &[&str]) -> Ended {
        sipwall_on(self.host("sbc"), arguments)
    }

    /// Attaches that policy.
    pub fn attach(&self, more: &str) {
        self.sipwall(&["attach", "--policy", &self.policy(more)]).assert_done();
    }

    /// Writes the policy of this suite, with more lines at its end.
    pub fn policy(&self, more: &str) -> String {
        let policy = self.write("policy.toml", &[include_str!("policy.toml"), more].concat(), &[]);
        text(&policy).to_owned()
    }

    /// Starts the service with that policy.
    pub fn serve(&self, policy: &str) -> Service<'_> {
        Service::start_on(self.host("sbc"), self.files.path(), policy)
    }

    /// What `stats` shows of the SBC's NIC.
    pub fn stats(&self) -> Value {
        self.sipwall(&["stats", "eth0", "--json"]).json()
    }

    /// Packets of a rule.
    pub fn rule(&self, name: &str) -> u64 {
        packets(&self.stats(), "rule", name, None)
    }

    /// Packets that ended in a reason.
    pub fn reason(&self, name: &str) -> u64 {
        let stats = self.stats();
        let counts = stats["reasons"].as_array().expect("an array").iter();
        counts.filter(|count| count["reason"] == name).filter_map(|count| count["packets"].as_u64()).sum()
    }

    /// Packets that were dropped, by reason; without those of which there were none.
    pub fn dropped(&self) -> Vec<(String, u64)> {
        let stats = self.stats();
        let reasons = stats["reasons"].as_array().expect("an array").iter();
        let dropped = reasons.filter(|count| count["action"] == "drop" && count["packets"] != 0);
        dropped
            .map(|count| {
                let name = count["reason"].as_str().expect("a name").to_owned();
                (name, count["packets"].as_u64().expect("a number"))
            })
            .collect()
    }

    /// Packets that were dropped since `earlier`, by reason; without those of which there were none.
    pub fn dropped_since(&self, earlier: &[(String, u64)]) -> Vec<(String, u64)> {
        let before = |reason: &str| earlier.iter().find(|(name, _)| name == reason).map_or(0, |(_, count)| *count);
        let since = self.dropped().into_iter().map(|(reason, count)| (count - before(&reason), reason));
        since.filter(|(count, _)| *count != 0).map(|(count, reason)| (reason, count)).collect()
    }

    /// Cuts a host off, so that nothing comes from it any more: what was counted of it stays.
    pub fn cut_off(&self, host: &str) {
        let mut ip = self.host(host).command("ip");
        lab::run(ip.args(["link", "set", "eth0", "down"]), "").expect("a link goes down");
    }

    /// A tap at `place` for what comes to `receiver`.
    pub fn tap(&self, place: &Host, receiver: &str) -> Tap {
        Tap::open(place, self.host(receiver)).expect("a packet socket")
    }
}

/// How many of the frames are UDP from one address to another.
pub fn datagrams(frames: &[Frame], from: &str, to: &str) -> usize {
    let to = octets(to);
    self::from(frames, from).filter(|frame| frame.start[23] == UDP && frame.start[30..34] == to).count()
}

/// Those of the frames that are of IPv4 and from this address.
pub fn from<'a>(frames: &'a [Frame], from: &str) -> impl Iterator<Item = &'a Frame> {
    let from = octets(from);
    frames
        .iter()
        .filter(move |Frame { start, .. }| start.len() >= 34 && start[12..14] == [8, 0] && start[26..30] == from)
}

fn octets(address: &str) -> [u8; 4] {
    address.parse::<Ipv4Addr>().expect("an address").octets()
}

/// A path as text.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Waits until something is so; false if it takes too long.
pub(super) fn comes_about(is_so: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Waits until a number has stayed the same for a while, and returns it: what was sent has then arrived.
pub fn await_quiet<T: PartialEq>(what: &str, number: impl Fn() -> T) -> T {
    let mut last = number();
    wait_for(what, || {
        thread::sleep(SETTLED);
        let now = number();
        let is_quiet = now == last;
        last = now;
        is_quiet.then_some(())
    });
    last
}

/// Whether a host has a socket at this port, in `udp` or `tcp`.
pub(super) fn is_bound(host: &Host, table: &str, port: u16) -> bool {
    let local = format!(":{port:04X}");
    let bound = |line: &str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local));
    let path = format!("/proc/thread-self/net/{table}");
    host.enter(|| fs::read_to_string(path)).expect("a host").expect("a table").lines().any(bound)
}

//! A policy with one source, a store, and a clock that is moved by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use filter_user::{
    policy::file::PolicyFile,
    refresh::{Asking, Fetcher, Limits, Moment, NameServers, Outcome, Place, Refresher, Report, State, Step, Store},
};
use ipnet::IpNet;
use tempfile::TempDir;

const HOUR: u64 = 3600;

/// A document of SIP servers: a host of 198.51.100.0/24 for each number.
pub(crate) fn page(hosts: impl IntoIterator<Item = u8>) -> String {
    let rows = hosts.into_iter().map(|host| format!("| SBC | TLS | 198.51.100.{host} | 5061 |\n"));
    format!("# Acme\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n{}", rows.collect::<String>())
}

/// A policy with the source of one provider, `acme`.
pub(crate) fn policy(source: &str, settings: &str) -> String {
    format!("[sbc.listen]\nsip-tls = [5061]\n[[provider]]\nname = \"acme\"\nsource = \"{source}\"\n{settings}\n")
}

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) refresher: Refresher,
    pub(crate) file: PolicyFile,
    pub(crate) now: Moment,
    source: String,
}

impl Bench {
    pub(crate) fn new(source: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { timeout: Duration::from_millis(700), largest: 20_000 };
        let refresher = Refresher {
            store: Store::new(directory.path()),
            fetcher: Fetcher::new(limits, None).unwrap(),
            name_servers: NameServers::System,
        };
        let file = PolicyFile::parse(Path::new("policy.toml"), &policy(source, settings)).unwrap();
        let now = Moment { wall: 1_800_000_000, boot: "first".to_owned(), uptime: 100 };
        Self { directory, refresher, file, now, source: source.to_owned() }
    }

    pub(crate) fn hours_pass(&mut self, hours: u64) {
        self.now.wall += hours * HOUR;
        self.now.uptime += hours * HOUR;
    }

    pub(crate) fn step(&self, asking: &Asking) -> Step {
        let mut steps = self.refresher.refresh(&self.file, self.directory.path(), &self.now, asking);
        self.refresher.commit(&steps).unwrap();
        assert_eq!(steps.len(), 1);
        steps.remove(0)
    }

    /// Asks, and says what became of it.
    pub(crate) fn ask(&self, asking: &Asking) -> Report {
        self.step(asking).report
    }

    /// Asks what is due, and compares what became of it; returns why.
    pub(crate) fn expect(&self, outcome: Outcome) -> String {
        let report = self.ask(&Asking::due());
        assert_eq!(report.outcome, outcome, "{report:?}");
        report.why.unwrap_or_default()
    }

    pub(crate) fn state(&self) -> State {
        let place = Place::of(&self.source, self.directory.path());
        self.refresher.store.load("acme", &place).unwrap().unwrap()
    }

    /// Lets the policy name another source.
    pub(crate) fn moves_to(&mut self, source: &str) {
        self.file = PolicyFile::parse(Path::new("policy.toml"), &policy(source, "")).unwrap();
        source.clone_into(&mut self.source);
    }

    /// The files that are kept of the provider.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// The last octets of the hosts in force, in order.
    pub(crate) fn hosts(&self) -> Vec<u8> {
        let entries = self.state().in_force().entries;
        let prefixes = entries.iter().flat_map(|entry| &entry.remote);
        let mut hosts: Vec<_> = prefixes
            .map(|prefix| match prefix {
                IpNet::V4(prefix) => prefix.addr().octets()[3],
                IpNet::V6(prefix) => prefix.addr().octets()[15],
            })
            .collect();
        hosts.sort_unstable();
        hosts
    }
}

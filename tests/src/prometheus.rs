//! A real Prometheus, and its tool.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lab::Process;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    guest::unpacked,
    http::{ask, get},
    service::wait_for,
};

/// Prometheus in a network namespace, until it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it in this thread's network namespace; it scrapes `target` every second, and evaluates the rules of a file.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start(port: u16, target: SocketAddr, rules: &Path) -> Self {
        Self::start_all(port, &statically(target), rules, None)
    }

    /// The same, with the pages that Debian's package brings beside the program.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with_pages(port: u16, target: SocketAddr, rules: &Path) -> Self {
        let pages = unpacked("prometheus/usr/share/prometheus", "web");
        let elsewhere = pages.is_absolute().then(|| format!("--web.local-assets={}/", pages.display()));
        Self::start_all(port, &statically(target), rules, elsewhere.as_deref())
    }

    /// The same with targets that are given as a job's configuration has them.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_with(port: u16, targets: &str, rules: &Path) -> Self {
        Self::start_all(port, targets, rules, None)
    }

    fn start_all(port: u16, targets: &str, rules: &Path, option: Option<&str>) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| directory.path().join(name);
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n  \
             - job_name: sipwall\n    {targets}\n",
            rules.display()
        );
        fs::write(file("prometheus.yml"), configuration).expect("a file");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = Command::new(program("prometheus"));
        command.arg(format!("--config.file={}", file("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", file("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn").args(option);
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let process = process.expect("`prometheus` starts (`prometheus` in Debian)");
        let prometheus = Self { address, _process: process, _directory: directory };
        wait_for("prometheus is ready", || (prometheus.ready() == 200).then_some(()));
        prometheus
    }

    fn ready(&self) -> u16 {
        // Until it listens, the connection is refused.
        std::net::TcpStream::connect(self.address).map_or(0, |_| get(self.address, "/-/ready").code)
    }

    /// The address of its own page that draws these queries, over so long.
    pub fn graphs(&self, queries: &[String], range: &str) -> String {
        let graph = |(place, query): (usize, &String)| {
            format!("g{place}.expr={}&g{place}.tab=0&g{place}.range_input={range}", encode(query))
        };
        let graphs: Vec<_> = queries.iter().enumerate().map(graph).collect();
        format!("http://{}/graph?{}", self.address, graphs.join("&"))
    }

    /// What a query comes to now: a value for each set of labels.
    ///
    /// # Panics
    /// If it is not a query.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.api(&format!("/api/v1/query?query={}", encode(query)));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The alerting rules, as Prometheus has them.
    ///
    /// # Panics
    /// If it has none.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.api("/api/v1/rules");
        answer["data"]["groups"][0]["rules"].as_array().expect("rules").clone()
    }

    fn api(&self, path: &str) -> Value {
        let answer = ask(self.address, "GET", path, &[("host", "localhost"), ("accept-encoding", "identity")]);
        serde_json::from_str(&unchunked(&answer.body)).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"))
    }
}

fn statically(target: SocketAddr) -> String {
    format!("static_configs: [{{ targets: [\"{target}\"] }}]")
}

/// A body without the lengths of its chunks, where it has any: JSON begins with a brace.
fn unchunked(body: &str) -> String {
    if body.starts_with('{') {
        return body.to_owned();
    }
    let mut rest = body;
    let mut whole = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let Ok(length @ 1..) = usize::from_str_radix(length, 16) else { break };
        whole.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    whole
}

/// A text as part of an address.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_alphanumeric() {
            encoded.push(octet.into());
        } else {
            write!(encoded, "%{octet:02X}").expect("a string takes every write");
        }
        encoded
    })
}

/// Prometheus or its tool.
fn program(name: &str) -> PathBuf {
    unpacked("prometheus/usr/bin", name)
}

/// Asserts that `promtool` with these arguments finds nothing to complain of.
///
/// # Panics
/// If it does.
pub fn promtool(arguments: &[&str], directory: &Path, input: &str) {
    let mut command = Command::new(program("promtool"));
    lab::run(command.args(arguments).current_dir(directory), input).expect("nothing to complain of");
}

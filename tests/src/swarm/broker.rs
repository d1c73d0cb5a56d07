//! A real broker on the loopback interface, at ports that it chooses, and what it costs.

use std::{
    fs,
    net::SocketAddr,
    ops::Sub,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lab::Process;
use serde_json::Value;

use crate::{guest::unpacked, http::get, service::wait_for};

/// The broker, until it is dropped.
#[derive(Debug)]
pub(super) struct Broker {
    process: Process,
    address: String,
    monitor: SocketAddr,
}

/// What it had to do, from its start or between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    at: Instant,
    /// Over how long.
    pub time: Duration,
    /// Messages in and out.
    pub messages: u64,
    /// Octets of them.
    pub bytes: u64,
    /// Time of the processor.
    pub processor: Duration,
    /// Octets of resident memory at the end.
    pub memory: u64,
}

impl Sub for Load {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            at: self.at,
            time: self.at - before.at,
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            processor: self.processor.saturating_sub(before.processor),
            memory: self.memory,
        }
    }
}

impl Broker {
    pub(super) fn start(directory: &Path) -> Self {
        let path = directory.join("nats.conf");
        let here = directory.display();
        let configuration = format!(
            "host: 127.0.0.1\nport: -1\nhttp: \"127.0.0.1:-1\"\nports_file_dir: \"{here}\"\njetstream {{ store_dir: \"{here}\", \
             max_mem: 64MB, max_file: 1GB }}\n"
        );
        fs::write(&path, configuration).expect("a file");
        let mut command = Command::new(unpacked("broker/usr/sbin", "nats-server"));
        command.arg("--config").arg(&path).arg("--log").arg(directory.join("nats.log"));
        let process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        let process = process.expect("`nats-server` starts (`nats-server` in Debian)");
        let ports = wait_for("the broker says where it listens", || {
            let mut files = fs::read_dir(directory).expect("a directory").flatten().map(|file| file.path());
            let file = files.find(|path| path.extension().is_some_and(|ending| ending == "ports"))?;
            serde_json::from_str::<Value>(&fs::read_to_string(file).ok()?).ok()
        });
        let place = |kind: &str| ports[kind][0].as_str().expect("an address").to_owned();
        let monitor = place("monitoring").trim_start_matches("http://").parse().expect("an address");
        Self { process, address: place("nats"), monitor }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn load(&self) -> Load {
        let shown: Value = serde_json::from_str(&get(self.monitor, "/varz").body).expect("JSON");
        let number = |name: &str| shown[name].as_u64().unwrap_or_else(|| panic!("{name}: {shown}"));
        Load {
            at: Instant::now(),
            time: Duration::ZERO,
            messages: number("in_msgs") + number("out_msgs"),
            bytes: number("in_bytes") + number("out_bytes"),
            processor: processor(self.process.id()),
            memory: number("mem"),
        }
    }
}

/// The time of the processor that a process took: `utime` and `stime` of `proc_pid_stat(5)`.
fn processor(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, fields) = text.rsplit_once(')').expect("its name");
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

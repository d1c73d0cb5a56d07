//! `sipwall refresh` puts what changed in force, where the filter is attached.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{fs, path::Path, thread, time::Duration};

use lab::{Host, Lab, Plan};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    service::wait_for,
    sipwall::{Ended, binary, sipwall_on},
};

/// A host with a policy whose source is a file.
struct Sbc<'a> {
    host: &'a Host,
    directory: TempDir,
}

impl Sbc<'_> {
    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().expect("a plain path").to_owned()
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a file is written");
    }

    fn publish(&self, addresses: &[&str]) {
        let rows = addresses.iter().map(|address| format!("| SBC | TLS | {address} | 5061 |\n"));
        let head = "# Acme\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n";
        self.write("acme.md", &format!("{head}{}", rows.collect::<String>()));
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Ended {
        let policy = self.path("policy.toml");
        let state = self.path("state");
        sipwall_on(self.host, &[&[command, "--policy", &policy, "--state", &state], arguments].concat())
    }

    /// The number of the policy in force, and its prefixes.
    fn in_force(&self) -> (Value, Value) {
        let status = sipwall_on(self.host, &["status", "eth0", "--json"]).json();
        (status["generation"].clone(), status["prefixes_v4"].clone())
    }
}

fn policy(interfaces: &str) -> String {
    format!(
        "[sbc]\ninterfaces = [{interfaces}]\n[sbc.listen]\nsip-tls = [5061]\n[[provider]]\nname = \"acme\"\nsource = \"acme.md\"\n"
    )
}

#[test]
fn a_refresh_replaces_the_policy_only_if_something_changed() {
    let address = "198.51.100.10/32".parse().expect("a host");
    let lab = Lab::new(&[Plan::new("sbc", [address])]).expect("namespaces can be made (this needs root)");
    let sbc =
        Sbc { host: lab.host("sbc").expect("it was planned"), directory: tempfile::tempdir().expect("a directory") };
    sbc.write("policy.toml", &policy("\"eth0\""));
    sbc.publish(&["203.0.113.1"]);
    let refreshed = sbc.run("refresh", &[]);
    assert!(refreshed.stderr.contains("note: `eth0` has no filter"), "{refreshed:?}");
    assert!(Path::new(&sbc.path("state")).join("acme.json").exists());
    sbc.run("attach", &[]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.run("refresh", &["--force"]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    sbc.run("refresh", &["--force"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
    sbc.publish(&[]);
    let refused = sbc.run("refresh", &["--force"]);
    assert!(refused.stderr.contains("the last accepted document stays in force"), "{refused:?}");
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
}

#[test]
fn what_was_accepted_and_not_put_in_force_is_by_the_next_refresh() {
    let address = "198.51.100.10/32".parse().expect("a host");
    let lab = Lab::new(&[Plan::new("sbc", [address])]).expect("namespaces can be made (this needs root)");
    let sbc =
        Sbc { host: lab.host("sbc").expect("it was planned"), directory: tempfile::tempdir().expect("a directory") };
    sbc.write("policy.toml", &policy(""));
    sbc.publish(&["203.0.113.1"]);
    sbc.run("attach", &["eth0"]).assert_done();
    // Times are kept in seconds.
    thread::sleep(Duration::from_millis(1100));
    sbc.run("refresh", &[]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.run("refresh", &["eth0"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 1.into()));
    sbc.run("refresh", &["eth0"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 1.into()));
}

#[test]
fn a_watch_puts_what_it_accepts_in_force_and_ends_in_peace() {
    let address = "198.51.100.10/32".parse().expect("a host");
    let lab = Lab::new(&[Plan::new("sbc", [address])]).expect("namespaces can be made (this needs root)");
    let sbc =
        Sbc { host: lab.host("sbc").expect("it was planned"), directory: tempfile::tempdir().expect("a directory") };
    sbc.write("policy.toml", &policy("\"eth0\""));
    sbc.publish(&["203.0.113.1"]);
    sbc.run("attach", &[]).assert_done();
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    let (policy, state) = (sbc.path("policy.toml"), sbc.path("state"));
    let mut command = sbc.host.command(binary());
    let watching = command.args(["refresh", "--watch", "--policy", &policy, "--state", &state]);
    let mut watching = watching.spawn().expect("`sipwall refresh --watch` starts");
    wait_for("what it accepted is in force", || (sbc.in_force() == (2.into(), 2.into())).then_some(()));
    kill_process(Pid::from_child(&watching), Signal::TERM).expect("it runs");
    assert!(watching.wait().expect("a child").success());
}

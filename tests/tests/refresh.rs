//! `sipwall refresh` puts what changed in force, where the filter is attached.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::fs;

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

    /// Whether the policy that was put in force last stays.
    fn confirmation(&self) -> Value {
        sipwall_on(self.host, &["status", "eth0", "--json"]).json()["confirmation"]["state"].clone()
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
    assert_eq!(fs::read_dir(sbc.path("state")).expect("a directory").count(), 2, "a lock, and what was accepted");
    sbc.run("attach", &[]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.run("refresh", &["--now"]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    sbc.run("refresh", &["--now"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
    sbc.publish(&[]);
    let refused = sbc.run("refresh", &["--now"]);
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
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    sbc.run("refresh", &[]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    sbc.run("refresh", &["eth0"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
    sbc.run("refresh", &["eth0"]).assert_done();
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
}

#[test]
fn a_refresh_leaves_a_trial_alone_and_the_next_one_makes_up_for_it() {
    let address = "198.51.100.10/32".parse().expect("a host");
    let lab = Lab::new(&[Plan::new("sbc", [address])]).expect("namespaces can be made (this needs root)");
    let sbc =
        Sbc { host: lab.host("sbc").expect("it was planned"), directory: tempfile::tempdir().expect("a directory") };
    sbc.write("policy.toml", &policy("\"eth0\""));
    sbc.publish(&["203.0.113.1"]);
    sbc.run("attach", &[]).assert_done();
    sbc.write("trial.toml", &policy("\"eth0\"").replace("[5061]", "[5071]"));
    let (trial, state) = (sbc.path("trial.toml"), sbc.path("state"));
    let try_out = |time: &str| sipwall_on(sbc.host, &["apply", &trial, "--state", &state, "--confirm", time]);
    try_out("1h").assert_done();
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    for policy in ["trial.toml", "policy.toml"] {
        let refreshed = sipwall_on(sbc.host, &["refresh", "--now", "--policy", &sbc.path(policy), "--state", &state]);
        refreshed.assert_done();
        assert!(
            refreshed.stderr.contains("note: `eth0`: nothing is put in force: generation 2 waits to be confirmed"),
            "{refreshed:?}"
        );
        assert_eq!(sbc.in_force(), (2.into(), 1.into()));
        assert_eq!(sbc.confirmation(), "pending");
    }
    sipwall_on(sbc.host, &["confirm", "--revert"]).assert_done();
    assert_eq!(sbc.in_force(), (1.into(), 1.into()));
    let refreshed = sbc.run("refresh", &[]);
    refreshed.assert_done();
    assert!(refreshed.stdout.contains("eth0: generation 1 would change\n  acme/sip-tls"), "{refreshed:?}");
    assert_eq!(sbc.in_force(), (3.into(), 2.into()));
    // What was not confirmed may be the very policy of the file.
    try_out("1s").assert_done();
    wait_for("the trial is over", || (sbc.confirmation() == "rolled_back").then_some(()));
    sbc.publish(&["203.0.113.5", "203.0.113.1", "203.0.113.3"]);
    let refreshed = sbc.run("refresh", &["--now"]);
    refreshed.assert_done();
    assert!(refreshed.stderr.contains("generation 4 was not confirmed in time; `sipwall apply`"), "{refreshed:?}");
    assert_eq!(sbc.in_force(), (3.into(), 2.into()));
}

#[test]
fn a_refresh_locks_nobody_out_and_says_what_it_changes() {
    let address = "198.51.100.10/32".parse().expect("a host");
    let lab = Lab::new(&[Plan::new("sbc", [address])]).expect("namespaces can be made (this needs root)");
    let sbc =
        Sbc { host: lab.host("sbc").expect("it was planned"), directory: tempfile::tempdir().expect("a directory") };
    let login = "[[allow]]\nname = \"ssh\"\nfrom = [\"192.0.2.99\"]\ntcp = [22]\n";
    sbc.write("policy.toml", &format!("{}{login}", policy("\"eth0\"")));
    sbc.publish(&["203.0.113.1"]);
    sbc.run("attach", &[]).assert_done();
    // What was saved and not applied comes in force with what the source states next.
    sbc.write("policy.toml", &policy("\"eth0\""));
    sbc.publish(&["203.0.113.1", "203.0.113.3"]);
    let (policy, state) = (sbc.path("policy.toml"), sbc.path("state"));
    let refresh = |more: &[&str]| -> Ended {
        let mut command = sbc.host.command(binary());
        command.args(["refresh", "--policy", &policy, "--state", &state]).args(more);
        command.env("SSH_CONNECTION", "192.0.2.99 50000 198.51.100.10 22").output().expect("it starts").into()
    };
    let refused = refresh(&["--now"]);
    refused.assert_failed(1, "error: `eth0`: the policy would cut the login session from 192.0.2.99:50000");
    refused.assert_failed(1, "`--allow-lockout`");
    assert_eq!(sbc.in_force(), (1.into(), 2.into()));
    let forced = refresh(&["--allow-lockout"]);
    forced.assert_done();
    for line in
        ["eth0: generation 1 would change", "  acme/sip-tls: tcp to port 5061", "+ 203.0.113.3/32", "  allow/ssh: "]
    {
        assert!(forced.stdout.contains(line), "`{line}` is not in {}", forced.stdout);
    }
    assert!(forced.stderr.contains("`eth0`: generation 2 is in force now"), "{forced:?}");
    assert_eq!(sbc.in_force(), (2.into(), 2.into()));
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

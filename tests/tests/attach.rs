//! The filter on a NIC, end to end: native XDP on veth, in network namespaces.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::{
    fs,
    io::ErrorKind,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tests::ports::bound;

use ipnet::IpNet;
use lab::{Host, Lab, Plan};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    pins::pins,
    sipwall::{Ended, sipwall_on},
};

const SBC: &str = "198.51.100.10";
const CARRIER: &str = "203.0.113.17";
const SCANNER: &str = "192.0.2.99";
/// How long nothing must arrive to say that nothing does.
const SILENCE: Duration = Duration::from_millis(300);

fn lab() -> Lab {
    let host = |name, address: &str| Plan::new(name, [address.parse::<IpNet>().expect("a host")]);
    let plans = [host("sbc", "198.51.100.10/32"), host("carrier", "203.0.113.17/32"), host("scanner", "192.0.2.99/32")];
    Lab::new(&plans).expect("namespaces can be made (this needs root)")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn attach(sbc: &Host) -> Ended {
    attach_policy(sbc, &fixture("policy.toml"))
}

fn attach_policy(sbc: &Host, policy: &Path) -> Ended {
    sipwall_on(sbc, &["attach", "eth0", "--policy", policy.to_str().expect("a plain path")])
}

/// The fixture's policy with another beginning of its `[sbc]`, in a directory that goes with the first of the pair.
fn policy_with(sbc: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let text = fs::read_to_string(fixture("policy.toml")).expect("the fixture");
    let path = directory.path().join("policy.toml");
    fs::write(&path, text.replacen("[sbc]\n", sbc, 1)).expect("a file");
    fs::copy(fixture("carrier.toml"), directory.path().join("carrier.toml")).expect("a file");
    (directory, path)
}

/// How many of three datagrams from `sender`'s port 5060 arrive at a port of the SBC.
fn datagrams_arriving(lab: &Lab, sender: (&str, &str), port: u16) -> usize {
    let (name, address) = sender;
    let [to, from] = ["sbc", name].map(|name| lab.host(name).expect("it was planned"));
    let receiver = bound(to, || UdpSocket::bind((SBC, port)));
    receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let socket = bound(from, || UdpSocket::bind((address, 5060)));
    for _ in 0..3 {
        socket.send_to(b"OPTIONS", (SBC, port)).expect("a datagram leaves");
    }
    let mut buffer = [0; 64];
    std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count()
}

/// Whether a TCP connection from a host opens.
fn connects(lab: &Lab, from: &str, port: u16) -> bool {
    let [sbc, host] = ["sbc", from].map(|name| lab.host(name).expect("it was planned"));
    let _listener = bound(sbc, || TcpListener::bind((SBC, port)));
    let to = format!("{SBC}:{port}").parse().expect("an address");
    match host.enter(|| TcpStream::connect_timeout(&to, SILENCE)).expect("a host") {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::TimedOut => false,
        Err(error) => panic!("neither open nor silent: {error}"),
    }
}

/// The packets that `stats` shows for a rule or a reason.
fn packets(stats: &Value, kind: &str, name: &str, action: Option<&str>) -> u64 {
    let counts = stats[format!("{kind}s")].as_array().expect("an array");
    let wanted = |count: &&Value| count[kind] == name && action.is_none_or(|action| count["action"] == action);
    let count = counts.iter().find(wanted).unwrap_or_else(|| panic!("no {kind} `{name}` in {stats}"));
    count["packets"].as_u64().expect("a number")
}

fn stats(sbc: &Host) -> Value {
    sipwall_on(sbc, &["stats", "eth0", "--json"]).json()
}

#[test]
fn listed_packets_arrive_and_unlisted_ones_do_not() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 5060), 3);
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 80), 0);
    assert!(connects(&lab, "carrier", 5061));
    assert!(!connects(&lab, "scanner", 5061));
    let stats = stats(sbc);
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 3);
    assert_eq!(packets(&stats, "reason", "port_closed", Some("drop")), 3);
    // Three datagrams and the opening segment; the kernel may have sent that one again.
    assert!((4..=5).contains(&packets(&stats, "reason", "source_unlisted", Some("drop"))), "{stats}");
    assert!(packets(&stats, "rule", "carrier/sip-tls", None) >= 2, "{stats}");
    assert!(packets(&stats, "reason", "arp", Some("pass")) >= 1, "{stats}");
}

#[test]
fn status_says_what_runs() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    let status = sipwall_on(sbc, &["status", "eth0", "--json"]).json();
    for (key, expected) in [
        ("interface", Value::from("eth0")),
        ("running", true.into()),
        ("attach_mode", "native".into()),
        ("mode", "enforce".into()),
        ("scope", "interface".into()),
        ("generation", 1.into()),
        ("denied_count", 2.into()),
    ] {
        assert_eq!(status[key], expected, "{key} in {status}");
    }
    let policy = status["policy"].as_str().expect("a path");
    assert!(policy.starts_with(['/', '…']) && policy.ends_with("/fixtures/policy.toml"), "{status}");
    let shown = sipwall_on(sbc, &["status"]);
    assert!(shown.stdout.contains("eth0: running, native XDP"), "{shown:?}");
}

#[test]
fn attaching_again_replaces_the_policy_and_keeps_the_counters() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 5060), 3);
    for generation in 2..=5 {
        attach(sbc).assert_done();
        assert_eq!(stats(sbc)["generation"], generation);
    }
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 5060), 3);
    assert_eq!(packets(&stats(sbc), "rule", "carrier/sip-udp", None), 6);
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
}

#[test]
fn answers_come_in_where_return_traffic_is_tracked() {
    let lab = lab();
    let [sbc, server] = ["sbc", "scanner"].map(|name| lab.host(name).expect("it was planned"));
    let tracked = |setting| policy_with(&format!("[sbc]\nreturn_traffic = \"{setting}\"\n"));
    let answered = || {
        let socket = bound(sbc, || UdpSocket::bind((SBC, 40000)));
        let resolver = bound(server, || UdpSocket::bind((SCANNER, 53)));
        for socket in [&socket, &resolver] {
            socket.set_read_timeout(Some(SILENCE)).expect("a timeout");
        }
        socket.send_to(b"query", (SCANNER, 53)).expect("a query leaves");
        let mut buffer = [0; 64];
        let (_, from) = resolver.recv_from(&mut buffer).expect("the query arrives");
        resolver.send_to(b"answer", from).expect("an answer leaves");
        socket.recv(&mut buffer).is_ok()
    };
    let (off, on) = (tracked("off"), tracked("tracked"));
    attach_policy(sbc, &off.1).assert_done();
    assert!(!answered(), "off");
    attach_policy(sbc, &on.1).assert_done();
    assert!(answered(), "tracked");
    assert_eq!(packets(&stats(sbc), "reason", "return_traffic", Some("pass")), 1);
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
    attach_policy(sbc, &off.1).assert_done();
    assert!(!answered(), "off again");
}

#[test]
fn a_policy_that_is_refused_leaves_the_old_one_in_force() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    let directory = tempfile::tempdir().expect("a directory");
    let wrong = directory.path().join("wrong.toml");
    fs::write(&wrong, "[sbc]\nmoad = \"enforce\"\n").expect("a file");
    let wrong = wrong.to_str().expect("a plain path");
    sipwall_on(sbc, &["attach", "eth0", "--policy", wrong]).assert_failed(2, "wrong.toml:2");
    assert_eq!(stats(sbc)["generation"], 1);
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 5060), 3);
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
}

#[test]
fn detaching_lets_everything_pass_and_leaves_nothing_behind() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
    sipwall_on(sbc, &["detach", "eth0"]).assert_done();
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 3);
    sipwall_on(sbc, &["stats", "eth0"]).assert_failed(1, "no filter is attached to `eth0`");
    sipwall_on(sbc, &["detach", "eth0"]).assert_failed(1, "no filter is attached to `eth0`");
    let left = sbc.command("ls").arg(pins()).output().expect("ls runs");
    assert_eq!((left.stdout, left.status.code()), (Vec::new(), Some(0)));
    attach(sbc).assert_done();
    assert_eq!(stats(sbc)["generation"], 1);
}

/// Runs `sipwall` in a mount namespace of its own without bpffs, as that of `ip netns exec`.
fn without_bpffs(sbc: &Host, arguments: &[&str]) -> Ended {
    let mut command = sbc.command("unshare");
    command.args(["-m", "sh", "-c", "umount /sys/fs/bpf && exec \"$@\"", "sh"]).arg(tests::sipwall::binary());
    command.args(arguments).output().expect("sh runs").into()
}

#[test]
fn a_filter_that_would_end_with_the_command_is_not_attached() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    let policy = fixture("policy.toml");
    let policy = policy.to_str().expect("a plain path");
    let refused = without_bpffs(sbc, &["attach", "eth0", "--policy", policy]);
    refused.assert_failed(1, "what is mounted here ends with the command, and the filter with it");
    refused.assert_failed(1, "hint: `nsenter --net=/run/netns/NAME sipwall …`");
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 3);
    without_bpffs(sbc, &["status"]).assert_done();
}

#[test]
fn the_filter_of_an_interface_elsewhere_keeps_its_pins() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    // Another network namespace with an interface of the same name, over the same bpffs.
    let inside = "ip link add eth0 type veth peer name eth1 && exec \"$@\"";
    let mut elsewhere = sbc.command("unshare");
    elsewhere.args(["-n", "sh", "-c", inside, "sh"]).arg(tests::sipwall::binary());
    let policy = fixture("policy.toml");
    let policy = policy.to_str().expect("a plain path");
    let arguments = ["attach", "eth0", "--policy", policy, "--allow-generic"];
    let ended: Ended = elsewhere.args(arguments).output().expect("sh runs").into();
    ended.assert_failed(1, "the pins of `eth0` are those of a filter that runs on another interface");
    assert_eq!(datagrams_arriving(&lab, ("scanner", SCANNER), 5060), 0);
    assert_eq!(stats(sbc)["generation"], 1);
}

#[test]
fn who_is_not_root_is_told_that() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    attach(sbc).assert_done();
    // Where somebody else may look, too.
    let directory =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a directory");
    let (binary, policy) = (directory.path().join("sipwall"), directory.path().join("policy.toml"));
    fs::copy(tests::sipwall::binary(), &binary).expect("a copy");
    fs::write(&policy, "[sbc]\ninterfaces = [\"eth0\"]\n").expect("a file");
    let policy = policy.to_str().expect("a plain path");
    for mode in ["0755", "0700"] {
        assert!(sbc.command("chmod").args([mode, "/sys/fs/bpf"]).status().expect("chmod runs").success());
        for arguments in [
            &["stats"][..],
            &["stats", "eth0"],
            &["status"],
            &["apply", policy],
            &["deny", "list"],
            &["deny", "add", "192.0.2.1"],
            &["detach", "eth0"],
        ] {
            let mut command = sbc.command("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary).args(arguments);
            let ended: Ended = command.output().expect("setpriv runs").into();
            ended.assert_failed(1, "cannot be used: Permission denied (os error 13)\nhint: run it as root");
        }
    }
}

#[test]
fn detach_without_an_interface_says_which_could_be_meant() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    sipwall_on(sbc, &["detach"]).assert_failed(2, "no interface is named\nhint: no filter is attached to any");
    attach(sbc).assert_done();
    sipwall_on(sbc, &["detach"])
        .assert_failed(2, "hint: a filter is attached to `eth0`; `--all` takes it off every one");
    sipwall_on(sbc, &["detach", "--all"]).assert_done();
}

#[test]
fn an_interface_that_is_not_there_or_is_taken_is_said() {
    let lab = lab();
    let sbc = lab.host("sbc").expect("it was planned");
    let policy = fixture("policy.toml");
    let policy = policy.to_str().expect("a plain path");
    sipwall_on(sbc, &["attach", "eth9", "--policy", policy]).assert_failed(1, "cannot find the interface `eth9`");
    attach(sbc).assert_done();
    // With another bpffs on top the pins are out of sight, and the program on the NIC is somebody else's.
    let mount = format!("mount -t bpf bpf /sys/fs/bpf && \"$@\"; code=$?; ls {}; exit $code", pins());
    let mut elsewhere = sbc.command("unshare");
    elsewhere.args(["-m", "sh", "-c", &mount, "sh"]).arg(tests::sipwall::binary());
    let ended: Ended = elsewhere.args(["attach", "eth0", "--policy", policy]).output().expect("sh runs").into();
    ended.assert_failed(1, "`eth0` already runs an XDP program, `sipwall` with the id");
    assert_eq!(ended.stdout, "", "a refused attachment leaves no pins");
    assert_eq!(datagrams_arriving(&lab, ("carrier", CARRIER), 5060), 3);
}

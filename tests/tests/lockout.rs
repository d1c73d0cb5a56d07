//! The guard against locking oneself out: what a policy would cut is not put in force unasked.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    process::Stdio,
};
use tests::ports::bound;

use lab::Host;
use tests::{
    scene::{CARRIER, SBC, SCANNER, Scene},
    sipwall::{Ended, binary},
};

const ENFORCE: &[(&str, &str)] = &[];
const MONITOR: &[(&str, &str)] = &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")];
/// Lets the scanner log in.
const LOGIN: &[(&str, &str)] = &[("\"192.0.2.0/26\"", "\"192.0.2.0/26\", \"192.0.2.99\"")];

/// An open TCP connection from `from` to a port of the SBC.
struct Connection {
    _listener: TcpListener,
    accepted: TcpStream,
    opened: TcpStream,
}

fn connection(scene: &Scene, from: &str, port: u16) -> Connection {
    let to = SocketAddr::new(SBC.parse().expect("an address"), port);
    let listener = bound(scene.host("sbc"), || TcpListener::bind(to));
    let opened = scene.host(from).enter(|| TcpStream::connect(to)).expect("a host").expect("a way there");
    let (accepted, _) = listener.accept().expect("a connection");
    Connection { _listener: listener, accepted, opened }
}

/// Runs `sipwall` on the SBC with this `SSH_CONNECTION`.
fn within_ssh(sbc: &Host, connection: &str, arguments: &[&str]) -> Ended {
    let mut command = sbc.command(binary());
    command.args(arguments).env("SSH_CONNECTION", connection).output().expect("it starts").into()
}

/// Runs `sipwall` on the SBC below a shell whose standard input is a socket, as below `sshd`, and without the variable.
fn below_socket(sbc: &Host, socket: &TcpStream, arguments: &[&str]) -> Ended {
    let mut command = sbc.command("sh");
    // The shell stays the parent, since it has something to do afterwards.
    command.args(["-c", "\"$@\" < /dev/null; exit $?", "sh"]).arg(binary()).args(arguments);
    let socket: OwnedFd = socket.try_clone().expect("a descriptor").into();
    command.env_remove("SSH_CONNECTION").stdin(Stdio::from(socket)).output().expect("it starts").into()
}

fn is_attached(scene: &Scene) -> bool {
    scene.sipwall(&["stats", "eth0"]).code == 0
}

#[test]
fn a_policy_that_cuts_the_session_of_ssh_is_refused() {
    let scene = Scene::new();
    let sbc = scene.host("sbc");
    let session = format!("{SCANNER} 50000 {SBC} 22");
    let attach = |policy: &str, more: &[&str]| {
        within_ssh(sbc, &session, &[&["attach", "eth0", "--policy", policy], more].concat())
    };
    let cutting = scene.policy("cutting.toml", ENFORCE);
    for more in [&[][..], &["--confirm", "60s"]] {
        let refused = attach(&cutting, more);
        refused.assert_failed(1, "would cut the login session from 192.0.2.99:50000 to 198.51.100.10:22");
        refused.assert_failed(1, "would cut new connections from 192.0.2.99 to 198.51.100.10:22");
        refused.assert_failed(1, "from = [\"192.0.2.99\"], tcp = [22]");
        refused.assert_failed(1, "`--allow-lockout`");
        assert!(!is_attached(&scene));
    }
    attach(&scene.policy("monitor.toml", MONITOR), &[]).assert_done();
    attach(&scene.policy("login.toml", LOGIN), &[]).assert_done();
    let apply = within_ssh(sbc, &session, &["apply", &cutting]);
    apply.assert_failed(1, "would cut the login session");
    assert_eq!(scene.status()["generation"], 2);
    assert!(scene.connects("scanner", 22));
    let forced = within_ssh(sbc, &session, &["apply", &cutting, "--allow-lockout"]);
    forced.assert_done();
    assert!(forced.stderr.contains("warning: `eth0`: the policy would cut the login session"), "{forced:?}");
    assert!(!scene.connects("scanner", 22));
    // What is in force already cuts nothing any more.
    within_ssh(sbc, &session, &["apply", &cutting]).assert_done();
}

#[test]
fn what_is_denied_or_removed_beside_the_policy_cuts_no_session_either() {
    let scene = Scene::new();
    let sbc = scene.host("sbc");
    let session = format!("{SCANNER} 50000 {SBC} 22");
    let run = |arguments: &[&str]| within_ssh(sbc, &session, arguments);
    let list = scene.path("list.txt");
    std::fs::write(&list, format!("192.0.2.0/24\n{CARRIER}\n")).expect("a file");
    scene.attach(&scene.policy("login.toml", LOGIN));
    for arguments in [&["deny", "add", SCANNER][..], &["deny", "add", "192.0.0.0/8"], &["deny", "load", &list]] {
        let refused = run(arguments);
        refused.assert_failed(1, "error: `eth0`: this would cut the login session from 192.0.2.99:50000");
        refused.assert_failed(1, "this would cut new connections from 192.0.2.99 to 198.51.100.10:22");
        refused.assert_failed(1, "`--allow-lockout`");
    }
    assert!(scene.connects("scanner", 22) && scene.datagrams("carrier", 5060) == 3);
    // What is not about the session is done, and what a rule lets in is said.
    let denied = run(&["deny", "add", CARRIER]);
    denied.assert_done();
    assert!(
        denied.stderr.contains("warning: `eth0`: 203.0.113.17/32 cuts off what `carrier/sip-udp` lets in, 203.0.113."),
        "{denied:?}"
    );
    assert!(!run(&["deny", "add", "192.0.2.200"]).stderr.contains("cuts off"));
    let loaded = run(&["deny", "load", &list, "--allow-lockout"]);
    loaded.assert_done();
    assert!(loaded.stderr.contains("warning: `eth0`: this would cut the login session"), "{loaded:?}");
    assert!(!scene.connects("scanner", 22));
    scene.sipwall(&["deny", "unload", "list"]).assert_done();
    // A live allow that the session needs, and one that it does not.
    scene.sipwall(&["allow", "add", SCANNER, "--tcp", "22", "--name", "vendor"]).assert_done();
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5060", "--name", "other"]).assert_done();
    run(&["allow", "remove", "vendor"]).assert_done();
    scene.sipwall(&["allow", "add", SCANNER, "--tcp", "22", "--name", "vendor"]).assert_done();
    scene.sipwall(&["apply", &scene.policy("policy.toml", ENFORCE)]).assert_done();
    run(&["allow", "remove", "other"]).assert_done();
    run(&["allow", "remove", "vendor"]).assert_failed(1, "this would cut the login session from 192.0.2.99:50000");
    assert!(scene.connects("scanner", 22));
    run(&["allow", "remove", "vendor", "--allow-lockout"]).assert_done();
    assert!(!scene.connects("scanner", 22));
}

#[test]
fn the_session_is_found_by_the_socket_of_an_ancestor() {
    let scene = Scene::new();
    let connection = connection(&scene, "scanner", 22);
    let peer = connection.opened.local_addr().expect("an address");
    let cutting = scene.policy("cutting.toml", ENFORCE);
    let arguments = ["attach", "eth0", "--policy", &cutting];
    let refused = below_socket(scene.host("sbc"), &connection.accepted, &arguments);
    refused.assert_failed(1, &format!("would cut the login session from {peer} to 198.51.100.10:22"));
    refused.assert_failed(1, "would cut new connections from 192.0.2.99");
    assert!(!is_attached(&scene));
    let login = scene.policy("login.toml", LOGIN);
    below_socket(scene.host("sbc"), &connection.accepted, &["attach", "eth0", "--policy", &login]).assert_done();
    let denying = below_socket(scene.host("sbc"), &connection.accepted, &["deny", "add", SCANNER]);
    denying.assert_failed(1, &format!("this would cut the login session from {peer}"));
}

#[test]
fn a_session_over_another_interface_does_not_matter() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", ENFORCE);
    within_ssh(scene.host("sbc"), "127.0.0.1 50000 127.0.0.1 22", &["attach", "eth0", "--policy", &policy])
        .assert_done();
}

#[test]
fn open_sip_sessions_are_not_cut() {
    let scene = Scene::new();
    let listed = connection(&scene, "carrier", 5060);
    scene.attach(&scene.policy("policy.toml", ENFORCE));
    scene.sipwall(&["detach", "eth0"]).assert_done();
    drop(listed);
    let unlisted = connection(&scene, "scanner", 5060);
    let peer = unlisted.opened.local_addr().expect("an address");
    let attach = || scene.sipwall(&["attach", "eth0", "--policy", &scene.policy("policy.toml", ENFORCE)]);
    attach().assert_failed(1, &format!("would cut the SIP session from {peer} to 198.51.100.10:5060"));
    drop(unlisted);
    let connected = |peer: &str| {
        let socket = bound(scene.host("sbc"), || UdpSocket::bind((SBC, 5060)));
        scene.host("sbc").enter(|| socket.connect((peer, 5060))).expect("a host").expect("a way there");
        socket
    };
    let socket = connected(SCANNER);
    attach().assert_failed(1, "would cut the SIP session from 192.0.2.99:5060 to 198.51.100.10:5060");
    assert!(!is_attached(&scene));
    drop(socket);
    let _socket = connected(CARRIER);
    attach().assert_done();
}

#[test]
fn the_default_gateway_is_not_cut() {
    let scene = Scene::new();
    let gateway = "fd00:0:0:1::1";
    // Whoever claims the gateway's address as the SBC's own has its packets dropped as forged.
    let own = format!("\"2001:db8:ffff::10\", \"{gateway}\"");
    let forged = scene.policy("forged.toml", &[("\"2001:db8:ffff::10\"", &own)]);
    let refused = scene.sipwall(&["attach", "eth0", "--policy", &forged]);
    refused.assert_failed(1, &format!("would cut the neighbour discovery of the default gateway {gateway}"));
    assert!(!is_attached(&scene));
    // Neighbour discovery is looked at before the deny list.
    let deny = scene.policy("deny.toml", &[("\"192.0.2.33\"", "\"192.0.2.33\", \"fd00::/8\", \"172.16.0.0/12\"")]);
    scene.attach(&deny);
}

/// The guard once judged by the policy alone, and refused what changes nothing for a session.
#[test]
fn what_holds_beside_the_policy_decides_whether_a_session_would_be_cut() {
    let scene = Scene::new();
    let session = connection(&scene, "scanner", 5060);
    let peer = session.opened.local_addr().expect("an address");
    scene.attach(&scene.policy("monitor.toml", MONITOR));
    let cutting = scene.policy("cutting.toml", ENFORCE);
    let refused = format!("would cut the SIP session from {peer} to 198.51.100.10:5060");
    scene.sipwall(&["apply", &cutting]).assert_failed(1, &refused);
    // A live allow survives the change, and the session with it.
    scene.sipwall(&["allow", "add", SCANNER, "--tcp", "5060", "--name", "guest"]).assert_done();
    scene.sipwall(&["apply", &cutting]).assert_done();
    assert_eq!(scene.status()["mode"], "enforce");
    // Without it the policy cuts it, unless the deny list does already.
    scene.sipwall(&["apply", &scene.policy("monitor.toml", MONITOR)]).assert_done();
    scene.sipwall(&["allow", "remove", "guest"]).assert_done();
    scene.sipwall(&["apply", &cutting]).assert_failed(1, &refused);
    scene.sipwall(&["deny", "add", SCANNER]).assert_done();
    scene.sipwall(&["apply", &cutting]).assert_done();
    assert_eq!(scene.status()["mode"], "enforce");
}

/// The guard once looked at the addresses and routes of the interface alone, of which a port of a bridge has none.
#[test]
fn a_session_to_what_stands_on_the_interface_is_not_cut() {
    let scene = Scene::new();
    let sbc = scene.host("sbc");
    let stack = "ip link add br0 type bridge && ip link set br0 up && ip link set eth0 master br0 \
                 && ip link add upper link br0 type macvlan && ip link set upper up && ip address flush dev eth0 \
                 && ip address add 172.31.1.2/30 dev br0 && ip address add 198.51.100.10/32 dev upper \
                 && ip address add fd00:0:0:1::2/64 dev br0 nodad && ip route add default via 172.31.1.1 dev br0 \
                 && ip -6 route replace default via fd00:0:0:1::1 dev br0";
    assert!(sbc.command("sh").args(["-c", stack]).status().expect("sh runs").success());
    let cutting = scene.policy("cutting.toml", ENFORCE);
    for session in ["192.0.2.99 50000 198.51.100.10 22", "192.0.2.99 50000 172.31.1.2 22"] {
        let refused = within_ssh(sbc, session, &["attach", "eth0", "--policy", &cutting]);
        refused.assert_failed(1, "would cut the login session from 192.0.2.99:50000");
    }
    let own = [("\"2001:db8:ffff::10\"", "\"2001:db8:ffff::10\", \"fd00:0:0:1::1\"")];
    let refused = scene.sipwall(&["attach", "eth0", "--policy", &scene.policy("forged.toml", &own)]);
    refused.assert_failed(1, "would cut the neighbour discovery of the default gateway fd00:0:0:1::1");
    assert!(!is_attached(&scene));
}

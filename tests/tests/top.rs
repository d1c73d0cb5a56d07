//! `sipwall top` in a terminal, on packets.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    net::{TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};
use tests::ports::bound;

use tests::{
    scene::{CARRIER, SBC, SCANNER, Scene, packets},
    sipwall::binary,
};

/// Long enough for anything to happen on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal of 80×24, in which `sipwall` runs on the SBC.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn start(scene: &Scene, arguments: &str) -> Self {
        let terminal = Self { socket: scene.path("tmux").into() };
        let entry = scene.host("sbc").entry().join(" ");
        let run = format!("{entry} {} {arguments}", binary().display());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &run]);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket).args(arguments).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let ended = command.output().expect("`tmux` runs");
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).expect("text")
    }

    fn keys(&self, keys: &str) {
        self.tmux(&["send-keys", keys]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until all of these stand on the screen, which is returned.
    fn await_all(&self, texts: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(begun.elapsed() < PATIENCE, "not all of {texts:?} are in\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Terminal {
    /// Waits until none of these stands on the screen.
    fn await_none(&self, texts: &[&str]) {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if !texts.iter().any(|text| screen.contains(text)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "some of {texts:?} is in\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It ends with the last program in it.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
        let _ = fs::remove_file(&self.socket);
    }
}

/// Tells the senders to stop, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends to a port of the SBC, so many datagrams each tenth of a second, until it is told to stop.
fn send(scene: &Scene, stop: &AtomicBool, (host, address): (&str, &str), port: u16, datagrams: usize, payload: &[u8]) {
    let socket = bound(scene.host(host), || UdpSocket::bind((address, 5060)));
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..datagrams {
            socket.send_to(payload, (SBC, port)).expect("a datagram leaves");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_operator_sees_who_knocks_and_shuts_the_door() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| send(&scene, &stop, ("carrier", CARRIER), 5060, 5, b"OPTIONS sip:x SIP/2.0\r\n"));
        threads.spawn(|| send(&scene, &stop, ("scanner", SCANNER), 5060, 50, b"REGISTER sip:x SIP/2.0\r\n"));
        let _stop = Stop(&stop);
        watch(&scene);
    });
}

fn watch(scene: &Scene) {
    let terminal = Terminal::start(scene, "top");
    terminal.await_all(&[
        "eth0  ENFORCE  native XDP  generation 1  policy.toml",
        "LISTED SOURCES PASS; unlisted: ~",
        "KNOCKING: 192.0.2.99 for udp 5060, 100.0 % of all drops",
        "source_unlisted",
        "carrier",
        "sip-udp",
        "SOURCES, LAST MINUTE",
    ]);
    let_in(scene, &terminal);
    shut_out(scene, &terminal);
    look_round(&terminal);
    pause(scene, &terminal);
    terminal.keys("q");
    let begun = Instant::now();
    while Command::new("tmux").arg("-S").arg(&terminal.socket).arg("ls").output().is_ok_and(|ls| ls.status.success()) {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        thread::sleep(Duration::from_millis(50));
    }
}

/// `a`, and nothing before it is confirmed.
fn let_in(scene: &Scene, terminal: &Terminal) {
    terminal.keys("a");
    terminal.await_all(&["UDP 5060 from 192.0.2.99/32 is let in on eth0."]);
    assert_eq!(scene.sipwall(&["allow", "list", "--json"]).stdout, "", "not yet confirmed");
    terminal.keys("Escape");
    terminal.await_none(&["is let in on eth0"]);
    assert_eq!(scene.sipwall(&["allow", "list", "--json"]).stdout, "", "it was not wanted");
    terminal.keys("a");
    terminal.keys("1");
    terminal.await_all(&["allow/192-0-2-99-udp-5060 lets in UDP 5060 on eth0 for an hour"]);
    let entry = scene.sipwall(&["allow", "list", "--json"]).json();
    assert_eq!((&entry["from"][0], &entry["udp"][0]), (&"192.0.2.99/32".into(), &"5060".into()), "{entry}");
    assert!((3500..=3600).contains(&entry["expires_in_seconds"].as_u64().expect("it ends")), "{entry}");
    terminal.await_all(&["  192-0-2-99-udp-5"]);
}

/// `d`, which holds over what was let in.
fn shut_out(scene: &Scene, terminal: &Terminal) {
    terminal.keys("d");
    terminal.await_all(&["Everything from 192.0.2.99/32 is dropped on eth0."]);
    assert_eq!(scene.sipwall(&["deny", "list"]).stdout.matches("192.0.2.99").count(), 0, "not yet confirmed");
    terminal.keys("1");
    terminal.await_all(&["192.0.2.99/32 is denied on eth0 for an hour", " denied "]);
    let listed = scene.sipwall(&["deny", "list", "--json"]);
    assert!(listed.stdout.contains("192.0.2.99/32"), "{listed:?}");
}

/// What is ranked, over which time, in which order, and what of it.
fn look_round(terminal: &Terminal) {
    terminal.keys("v");
    terminal.await_all(&["NETWORKS, LAST MINUTE", "192.0.2.0/24", "v networks"]);
    terminal.keys("v");
    terminal.await_all(&["PORTS, LAST MINUTE", "udp 5060", "v ports"]);
    terminal.keys("v");
    terminal.keys("w");
    terminal.await_all(&["SOURCES, LAST 10 MINUTES"]);
    for order in ["total", "name", "rate"] {
        terminal.keys("s");
        terminal.await_all(&[&format!("s sort: {order}")]);
    }
    terminal.keys("/");
    terminal.keys("carrier");
    terminal.await_all(&["filter: carrier", "sip-udp"]);
    // The scanner's reasons and what was let in of it are hidden.
    terminal.await_none(&["source_unlisted", "udp-5"]);
    terminal.keys("Enter");
    terminal.keys("/");
    terminal.keys("Escape");
    terminal.await_all(&["source_unlisted", "udp-5"]);
}

/// What is paused stands still while packets are counted, and goes on from what was counted meanwhile.
fn pause(scene: &Scene, terminal: &Terminal) {
    terminal.keys("p");
    let passed = |screen: &str| screen.lines().find(|line| line.contains("PASSED")).map(str::to_owned);
    let paused = passed(&terminal.await_all(&["PAUSED"]));
    let counted = || packets(&scene.stats(), "rule", "carrier/sip-udp", None);
    let begun = (Instant::now(), counted());
    while counted() < begun.1 + 60 {
        assert!(begun.0.elapsed() < PATIENCE, "the carrier sends nothing");
    }
    assert_eq!(passed(&terminal.screen()), paused);
    terminal.keys("p");
    terminal.await_none(&["PAUSED"]);
    let begun = Instant::now();
    while passed(&terminal.screen()) == paused {
        assert!(begun.elapsed() < PATIENCE, "it does not go on");
    }
}

#[test]
fn without_a_terminal_it_says_what_prints() {
    let scene = Scene::new();
    scene.sipwall(&["top"]).assert_done();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["top"]).assert_failed(1, "`top` needs a terminal\nhint: `sipwall stats --follow` prints");
    scene.sipwall(&["top", "eth1"]).assert_failed(1, "`top` needs a terminal");
}

#[test]
fn the_calls_line_tells_callers_from_others() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let terminal = Terminal::start(&scene, "top");
    terminal.await_all(&["CALLS PASS: nothing of a listed source was dropped in the last "]);
    // A caller whose live allow is taken away is nobody that anything names any more.
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5060", "--name", "guest"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    scene.sipwall(&["allow", "remove", "guest"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    terminal.await_all(&["LISTED SOURCES PASS; unlisted: ~3 SIP packets refused in "]);
    // A host that only an own allow names sends no calls.
    let own = [("from = [\"192.0.2.0/26\"", "from = [\"192.0.2.0/26\", \"192.0.2.99\"")];
    scene.sipwall(&["apply", &scene.policy("own.toml", &own)]).assert_done();
    assert_eq!(scene.datagrams("scanner", 161), 0);
    let screen = terminal.await_all(&["port_closed", "LISTED SOURCES PASS"]);
    assert!(!screen.contains("AT RISK"), "{screen}");
    // A carrier that is denied does.
    scene.sipwall(&["deny", "add", CARRIER]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    terminal.await_all(&["CALLS AT RISK: lost of listed sources: port_closed 3, denied ~3"]);
}

#[test]
fn a_source_with_an_open_session_is_not_denied() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let listener = scene.host("sbc").enter(|| TcpListener::bind((SBC, 5060))).expect("a host").expect("a port");
    let call = || TcpStream::connect((SBC, 5060));
    let _session = scene.host("carrier").enter(call).expect("a host").expect("a connection");
    let _accepted = listener.accept().expect("a connection");
    assert_eq!(scene.datagrams("carrier", 80), 0);
    let terminal = Terminal::start(&scene, "top");
    terminal.await_all(&["203.0.113.17 ", "port_closed"]);
    terminal.keys("d");
    terminal.await_all(&["Everything from 203.0.113.17/32 is dropped on eth0."]);
    terminal.keys("1");
    terminal.await_all(&["it is not denied: it would cut the "]);
    assert!(!scene.sipwall(&["deny", "list"]).stdout.contains(CARRIER));
}

#[test]
fn in_monitor_mode_nothing_is_said_to_be_denied() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]));
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    let terminal = Terminal::start(&scene, "top");
    terminal.await_all(&["192.0.2.99 "]);
    terminal.keys("d");
    terminal.await_all(&["Everything from 192.0.2.99/32 would be dropped (MONITOR) on eth0."]);
    terminal.keys("1");
    terminal.await_all(&["192.0.2.99/32 would be denied (MONITOR) on eth0 for an hour"]);
}

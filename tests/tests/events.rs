//! Samples of what is dropped, end to end: `events`, and how they add up with the counters.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    io::{BufRead as _, BufReader},
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tests::ports::bound;

use filter_user::replay::Capture;
use serde_json::Value;
use tests::scene::{SBC, SCANNER, Scene, packets};

/// Long enough for anything to happen on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends datagrams with these payloads from the scanner.
fn scan<'a>(scene: &Scene, port: u16, payloads: impl IntoIterator<Item = &'a [u8]>) {
    let socket = bound(scene.host("scanner"), || UdpSocket::bind((SCANNER, 5060)));
    for payload in payloads {
        socket.send_to(payload, (SBC, port)).expect("a datagram leaves");
    }
}

/// Waits until a counter has come to a number, and returns what `stats` shows then.
fn await_drops(scene: &Scene, reason: &str, action: &str, count: u64) -> Value {
    let begun = Instant::now();
    loop {
        let stats = scene.stats();
        if packets(&stats, "reason", reason, Some(action)) >= count {
            return stats;
        }
        assert!(begun.elapsed() < PATIENCE, "{stats}");
    }
}

fn events(scene: &Scene, arguments: &[&str]) -> Vec<Value> {
    let ended = scene.sipwall(&[&["events", "--json"], arguments].concat());
    ended.assert_done();
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn what_was_dropped_before_anyone_looked_is_shown_to_whoever_looks() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scan(&scene, 5060, [b"OPTIONS sip:100@198.51.100.10 SIP/2.0\r\nUser-Agent: scanner\r\n".as_slice()]);
    assert_eq!(scene.datagrams("carrier", 5059), 0);
    await_drops(&scene, "source_port", "drop", 3);
    for _ in 0..2 {
        let scans = events(&scene, &["--source", SCANNER]);
        let [scan] = scans.as_slice() else { panic!("{scans:?}") };
        for (field, value) in [
            ("interface", Value::from("eth0")),
            ("action", "drop".into()),
            ("reason", "source_unlisted".into()),
            ("weight", 1.into()),
            ("source", SCANNER.into()),
            ("destination", SBC.into()),
            ("source_port", 5060.into()),
            ("destination_port", 5060.into()),
            ("protocol", "udp".into()),
            ("text", "OPTIONS sip:100@198.51.100.10 SIP/2.0".into()),
        ] {
            assert_eq!(scan[field], value, "{field} of {scan}");
        }
    }
    assert_eq!(events(&scene, &["--reason", "source_port"]).len(), 3);
    assert_eq!(events(&scene, &["--reason", "denied,martian_source"]).len(), 0);
    let shown = scene.sipwall(&["events", "--source", SCANNER, "--octets"]);
    assert!(shown.stdout.contains("source_unlisted  192.0.2.99:5060 → 198.51.100.10:5060 udp \"OPTIONS"), "{shown:?}");
    // `OPTIONS sip:`
    assert!(shown.stdout.contains("4f5054494f4e53207369703a"), "{shown:?}");
    assert_eq!(shown.stderr, "`eth0`: 4 packets dropped since the filter was attached, 4 sampled\n");
    scene.sipwall(&["events", "--reason", "listed"]).assert_failed(2, "invalid value 'listed'");
    scene.sipwall(&["events", "eth1"]).assert_failed(1, "no filter is attached to `eth1`");
}

#[test]
fn a_hostile_payload_does_nothing_to_the_terminal() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scan(&scene, 5060, [b"A\x1b]0;owned\x07\x9b2J\xe2\x80\xae\"<script>".as_slice()]);
    await_drops(&scene, "source_unlisted", "drop", 1);
    let shown = scene.sipwall(&["events"]);
    assert!(shown.stdout.contains(r#""A\x1b]0;owned\x07\x9b2J\xe2\x80\xae"<script>""#), "{shown:?}");
    assert!(shown.stdout.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
    assert_eq!(events(&scene, &[])[0]["text"], r#"A\x1b]0;owned\x07\x9b2J\xe2\x80\xae"<script>"#);
}

#[test]
fn monitor_mode_samples_what_it_lets_pass() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]));
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    let events = events(&scene, &["--source", SCANNER]);
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["action"] == "would_drop" && event["reason"] == "source_unlisted"));
    let shown = scene.sipwall(&["events"]);
    assert!(shown.stdout.contains(" would_drop"), "{shown:?}");
    let told = "`eth0`: 3 packets would have been dropped (MONITOR) since the filter was attached, 3 sampled\n";
    assert_eq!(shown.stderr, told);
    let top = scene.sipwall(&["events", "--top"]).stdout;
    assert!(top.starts_with("about 3 packets would have been dropped (MONITOR) in the last "), "{top}");
}

#[test]
fn a_flood_is_counted_to_the_packet_and_sampled_at_a_bounded_rate() {
    const FLOOD: u64 = 200_000;
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let begun = Instant::now();
    let payload = [0x80; 40];
    scan(&scene, 20_000, (0..FLOOD).map(|_| payload.as_slice()));
    let stats = await_drops(&scene, "source_unlisted", "drop", FLOOD);
    assert_eq!(packets(&stats, "reason", "source_unlisted", Some("drop")), FLOOD);
    let sampled = stats["sampled"].as_u64().expect("a number");
    // What the program promises for each CPU: 2,000 a second, and 128 at once.
    let cpus = std::thread::available_parallelism().expect("a number").get() as u128;
    let most = cpus * (128 + 2 * begun.elapsed().as_millis());
    assert!((1..=most).contains(&u128::from(sampled)), "{sampled} of at most {most}");
    // Samples stand for what was dropped, but for what came after the last one on each CPU.
    let kept = events(&scene, &[]);
    let weights: u64 = kept.iter().map(|event| event["weight"].as_u64().expect("a number")).sum();
    assert!(weights <= FLOOD, "{weights}");
    if kept.len() as u64 == sampled {
        assert!(weights > FLOOD / 2, "{weights}");
    }
    // A single packet of another kind is not lost among them.
    assert_eq!(scene.datagrams("carrier", 5059), 0);
    assert_eq!(events(&scene, &["--reason", "source_port"]).len(), 3);
    let top = scene.sipwall(&["events", "--top", "--json"]).json();
    assert_eq!(top["sources"][0]["source"], SCANNER, "{top}");
    assert_eq!(top["networks"][0]["network"], "192.0.2.0/24", "{top}");
    assert_eq!(top["ports"][0]["port"], "udp 20000", "{top}");
    assert!(scene.sipwall(&["events", "--top"]).stdout.contains(SCANNER));
}

#[test]
fn a_capture_of_events_is_one_that_others_read() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scan(&scene, 5060, [b"REGISTER sip:x SIP/2.0\r\n".as_slice(), [b'y'; 900].as_slice()]);
    await_drops(&scene, "source_unlisted", "drop", 2);
    let file = scene.path("dropped.pcapng");
    scene.sipwall(&["events", "--pcap", &file]).assert_done();
    let mut capture = Capture::open(Path::new(&file)).expect("a capture");
    let mut lengths = Vec::new();
    while let Some(frame) = capture.next_frame().expect("a frame") {
        lengths.push((frame.octets().len(), frame.length()));
        assert!(frame.time() > 1_600_000_000 * 1_000_000_000, "{}", frame.time());
    }
    let short = 14 + 20 + 8 + "REGISTER sip:x SIP/2.0\r\n".len();
    assert_eq!(lengths, [(short, short), (256, 14 + 20 + 8 + 900)]);
    // And one that another program reads.
    let read = Command::new("tcpdump").args(["-nr", &file]).output().expect("`tcpdump` runs");
    let text = String::from_utf8_lossy(&read.stdout);
    assert!(text.contains("192.0.2.99.5060 > 198.51.100.10.5060: SIP: REGISTER sip:x SIP/2.0"), "{read:?}");
    // Wireshark's own reader shows the reason as a comment, and takes SIP for what it is.
    let only = scene.path("only.pcapng");
    assert_eq!(scene.datagrams("carrier", 5059), 0);
    scene.sipwall(&["events", "--reason", "source_unlisted", "--pcap", &only]).assert_done();
    let fields = ["frame.comment", "frame.interface_name", "frame.cap_len", "ip.src", "udp.dstport", "sip.Method"];
    let fields = fields.iter().flat_map(|field| ["-e", field]);
    let read = Command::new("tshark").args(["-r", &only, "-T", "fields"]).args(fields).output().expect("`tshark` runs");
    let text = String::from_utf8_lossy(&read.stdout);
    let lines: Vec<_> = text.lines().map(|line| line.split('\t').collect::<Vec<_>>()).collect();
    let comment = "drop source_unlisted, stands for 1";
    let length = short.to_string();
    assert_eq!(
        lines,
        [[comment, "eth0", &length, SCANNER, "5060", "REGISTER"], [comment, "eth0", "256", SCANNER, "5060", ""],],
        "{read:?}"
    );
    let replayed = scene.sipwall(&["replay", &file, "--policy", &scene.path("policy.toml"), "--json"]);
    replayed.assert_done();
    assert!(replayed.stdout.contains("source_unlisted"), "{replayed:?}");
}

#[test]
fn followers_see_what_comes_each_for_itself_and_end_with_the_filter() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let follow = || {
        let mut command = scene.host("sbc").command(tests::sipwall::binary());
        command.args(["events", "--follow", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    };
    let mut followers = [follow(), follow()];
    scan(&scene, 5060, [b"one".as_slice(), b"two".as_slice(), b"three".as_slice()]);
    for follower in &mut followers {
        let mut lines = BufReader::new(follower.stdout.as_mut().expect("it is piped")).lines();
        for word in ["one", "two", "three"] {
            let line = lines.next().expect("a line").expect("text");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(event["text"], word, "{event}");
        }
    }
    scene.sipwall(&["detach", "eth0"]).assert_done();
    for follower in followers {
        let ended = follower.wait_with_output().expect("it ends");
        let message = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), message.as_ref()), (Some(1), "error: the filter on `eth0` was detached\n"));
    }
}

#[test]
fn rates_are_those_of_the_interval() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    scan(&scene, 5060, [b"x".as_slice()]);
    await_drops(&scene, "source_unlisted", "drop", 1);
    let shown = scene.sipwall(&["stats"]);
    shown.assert_done();
    assert!(shown.stdout.contains("eth0: enforce, generation 1\n"), "{shown:?}");
    let row = |name: &str| {
        let line = shown.stdout.lines().find(|line| line.split_whitespace().any(|word| word == name));
        line.unwrap_or_else(|| panic!("no {name} in {shown:?}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(row("carrier/sip-udp")[..4], ["carrier/sip-udp", "0", "0", "3"]);
    assert_eq!(row("source_unlisted")[..5], ["drop", "source_unlisted", "0", "0", "1"]);
    assert!(!shown.stdout.contains("tcp_flags"), "{shown:?}");
    assert!(scene.sipwall(&["stats", "--all"]).stdout.contains("tcp_flags"));
    // What comes within the interval has a rate.
    let mut command = scene.host("sbc").command(tests::sipwall::binary());
    command.args(["stats", "--json", "--follow"]).stdout(Stdio::piped());
    let mut follower = command.spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("it is piped")).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().expect("a line").expect("text")).expect("JSON");
    let first = next();
    assert!(first["interval_seconds"].as_f64().expect("a number") >= 1.0, "{first}");
    scan(&scene, 5060, [b"y".as_slice(); 50]);
    let mut seen = 0.0;
    while seen < 49.5 {
        let stats = next();
        let reasons = stats["reasons"].as_array().expect("an array").iter();
        let rate = reasons.filter(|count| count["reason"] == "source_unlisted" && count["action"] == "drop");
        let per_second: f64 = rate.filter_map(|count| count["packets_per_second"].as_f64()).sum();
        seen += per_second * stats["interval_seconds"].as_f64().expect("a number");
    }
    assert!(seen < 50.5, "{seen}");
    follower.kill().expect("it runs");
    follower.wait().expect("it ends");
}

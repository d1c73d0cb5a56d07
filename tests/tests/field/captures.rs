//! What Wireshark sees: captures of what was dropped, and captures that were taken before the filter.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use filter_user::replay::Capture;
use lab::{Process, run};
use serde_json::Value;
use tests::{
    field::{
        CALLER, Call, Field, KORE, RELAY, SBC, Sbc, Spoof, TWILIO, Way, await_quiet, connects, find_by_sip,
        open_ports_by_fragments,
    },
    service::wait_for,
};

/// What tshark is asked of each packet.
const FIELDS: [&str; 14] = [
    "eth.type",
    "ip.src",
    "ip.dst",
    "ip.id",
    "ip.flags.mf",
    "ip.frag_offset",
    "ip.proto",
    "udp.srcport",
    "udp.dstport",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.flags",
    "sip.Method",
    "frame.len",
];

/// tcpdump, at the other end of the SBC's link.
struct Recording {
    tcpdump: Process,
    path: String,
}

impl Recording {
    fn begin(field: &Field) -> Self {
        let path = field.path("before.pcap").to_str().expect("a plain path").to_owned();
        let mut tcpdump = field.lab.core().expect("a core").command("tcpdump");
        tcpdump.args(["-i", "to-sbc", "-Q", "out", "-w", &path, "-U", "-Z", "root", "-B", "65536"]);
        let log = fs::File::create(field.path("tcpdump.log")).expect("a file");
        let process = Process::start(tcpdump.stdin(Stdio::null()).stderr(log)).expect("tcpdump starts");
        wait_for("tcpdump listens", || field.said(&["tcpdump.log"]).contains("listening on").then_some(()));
        Self { tcpdump: process, path }
    }

    /// Ends it, and returns the path of the capture.
    fn end(mut self, field: &Field) -> String {
        self.tcpdump.interrupt().expect("it runs");
        assert!(self.tcpdump.wait(Duration::from_mins(1)).expect("a process").is_some(), "tcpdump does not end");
        let said = field.said(&["tcpdump.log"]);
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
        self.path
    }
}

/// The frames of a capture.
fn frames(path: &str) -> Vec<Vec<u8>> {
    let mut capture = Capture::open(path.as_ref()).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame().expect("a sound capture") {
        assert_eq!(frame.octets().len(), frame.length(), "it was cut off");
        frames.push(frame.octets().to_vec());
    }
    frames
}

/// What tshark says of each packet, and its comment.
fn decoded(field: &Field, path: &str) -> Vec<(String, String)> {
    let mut tshark = Command::new("tshark");
    tshark.env("HOME", field.path("")).args(["-n", "-r", path, "-T", "fields", "-E", "occurrence=f"]);
    tshark.args(["-o", "ip.defragment:FALSE", "-o", "udp.check_checksum:FALSE"]);
    for name in FIELDS.iter().chain(&["frame.comment"]) {
        tshark.args(["-e", name]);
    }
    let said = run(&mut tshark, "").expect("tshark decodes it");
    let split = |line: &str| {
        let (fields, comment) = line.rsplit_once('\t').expect("fields");
        (fields.to_owned(), comment.to_owned())
    };
    said.lines().map(split).collect()
}

/// Nothing comes to the SBC but what the test sends: IPv6 makes itself known whenever it likes.
fn silence_ipv6(field: &Field) {
    for (host, link) in [("core", "to-sbc"), ("sbc", "eth0")] {
        let line = format!("echo 1 > /proc/sys/net/ipv6/conf/{link}/disable_ipv6");
        run(field.lab.host(host).expect("a host").command("sh").args(["-c", &line]), "").expect("a setting");
    }
}

/// What a filter knows nothing of: scans, fragments, invented sources, a connection that a relay opens.
fn attack(field: &Field) {
    assert!(!find_by_sip(field).contains(SBC));
    for party in [CALLER, TWILIO] {
        assert_eq!(open_ports_by_fragments(field, party), [0_u16; 0]);
    }
    for spoof in [
        Spoof { from: (TWILIO.media, 5060), to: 20_000, is_udp: true },
        Spoof { from: (KORE.signalling, 5061), to: 22, is_udp: false },
        Spoof { from: (SBC, 5060), to: 5060, is_udp: true },
        Spoof { from: (TWILIO.signalling, 0), to: 5060, is_udp: true },
    ] {
        spoof.send(field);
    }
    assert!(!connects(field, "relay", (RELAY, 443), 40_000));
}

#[test]
fn captures_of_what_was_dropped_decode_as_what_it_was() {
    let field = Field::new();
    field.attach("");
    let recording = Recording::begin(&field);
    attack(&field);
    await_quiet("what was sent is counted", || field.dropped());
    let before: BTreeSet<_> = decoded(&field, &recording.end(&field)).into_iter().map(|(fields, _)| fields).collect();
    let path = field.path("dropped.pcapng").to_str().expect("a plain path").to_owned();
    field.sipwall(&["events", "--pcap", &path]).assert_done();
    let dropped = decoded(&field, &path);
    let mut reasons = BTreeSet::new();
    for (fields, comment) in &dropped {
        assert!(before.contains(fields), "nothing like this was sent: {fields}");
        let reason = comment.strip_prefix("drop ").and_then(|comment| comment.split(',').next());
        reasons.insert(reason.unwrap_or_else(|| panic!("no reason in `{comment}`")).to_owned());
    }
    let counted: BTreeSet<_> = field.dropped().into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, counted, "there are samples of all that was dropped");
    assert!(dropped.iter().any(|(fields, _)| fields.contains("\tOPTIONS\t")), "no `svmap` in {dropped:#?}");
}

#[test]
fn a_capture_taken_before_the_filter_replays_to_what_it_did_packet_by_packet() {
    let field = Field::new();
    silence_ipv6(&field);
    field.attach("");
    let _sbc = Sbc::start(&field);
    let policy = field.policy("");
    let none = await_quiet("nothing is sent", || totals(&field.stats()));
    let recording = Recording::begin(&field);
    let arrived = field.tap(field.host("sbc"), "sbc");
    let calls = [Call { padding: 2300, ..Call::short(TWILIO, Way::Udp) }, Call::short(KORE, Way::Tcp)];
    let begun = calls.map(|call| call.begin(&field));
    attack(&field);
    for call in begun {
        call.assert_completes(&field);
    }
    for host in [TWILIO.host, KORE.host, CALLER.host, "relay"] {
        field.cut_off(host);
    }
    let live = await_quiet("what was sent is counted", || totals(&field.stats()));
    let arrived = arrived.close().expect("frames");
    let capture = recording.end(&field);
    let frames = frames(&capture);
    let replayed = field.sipwall(&["replay", &capture, "--policy", &policy, "--json"]);
    replayed.assert_done();
    let mut lines: Vec<Value> = replayed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = lines.pop().expect("a summary")["summary"].clone();
    assert_eq!(lines.len(), frames.len());

    // In sum: by reason and by rule.
    let since = live.iter().map(|(name, count)| (name.clone(), count - none.get(name).unwrap_or(&0)));
    let since: BTreeMap<_, _> = since.filter(|(_, count)| *count != 0).collect();
    let said = ["by_reason", "by_rule"].iter().flat_map(|kind| summary[kind].as_object().expect("an object"));
    let said: BTreeMap<_, _> = said.map(|(name, count)| (name.clone(), count.as_u64().expect("a number"))).collect();
    assert_eq!(said, since);

    // One by one: what passes is what arrived behind the filter. Two CPUs may overtake each other between the two places.
    let is_passed = |line: &Value| line["action"] == "pass";
    let passed = lines.iter().zip(&frames).filter(|(line, _)| is_passed(line)).map(|(_, frame)| frame);
    let mut passed: Vec<_> = passed.collect();
    let mut arrived: Vec<_> = arrived.iter().map(|frame| &frame.start).collect();
    passed.sort();
    arrived.sort();
    assert_eq!(passed, arrived, "what passes in the replay is not what passed");

    // What does not is what was dropped, for the same reason.
    let mut dropped: BTreeMap<Vec<u8>, BTreeSet<&str>> = BTreeMap::new();
    for (line, frame) in lines.iter().zip(&frames).filter(|(line, _)| !is_passed(line)) {
        let start = frame[..frame.len().min(filter_common::SAMPLE_OCTETS)].to_vec();
        dropped.entry(start).or_default().insert(line["reason"].as_str().expect("a reason"));
    }
    let events = field.sipwall(&["events", "--json", "--octets"]);
    events.assert_done();
    let mut sampled = 0;
    for event in BufReader::new(events.stdout.as_bytes()).lines() {
        let event: Value = serde_json::from_str(&event.expect("a line")).expect("JSON");
        let octets = octets(event["octets"].as_str().expect("octets"));
        let reasons = dropped.get(&octets).unwrap_or_else(|| panic!("nothing like this is in the capture: {event}"));
        assert!(reasons.contains(event["reason"].as_str().expect("a reason")), "{reasons:?} in the replay: {event}");
        sampled += 1;
    }
    assert!(sampled >= 20, "{sampled} samples are too few to say anything");
}

/// What `stats` counts by reason and by rule.
fn totals(stats: &Value) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for (kind, name) in [("reasons", "reason"), ("rules", "rule")] {
        for count in stats[kind].as_array().expect("an array") {
            let total = totals.entry(count[name].as_str().expect("a name").to_owned()).or_default();
            *total += count["packets"].as_u64().expect("a number");
        }
    }
    totals
}

/// Octets of their hexadecimal digits.
fn octets(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("digits")).collect()
}

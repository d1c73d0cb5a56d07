//! `sipwall replay`, as a user runs it, and the two engines behind it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use expect_test::expect;
use filter_common::packet::tcp_flags::{ACK, SYN};
use filter_user::replay::{CapturedFrame, Engine as _, HostEngine, KERNEL_FRAMES, KernelEngine, Outcome};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    captures::{
        ByteOrder::{Big, Little},
        ETHERNET, NANOSECONDS, Pcap, Pcapng,
    },
    judge::fixture_policy,
    packets::{cut, ethernet, fragment, icmp, ipv6_extension, patch, raw, tagged, tcp, udp, udp_with},
    sipwall::{Ended, sipwall},
};

const SBC: &str = "198.51.100.10";

/// A directory with a capture and a policy.
struct Files {
    directory: TempDir,
    capture: PathBuf,
    policy: PathBuf,
}

impl Files {
    fn new(capture: &[u8]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.pcap");
        fs::write(&path, capture).expect("a file");
        let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/policy.toml");
        Self { directory, capture: path, policy }
    }

    /// With this replacement made in the policy's text.
    fn with_policy(mut self, old: &str, new: &str) -> Self {
        let fixtures = self.policy.parent().expect("a directory").to_owned();
        let text = fs::read_to_string(&self.policy).expect("the policy");
        assert!(text.contains(old), "the policy does not contain `{old}`");
        self.policy = self.capture.with_file_name("policy.toml");
        fs::write(&self.policy, text.replacen(old, new, 1)).expect("a file");
        fs::copy(fixtures.join("carrier.toml"), self.capture.with_file_name("carrier.toml")).expect("a file");
        self
    }

    /// Replays on the host: loading the program into the kernel takes its time.
    fn replay(&self, options: &[&str]) -> Ended {
        self.replay_in_kernel(&[&["--engine", "host"], options].concat())
    }

    /// Replays with the engine that is used unless another one is asked for.
    fn replay_in_kernel(&self, options: &[&str]) -> Ended {
        let [capture, policy] = [&self.capture, &self.policy].map(|path| path.to_str().expect("a plain path"));
        sipwall(&[&["replay", capture, "--policy", policy], options].concat())
    }
}

fn sbc(port: u16) -> String {
    format!("{SBC}:{port}")
}

fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().fold(Pcap::new(), |capture, frame| capture.frame(frame)).octets()
}

/// The objects that `--json` prints, one for each packet, and the summary.
fn objects(ended: &Ended) -> (Vec<Value>, Value) {
    let parsed = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`"));
    let mut objects: Vec<Value> = ended.stdout.lines().map(parsed).collect();
    let summary = objects.pop().expect("a summary");
    (objects, summary["summary"].clone())
}

/// Frames of every kind: listed, unlisted, malformed, essential, tagged, fragmented, short and long.
fn frames() -> Vec<Vec<u8>> {
    let sip = || udp("203.0.113.17:5060", &sbc(5060));
    let sip_v6 = || udp("[2001:db8:1:5::1]:5060", "[2001:db8:ffff::10]:5060");
    let mut frames = vec![
        sip(),
        sip_v6(),
        tcp("203.0.113.17:40000", &sbc(5061), SYN),
        tcp("203.0.113.1:443", &sbc(40000), ACK),
        tcp("203.0.113.1:443", &sbc(40000), SYN),
        udp("203.0.113.64:10000", &sbc(16384)),
        udp("203.0.113.64:9999", &sbc(16384)),
        udp("203.0.113.17:5060", &sbc(80)),
        udp("192.0.2.99:5060", &sbc(5060)),
        udp("192.0.2.33:5060", &sbc(5060)),
        udp("127.0.0.1:5060", &sbc(5060)),
        udp(&sbc(5060), "203.0.113.17:5060"),
        udp("203.0.113.17:5060", "224.0.0.1:5060"),
        icmp("192.0.2.99", SBC, 8, 64),
        icmp("fe80::1", "ff02::1", 134, 255),
        raw("192.0.2.77", SBC, 47, 64, &[0; 20]),
        tagged(sip(), &[0x88a8, 0x8100]),
        tagged(sip(), &[0x8100; 3]),
        fragment(sip(), 0, true),
        fragment(sip(), 1480, false),
        fragment(raw("192.0.2.77", SBC, 47, 64, &[0; 20]), 1480, false),
        fragment(sip_v6(), 0, true),
        ipv6_extension(sip_v6(), 60, [0; 8]),
        patch(sip(), 14, &[0x44]),
        tcp("203.0.113.17:40000", &sbc(5060), 0),
        ethernet([0xff; 6], 0x0806, &[0; 46]),
        ethernet([0xff; 6], 0x8864, &[0; 46]),
    ];
    frames.extend((0..=sip().len()).map(|length| cut(sip(), length)));
    // Of a frame that the kernel splits, the program would see the first piece alone.
    let longest = KERNEL_FRAMES.end() - 42;
    let lengths = [1472, longest, longest + 1, 3478, 3479, 8958, 65507];
    frames.extend(lengths.map(|length| udp_with("203.0.113.17:5060", &sbc(5060), &vec![0; length])));
    frames
}

/// A capture whose packets are easily counted: a carrier, two scanners, an oddity.
fn few() -> Vec<Vec<u8>> {
    let mut frames = vec![udp("203.0.113.17:5060", &sbc(5060)); 3];
    frames.extend((5060..5066).map(|port| udp("192.0.2.99:5060", &sbc(port))));
    frames.push(udp("192.0.2.99:5060", &sbc(5060)));
    frames.push(tcp("[2001:db8:3::1]:40000", "[2001:db8:ffff::10]:22", SYN));
    frames.push(tcp("203.0.113.17:40000", &sbc(80), SYN));
    frames.push(ethernet([0xff; 6], 0x0806, &[0; 46]));
    frames.push(fragment(udp("203.0.113.17:5060", &sbc(5060)), 1480, false));
    frames
}

#[test]
fn each_packet_has_a_line_of_json_and_the_summary_adds_them_up() {
    let frames =
        [few()[..1].to_vec(), few()[9..].to_vec(), vec![fragment(raw("192.0.2.77", SBC, 47, 64, &[0; 20]), 8, false)]];
    let ended = Files::new(&pcap(&frames.concat())).replay_in_kernel(&["--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    expect![[r#"
        {"index":0,"action":"pass","rule":"carrier/sip-udp","reason":"listed"}
        {"index":1,"action":"drop","rule":null,"reason":"source_unlisted"}
        {"index":2,"action":"drop","rule":null,"reason":"source_unlisted"}
        {"index":3,"action":"drop","rule":null,"reason":"port_closed"}
        {"index":4,"action":"pass","rule":null,"reason":"arp"}
        {"index":5,"action":"pass","rule":null,"reason":"fragment_listed"}
        {"index":6,"action":"pass","rule":"allow/tunnel","reason":"fragment_listed"}
        {"summary":{"packets":7,"passed":4,"dropped":3,"unknown":0,"skipped":0,"by_rule":{"carrier/sip-udp":1,"allow/tunnel":1},"by_reason":{"listed":1,"fragment_listed":2,"arp":1,"source_unlisted":2,"port_closed":1},"not_applied":["limits","return_traffic"]}}
    "#]]
    .assert_eq(&ended.stdout);
}

#[test]
fn people_see_what_would_be_dropped_from_whom_and_what_it_wanted() {
    let ended = Files::new(&pcap(&few())).replay(&[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    expect![[r"
        14 packets: 5 would pass, 9 would be dropped, 0 unknown
        rate limits and return traffic do not apply in a replay

        DROPPED FOR source_unlisted: 8
        No rule names its source.
         SENDER         PACKETS  WANTED
         192.0.2.99           7  udp 5060 (2), udp 5061 (1), udp 5062 (1), udp 5063 (1), and 2 more
         2001:db8:3::1        1  tcp 22 (1)

        DROPPED FOR port_closed: 1
        Its source is listed, but not for this destination port.
         SENDER        PACKETS  WANTED
         203.0.113.17        1  tcp 80 (1)

         LET IN BY RULE   PACKETS
         carrier/sip-udp        3

         LET IN WITHOUT A RULE  PACKETS
         fragment_listed              1
         arp                          1
    "]]
    .assert_eq(&ended.stdout);
}

#[test]
fn both_engines_say_the_same_of_every_frame() {
    let files = Files::new(&pcap(&frames()));
    let [kernel, host] = ["kernel", "host"].map(|engine| files.replay_in_kernel(&["--engine", engine, "--json"]));
    kernel.assert_done();
    assert_eq!(kernel, host);
    let (packets, _) = objects(&kernel);
    assert_eq!(packets.len(), frames().len());
    for action in ["pass", "drop"] {
        assert!(packets.iter().filter(|packet| packet["action"] == action).count() > 10, "{packets:?}");
    }
}

#[test]
fn a_capture_s_form_makes_no_difference() {
    let plain = Files::new(&pcap(&few())).replay(&["--json"]);
    plain.assert_done();
    let pcap = few().iter().fold(Pcap::of(Big, NANOSECONDS, ETHERNET.into()), |capture, frame| capture.frame(frame));
    let pcapng = Pcapng::of(Little).interface(ETHERNET, 0, &[]);
    let pcapng = few().iter().fold(pcapng, |capture, frame| capture.frame(0, frame));
    assert_eq!(Files::new(&pcap.octets()).replay(&["--json"]), plain);
    assert_eq!(Files::new(&pcapng.octets()).replay(&["--json"]), plain);
}

#[test]
fn a_frame_that_was_cut_off_has_the_verdict_of_the_whole_or_none() {
    let policy = fixture_policy(&[]).expect("a policy");
    let mut engines = [HostEngine::new(&policy), HostEngine::new(&policy)];
    let mut kernel = KernelEngine::new(&policy).expect("the program loads (this needs root)");
    let (mut known, mut unknown) = (0, 0);
    for frame in frames().iter().filter(|frame| frame.len() < 200) {
        let whole = engines[0].judge(&CapturedFrame::new(frame, frame.len())).expect("a verdict");
        for kept in 0..frame.len() {
            let cut = || CapturedFrame::new(&frame[..kept], frame.len());
            let outcome = engines[1].judge(&cut()).expect("an outcome");
            assert_eq!(kernel.judge(&cut()).expect("an outcome"), outcome);
            match outcome {
                Outcome::Unknown => unknown += 1,
                judged @ Outcome::Judged(_) => {
                    assert_eq!(judged, whole, "{kept} of {frame:02x?}");
                    known += 1;
                }
            }
        }
    }
    assert!(known > 500 && unknown > 500, "{known} known, {unknown} unknown");
}

#[test]
fn where_the_decision_needs_what_was_cut_off_the_fate_is_unknown() {
    let sip = udp("203.0.113.17:5060", &sbc(5060));
    // The ports and the length of the datagram end at octet 42.
    let capture = Pcap::new().cut(&sip, 41).cut(&sip, 42).cut(&sip, 13).cut(&ethernet([0xff; 6], 0x0806, &[0; 46]), 14);
    let files = Files::new(&capture.octets());
    let (packets, summary) = objects(&files.replay(&["--json"]));
    let actions: Vec<_> = packets.iter().map(|packet| packet["action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["unknown", "pass", "unknown", "pass"]);
    assert_eq!((&packets[0]["rule"], &packets[0]["reason"]), (&Value::Null, &Value::Null));
    assert_eq!((&summary["packets"], &summary["unknown"], &summary["passed"]), (&4.into(), &2.into(), &2.into()));
    let shown = files.replay(&[]).stdout;
    assert!(shown.contains("2 unknown\nunknown: the decision needs octets that the capture cut off"), "{shown}");
}

const TRACKED: [&str; 2] = ["[sbc]\n", "[sbc]\nfragments = \"tracked\"\n"];

/// The first fragment of a SIP datagram with so many octets of payload, and the one that follows it.
fn fragments(payload: usize) -> [Vec<u8>; 2] {
    let sip = |payload: usize| udp_with("203.0.113.17:5060", &sbc(5060), &vec![b'x'; payload]);
    let end = u16::try_from(8 + payload).expect("a datagram");
    [fragment(sip(payload), 0, true), fragment(sip(16), end, false)]
}

/// What both engines say of a capture's frames where fragments are tracked; it must be the same.
fn reasons_where_fragments_are_tracked(capture: &[u8]) -> Vec<String> {
    let files = Files::new(capture).with_policy(TRACKED[0], TRACKED[1]);
    let [kernel, host] = ["kernel", "host"].map(|engine| files.replay_in_kernel(&["--engine", engine, "--json"]));
    assert_eq!(kernel, host);
    let reason = |packet: &Value| packet["reason"].as_str().unwrap_or("unknown").to_owned();
    objects(&kernel).0.iter().map(reason).collect()
}

#[test]
fn tracked_fragments_are_remembered_whoever_could_judge_them() {
    for payload in [1472, 3480, 8952] {
        let [first, later] = fragments(payload);
        let capture = pcap(&[later.clone(), first, later]);
        let reasons = reasons_where_fragments_are_tracked(&capture);
        assert_eq!(reasons, ["fragment_early", "listed", "fragment_tracked"], "{payload} octets in the first one");
    }
    let [first, later] = fragments(1472);
    let cut = Pcap::new().cut(&first, 96).frame(&later).octets();
    assert_eq!(reasons_where_fragments_are_tracked(&cut), ["listed", "fragment_tracked"], "the first one was cut");
}

#[test]
fn tracked_fragments_are_forgotten_by_the_capture_s_clock() {
    let [first, later] = fragments(1472);
    let times = [(&first, 10), (&later, 39), (&later, 41), (&first, 3600), (&later, 3601)];
    let expected = ["listed", "fragment_tracked", "fragment_early", "listed", "fragment_tracked"];
    let microseconds = times.iter().fold(Pcap::new(), |capture, (frame, at)| capture.at(*at).frame(frame));
    let nanoseconds = Pcap::of(Big, NANOSECONDS, ETHERNET.into());
    let nanoseconds = times.iter().fold(nanoseconds, |capture, (frame, at)| capture.at(*at).frame(frame));
    for capture in [microseconds, nanoseconds] {
        assert_eq!(reasons_where_fragments_are_tracked(&capture.octets()), expected);
    }
    // `if_tsresol` in powers of ten and of two, and the usual microseconds.
    for (option, second) in
        [(&[0, 9, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0], 100), (&[0, 9, 0, 1, 0x84, 0, 0, 0, 0, 0, 0, 0], 16)]
    {
        let capture = Pcapng::of(Big).interface(ETHERNET, 0, option);
        let capture = times.iter().fold(capture, |capture, (frame, at)| capture.at(at * second).frame(0, frame));
        assert_eq!(reasons_where_fragments_are_tracked(&capture.octets()), expected, "{second} units a second");
    }
    let capture = Pcapng::of(Little).interface(ETHERNET, 0, &[]);
    let capture = times.iter().fold(capture, |capture, (frame, at)| capture.at(at * 1_000_000).frame(0, frame));
    assert_eq!(reasons_where_fragments_are_tracked(&capture.octets()), expected, "microseconds");
}

#[test]
fn a_later_fragment_may_belong_to_a_first_one_whose_fate_is_unknown() {
    let [first, later] = fragments(1472);
    let capture = Pcap::new().frame(&later).cut(&first, 40).frame(&later).octets();
    assert_eq!(reasons_where_fragments_are_tracked(&capture), ["fragment_early", "unknown", "unknown"]);
}

#[test]
fn what_the_host_itself_sent_can_be_left_out() {
    let own_malformed = patch(udp(&sbc(5060), "203.0.113.17:5060"), 16, &[0xff, 0xff]);
    let frames = vec![udp(&sbc(5060), "203.0.113.17:5060"), own_malformed, udp("203.0.113.17:5060", &sbc(5060))];
    let files = Files::new(&pcap(&frames));
    let (packets, summary) = objects(&files.replay(&["--json"]));
    assert_eq!(packets[0]["reason"], "own_source");
    assert_eq!((&summary["packets"], &summary["skipped"]), (&3.into(), &0.into()));
    let (packets, summary) = objects(&files.replay(&["--json", "--skip-egress"]));
    assert_eq!((packets.len(), &packets[0]["index"], &packets[0]["reason"]), (1, &2.into(), &"listed".into()));
    assert_eq!((&summary["packets"], &summary["skipped"]), (&1.into(), &2.into()));
    let without = files.with_policy("addresses = [\"198.51.100.10\", \"2001:db8:ffff::10\"]\n", "");
    without.replay(&["--skip-egress"]).assert_failed(2, "`--skip-egress` needs the host's own addresses");
}

#[test]
fn the_verdict_is_said_whatever_the_mode() {
    let capture = pcap(&few());
    let enforced = Files::new(&capture).replay(&["--json"]);
    let monitored = Files::new(&capture).with_policy("[sbc]\n", "[sbc]\nmode = \"monitor\"\n");
    assert_eq!(monitored.replay(&["--json"]), enforced);
    let shown = monitored.replay(&[]).stdout;
    assert!(shown.contains("the policy is in monitor mode: attached, it would drop nothing"), "{shown}");
}

#[test]
fn a_capture_without_packets_is_summed_up() {
    let ended = Files::new(&pcap(&[])).replay(&["--json"]);
    ended.assert_done();
    let (packets, summary) = objects(&ended);
    assert_eq!((packets.len(), &summary["packets"]), (0, &0.into()));
}

#[test]
fn what_cannot_be_replayed_is_refused_with_a_sentence() {
    let check = |capture: &[u8], message: &str| Files::new(capture).replay(&["--json"]).assert_failed(2, message);
    check(b"", "a.pcap` is empty");
    check(b"no capture at all", "a.pcap` is neither pcap nor pcapng\nhint: ");
    check(&Pcap::of(Little, NANOSECONDS, 113).octets(), "a.pcap` has frames of Linux's `any` interface");
    let missing = Files::new(b"");
    fs::remove_file(&missing.capture).expect("it was there");
    missing.replay(&[]).assert_failed(2, "a.pcap` cannot be read: No such file or directory");
    let directory = Files { capture: missing.directory.path().to_owned(), ..missing };
    directory.replay(&[]).assert_failed(2, "` cannot be read: Is a directory");
    let wrong = Files::new(&pcap(&few())).with_policy("[sbc]\n", "[sbc]\nmoad = \"enforce\"\n");
    wrong.replay(&[]).assert_failed(2, "policy.toml:3: ");
}

#[test]
fn what_comes_before_a_capture_s_broken_end_is_judged_and_the_break_is_said() {
    let capture = pcap(&few());
    let ended = Files::new(&capture[..capture.len() - 1]).replay(&["--json"]);
    ended.assert_failed(2, "a.pcap` ends in the middle of the record at octet ");
    let (packets, summary) = objects(&ended);
    assert_eq!((packets.len(), &summary["packets"]), (few().len() - 1, &(few().len() - 1).into()));
}

#[test]
fn who_may_not_load_the_program_is_told_how_to_replay_without() {
    let files = Files::new(&pcap(&few()));
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--inh-caps=-all", "--bounding-set=-all"]).arg(tests::sipwall::binary()).arg("replay");
    unprivileged.arg(&files.capture).arg("--policy").arg(&files.policy);
    let ended: Ended = unprivileged.output().expect("setpriv runs").into();
    ended.assert_failed(1, "error: cannot judge in the kernel: ");
    ended.assert_failed(1, "\nhint: `--engine host` needs no root\n");
    let ended: Ended = unprivileged.args(["--engine", "host"]).output().expect("setpriv runs").into();
    ended.assert_done();
}

#[test]
fn a_million_packets_take_seconds() {
    const PACKETS: usize = 1_000_000;
    let mut capture = Pcap::new().octets();
    let records = pcap(&few()).split_off(capture.len());
    for _ in 0..PACKETS / few().len() {
        capture.extend(&records);
    }
    let files = Files::new(&capture);
    let start = Instant::now();
    let ended = files.replay_in_kernel(&[]);
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    assert!(ended.stdout.starts_with("999992 packets: "), "{ended:?}");
}

#[test]
fn a_reader_that_went_away_ends_the_replay_in_peace() {
    let files = Files::new(&pcap(&vec![udp("192.0.2.99:5060", &sbc(5060)); 10_000]));
    let [binary, capture, policy] =
        [tests::sipwall::binary(), &files.capture, &files.policy].map(|path| path.display());
    let script =
        format!("set -o pipefail; {binary} replay {capture} --policy {policy} --engine host --json | head -n 1");
    let ended: Ended = Command::new("bash").args(["-c", &script]).output().expect("bash runs").into();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout.lines().count(), 1);
}

//! What is shown while a flood comes in by the NIC: totals are exact, and estimates are as good as samples are.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read as _},
    net::{SocketAddr, UdpSocket},
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tests::ports::bound;

use serde_json::Value;
use tests::{
    flood::Flood,
    http::{ask, connect, send},
    scene::{CARRIER, SBC, SCANNER, Scene, packets},
    service::{Service, wait_for},
    sipwall::binary,
};

const LISTENER: &str = "127.0.0.1:9464";
/// How long the flood lasts at least, and how many packets it has at least.
const LENGTH: (Duration, u64) = (Duration::from_secs(2), 2_000_000);
/// How many packets are sent at once.
const TURN: u32 = 500_000;

fn listener() -> SocketAddr {
    LISTENER.parse().expect("an address")
}

/// Follows the samples and adds up their weights, by source.
struct Follower {
    child: Child,
    reading: JoinHandle<(HashMap<String, u64>, u64)>,
}

impl Follower {
    fn start(scene: &Scene) -> Self {
        let mut command = scene.host("sbc").command(binary());
        command.args(["events", "--follow", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let reading = thread::spawn(move || {
            let (mut weights, mut missed) = (HashMap::new(), 0);
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).expect("JSON");
                missed += event["missed"].as_u64().unwrap_or_default();
                if let (Some(source), Some(weight)) = (event["source"].as_str(), event["weight"].as_u64()) {
                    *weights.entry(source.to_owned()).or_default() += weight;
                }
            }
            (weights, missed)
        });
        Self { child, reading }
    }

    /// The weights of all events, and how many were missed.
    fn end(mut self) -> (HashMap<String, u64>, u64) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.reading.join().expect("it reads to the end")
    }
}

/// How many packets the SBC's NIC received.
fn received(scene: &Scene) -> u64 {
    let shown = scene.host("sbc").command("ip").args(["-s", "-j", "link", "show", "eth0"]).output().expect("`ip` runs");
    let link: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    link[0]["stats64"]["rx"]["packets"].as_u64().expect("a number")
}

fn sum(counts: &Value) -> u64 {
    counts.as_array().expect("an array").iter().map(|count| count["packets"].as_u64().expect("a number")).sum()
}

/// All packets that `/metrics` tells of.
fn in_metrics(scene: &Scene) -> u64 {
    let page = scene.host("sbc").enter(|| ask(listener(), "GET", "/metrics", &[("host", LISTENER)])).expect("a host");
    let totals = page.body.lines().filter(|line| line.starts_with("sipwall_packets_total{"));
    totals.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// What the dashboard is told now.
fn told(scene: &Scene) -> Value {
    let read = || {
        let mut stream = connect(listener());
        send(&mut stream, "GET", "/events", &[("host", LISTENER)]).expect("it is sent");
        let (mut text, mut buffer) = (Vec::new(), vec![0; 65_536]);
        while !text.windows(3).any(|end| end == b"}\n\n") {
            let length = stream.read(&mut buffer).expect("the stream goes on");
            text.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(text).expect("text")
    };
    let text = scene.host("sbc").enter(read).expect("a host");
    let event = text.split_once("data: ").expect("an event").1;
    serde_json::from_str(event.split("\n\n").next().expect("its end")).expect("JSON")
}

/// What is estimated of a source's drops in the past ten minutes.
fn estimate(told: &Value, source: &str) -> u64 {
    let rankings = told["interfaces"][0]["knocking"].as_array().expect("rankings").iter();
    let mut wanted = rankings.filter(|ranking| ranking["by"] == "source" && ranking["span"] == "ten_minutes");
    let most = wanted.next().expect("a ranking")["most"].as_array().expect("sources").clone();
    most.iter()
        .find(|ranked| ranked["what"] == source)
        .map_or(0, |ranked| ranked["packets"].as_u64().expect("a number"))
}

/// Floods the SBC, and says how many packets were sent and how fast.
fn flood(scene: &Scene) -> (u64, Duration) {
    let flood = Flood::new(scene, SCANNER.parse::<std::net::Ipv4Addr>().expect("an address").octets());
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < LENGTH.0 || sent < LENGTH.1 {
        flood.send(TURN);
        sent += u64::from(TURN);
    }
    (sent, begun.elapsed())
}

/// Lets the carrier call while something is done; how many of its packets arrived.
fn with_calls<T>(scene: &Scene, during: impl FnOnce() -> T) -> (T, u64) {
    let bound = |host, address| bound(scene.host(host), || UdpSocket::bind((address, 5060)));
    let (carrier, sbc) = (bound("carrier", CARRIER), bound("sbc", SBC));
    sbc.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let (done, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
    let ended = thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                carrier.send_to(b"OPTIONS sip:x SIP/2.0\r\n", (SBC, 5060)).expect("a datagram leaves");
                thread::sleep(Duration::from_millis(5));
            }
        });
        threads.spawn(|| {
            let mut silent = 0;
            while !done.load(Ordering::Relaxed) || silent < 5 {
                let came = sbc.recv(&mut [0; 64]).is_ok();
                arrived.fetch_add(u64::from(came), Ordering::Relaxed);
                silent = if came { 0 } else { silent + 1 };
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        done.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (ended, arrived.into_inner())
}

#[test]
fn a_flood_changes_no_total_and_no_estimate_by_more_than_sampling_explains() {
    let scene = Scene::new();
    let mut service = Service::launch(&scene, &scene.policy("policy.toml", &[]), &["--listen", LISTENER], &[]);
    service.await_told("READY=1");
    let follower = Follower::start(&scene);
    // What came before the filter was there is not the filter's.
    let earlier = wait_for("nothing comes", || {
        let (before, stats, after) = (received(&scene), scene.stats(), received(&scene));
        (before == after).then(|| after - sum(&stats["reasons"]))
    });
    let ((sent, lasted), arrived) = with_calls(&scene, || flood(&scene));
    println!("{sent} packets in {lasted:?}: {} a millisecond", u128::from(sent) / lasted.as_millis().max(1));

    // Every number that is a total is the NIC's own.
    let stats = wait_for("all that was received is counted everywhere", || {
        let (received, stats) = (received(&scene) - earlier, scene.stats());
        let told = told(&scene);
        let all = [sum(&stats["reasons"]), in_metrics(&scene), sum(&told["interfaces"][0]["reasons"])];
        (all == [received; 3]).then_some(stats)
    });
    let dropped = packets(&stats, "reason", "source_unlisted", Some("drop"));
    assert!(dropped <= sent && dropped > LENGTH.1 / 2, "{dropped} of {sent} came in by the NIC");
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), arrived, "calls are not miscounted");
    assert!(arrived > 100, "{arrived}");

    // Weights of samples add up to what was dropped, but for what came after the last one.
    let (weights, missed) = follower.end();
    let all: u64 = weights.values().sum();
    assert!(all <= dropped, "{all} of {dropped}");
    if missed == 0 {
        assert!(all * 100 >= dropped * 95, "{all} of {dropped}");
    }
    // A quarter of the flood was the scanner's: some thousand samples are off by a few hundredths of all.
    let estimated = estimate(&told(&scene), SCANNER);
    let hundredths = estimated * 100 / dropped;
    assert!((20..=30).contains(&hundredths), "{estimated} of {dropped}");
    let sampled = stats["sampled"].as_u64().expect("a number");
    assert!(sampled < dropped / 100, "{sampled} samples of {dropped} are too many");
}

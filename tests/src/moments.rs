//! Moments of a service as the dashboard is told them: invented, for what no test can wait for.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use filter_common::{Action, Reason};
use filter_user::{
    kernel::{Confirmation, Status, XdpMode},
    listener::{
        DroppedPacket, Explain, Fill, InterfaceSnapshot, Knocking, ReasonTraffic, RuleTraffic, Running, Samples,
        Settings, Snapshot, SourceSnapshot, Traffic, start,
    },
    replay::Wanted,
    telemetry::{By, Ranked, Refused, Span},
};
use tokio::sync::watch;

/// A listener on loopback, and what it is told.
#[derive(Debug)]
pub struct Listening {
    /// The listener.
    pub running: Running,
    sender: watch::Sender<Arc<Snapshot>>,
}

impl Listening {
    /// Listens on a port of the system's choice.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn new(snapshot: Snapshot) -> Self {
        Self::with(&loopback(0), snapshot, None)
    }

    /// Listens with these settings.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn with(settings: &Settings, snapshot: Snapshot, explain: Option<Arc<dyn Explain>>) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(snapshot));
        let ready = settings.ready().expect("the settings are good");
        Self { running: start(ready, receiver, explain).expect("it listens"), sender }
    }

    /// Tells it of another moment.
    pub fn tell(&self, snapshot: Snapshot) {
        self.sender.send_replace(Arc::new(snapshot));
    }
}

/// The settings of a listener on loopback.
pub fn loopback(port: u16) -> Settings {
    Settings { address: ([127, 0, 0, 1], port).into(), tls: None, token: None, names: Vec::new() }
}

/// An interface that was just attached: nothing has come yet.
pub fn idle() -> InterfaceSnapshot {
    let reason = |reason: &Reason, action| ReasonTraffic {
        reason: reason.name(),
        action,
        packets: 0,
        bytes: 0,
        recent_packets: 0,
    };
    let carried_out = Reason::ALL.iter().map(|each| reason(each, each.action().name()));
    let drops = Reason::ALL.iter().filter(|each| each.action() == Action::Drop);
    let rules = ["allow/ssh", "kore/media", "kore/sip-tls", "kore/sip-udp", "twilio/media", "twilio/sip-udp"];
    InterfaceSnapshot {
        status: status(),
        reasons: carried_out.chain(drops.map(|each| reason(each, "would_drop"))).collect(),
        rules: rules.iter().map(|rule| RuleTraffic { rule: (*rule).to_owned(), ..RuleTraffic::default() }).collect(),
        traffic: vec![Traffic { milliseconds: 1000, ..Traffic::default() }; 300],
        fill: vec![
            Fill { map: "sources_v4", entries: 112, capacity: 100_000 },
            Fill { map: "sources_v6", entries: 4, capacity: 100_000 },
            Fill { map: "rule_counters", entries: 6, capacity: 1024 },
            Fill { map: "deny_v4", entries: 0, capacity: 1_000_000 },
            Fill { map: "deny_v6", entries: 0, capacity: 1_000_000 },
        ],
        drift: Some(false),
        samples: Some(Samples::default()),
        refused: Refused::default(),
        knocking: Some(Vec::new()),
        drops: Some(Vec::new()),
    }
}

fn status() -> Status {
    Status {
        interface: "eth0".to_owned(),
        running: true,
        attach_mode: Some(XdpMode::Native),
        mode: Some("enforce"),
        scope: Some("interface"),
        generation: 3,
        named_generation: 3,
        confirmation: Confirmation::Confirmed,
        policy: Some("policy.toml".to_owned()),
        published_at: Some(1_700_000_000),
        rule_count: 6,
        prefixes_v4: 112,
        prefixes_v6: 4,
        denied_count: 0,
        program_id: 41,
        build: Some("0.1.0".to_owned()),
        is_this_build: true,
    }
}

/// A moment of one interface.
pub fn moment(interface: InterfaceSnapshot) -> Snapshot {
    let source = SourceSnapshot { provider: "kore".to_owned(), age: Some(4210), every: 21_600, failures: Some(0) };
    Snapshot { taken_at: now(), interfaces: vec![interface], sources: vec![source], ..Snapshot::default() }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("not that late")
}

/// Calls of two providers, and a scan.
pub fn calls_and_scan() -> InterfaceSnapshot {
    let mut interface = idle();
    interface.traffic = (0..300_u64)
        .map(|second| {
            let calls = 480 + 40 * (second / 45) + (second * 7919) % 37;
            let scan = if second > 190 { 260 + (second * 104_729) % 90 } else { (second * 31) % 3 };
            Traffic { milliseconds: 1000, passed: calls, dropped: scan, by_rule: calls, ..Traffic::default() }
        })
        .collect();
    for (rule, packets, quiet_for) in [
        ("kore/media", 2_104_122, 0),
        ("kore/sip-udp", 9_210, 1),
        ("twilio/media", 1_822_004, 0),
        ("twilio/sip-udp", 8_004, 4),
        ("allow/ssh", 310, 131),
    ] {
        carry(&mut interface, rule, packets, quiet_for);
    }
    end(&mut interface, "source_unlisted", "drop", 31_200, 2_790);
    end(&mut interface, "echo_request", "drop", 91, 2);
    end(&mut interface, "listed", "pass", 3_943_650, 7_100);
    interface.samples = Some(Samples { taken: 18_022, lost: 13_269 });
    (interface.knocking, interface.drops) = (Some(knocking()), Some(drops()));
    interface
}

fn knocking() -> Vec<Knocking> {
    let (udp, tcp) = (Wanted::Udp, Wanted::Tcp);
    let sources = vec![
        ranked("185.243.5.77", 24_010, &[udp(5060), udp(5061), udp(5080), tcp(5060)], "source_unlisted"),
        ranked("45.134.144.10", 6_902, &[tcp(22), tcp(2222)], "source_unlisted"),
        ranked("2001:db8:dead:beef::5060", 288, &[udp(5060)], "source_unlisted"),
        ranked("192.0.2.14", 91, &[Wanted::Icmp(8)], "echo_request"),
    ];
    let networks = vec![
        ranked("185.243.5.0/24", 24_010, &[udp(5060), udp(5061)], "source_unlisted"),
        ranked("45.134.144.0/24", 6_902, &[tcp(22), tcp(2222)], "source_unlisted"),
    ];
    let wanted = vec![ranked("udp 5060", 20_000, &[], "source_unlisted")];
    let over = |span| {
        [(By::Source, &sources), (By::Network, &networks), (By::Wanted, &wanted)].map(|(by, most)| Knocking {
            span,
            by,
            packets: 31_291,
            count: most.len(),
            most: most.clone(),
        })
    };
    Span::ALL.into_iter().flat_map(over).collect()
}

/// Something that was dropped so often, for one reason.
pub fn ranked(what: &str, packets: u64, wanted: &[Wanted], reason: &'static str) -> Ranked {
    Ranked { what: what.to_owned(), packets, reasons: vec![reason], wanted: wanted.to_vec() }
}

fn drops() -> Vec<DroppedPacket> {
    let dropped = |ago, source: &str, port, protocol: &str, to, reason, text: Option<&str>| DroppedPacket {
        at: now() - ago,
        source: source.to_owned(),
        source_port: Some(port),
        destination: Some([198, 51, 100, 10].into()),
        destination_port: Some(to),
        protocol: protocol.to_owned(),
        text: text.map(str::to_owned),
        reason,
        would_drop: false,
    };
    vec![
        dropped(200, "185.243.5.77", 5071, "udp", 5060, "source_unlisted", Some("REGISTER sip:198.51.100.10 SIP/2.0")),
        dropped(
            210,
            "185.243.5.77",
            5071,
            "udp",
            5061,
            "source_unlisted",
            Some("OPTIONS sip:100@198.51.100.10 SIP/2.0"),
        ),
        dropped(900, "45.134.144.10", 51_022, "tcp", 22, "source_unlisted", None),
        dropped(
            1400,
            "185.243.5.77",
            5071,
            "udp",
            5080,
            "source_unlisted",
            Some("INVITE sip:00442071234567@198.51.100.10 SIP/2.0"),
        ),
    ]
}

/// A rule that has let in so much, and lets in more unless it is quiet.
///
/// # Panics
/// If there is no such rule.
pub fn carry(interface: &mut InterfaceSnapshot, rule: &str, packets: u64, quiet_for: u64) {
    let known = interface.rules.iter_mut().find(|known| known.rule == rule).expect("a rule");
    let lately = if quiet_for < 10 { packets / 900 } else { 0 };
    let trend = (0..30).map(|span| if quiet_for < 10 { lately + lately * (span * 13 % 7) / 20 } else { 0 });
    *known = RuleTraffic {
        rule: rule.to_owned(),
        packets,
        bytes: packets * 214,
        recent_packets: lately,
        recent_bytes: lately * 214,
        trend: trend.collect(),
        quiet_for,
    };
}

/// A reason that has ended so many packets.
///
/// # Panics
/// If there is no such counter.
pub fn end(interface: &mut InterfaceSnapshot, reason: &str, action: &str, packets: u64, lately: u64) {
    let wanted = |known: &&mut ReasonTraffic| known.reason == reason && known.action == action;
    let known = interface.reasons.iter_mut().find(wanted).expect("a reason");
    (known.packets, known.bytes, known.recent_packets) = (packets, packets * 420, lately);
}

/// A flood of a million packets a second from invented sources, beside the calls.
pub fn flood() -> InterfaceSnapshot {
    let mut interface = calls_and_scan();
    for (second, traffic) in interface.traffic.iter_mut().enumerate() {
        traffic.dropped += if second > 240 { 1_000_000 } else { 0 };
    }
    end(&mut interface, "source_unlisted", "drop", 4_812_000_000_000, 10_000_000);
    interface.samples = Some(Samples { taken: 1_200_000, lost: 4_811_998_800_000 });
    interface
}

/// Packets of a listed source are dropped, and much else is not as it should be.
pub fn at_risk() -> InterfaceSnapshot {
    let mut interface = calls_and_scan();
    interface.status.confirmation = Confirmation::Pending { remaining_seconds: 42, fallback: Some(2) };
    for traffic in &mut interface.traffic[200..] {
        traffic.dropped += 57;
        traffic.listed_dropped = 57;
    }
    end(&mut interface, "source_port", "drop", 5_700, 570);
    carry(&mut interface, "twilio/media", 1_822_004, 900);
    carry(&mut interface, "twilio/sip-udp", 8_004, 1_020);
    interface.drift = Some(true);
    interface
}

/// Monitor mode, which lets pass what would be dropped, packets of a listed source among it.
pub fn monitoring() -> InterfaceSnapshot {
    let mut interface = at_risk();
    interface.status.mode = Some("monitor");
    interface.status.confirmation = Confirmation::Confirmed;
    interface.drift = Some(false);
    for traffic in &mut interface.traffic {
        (traffic.would_drop, traffic.dropped) = (traffic.dropped, 0);
    }
    for (reason, packets, lately) in
        [("source_unlisted", 31_200, 2_790), ("echo_request", 91, 2), ("source_port", 5_700, 570)]
    {
        end(&mut interface, reason, "drop", 0, 0);
        end(&mut interface, reason, "would_drop", packets, lately);
    }
    interface
}

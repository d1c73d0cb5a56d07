//! An INVITE that is too long for one packet, sent in fragments to a real SIP peer behind the filter.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, UdpSocket},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use tests::ports::bound;

use filter_common::Reason::{self, FragmentEarly, FragmentListed, FragmentTracked, Listed};
use ipnet::IpNet;
use lab::{Host, Lab, Plan, Process};
use socket2::{Domain, Protocol, Socket, Type};
use tests::{
    judge::fixture_file,
    packets::{ETHERNET, in_fragments, udp_with},
    sipwall::sipwall_on,
};

/// The SBC and the carrier, in either family.
const ENDS: [[&str; 2]; 2] = [["198.51.100.10", "203.0.113.17"], ["2001:db8:ffff::10", "2001:db8:1:5::1"]];
const SIP: u16 = 5060;
/// What `IPPROTO_RAW` sockets send has its IP header already.
const IPPROTO_RAW: i32 = 255;
/// How long an INVITE is with many codecs, headers of several proxies and a signed identity.
const INVITE: usize = 2300;
/// Where the second fragment begins: what fits into a packet of 1,500 octets, in either family.
const CUT: usize = 1448;
/// How long an answer may take, and how long none must come to say that none does.
const PATIENCE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(1);

/// An SBC behind the filter on which `SIPp` answers calls, and a carrier.
struct Scene {
    lab: Lab,
    sbc: SocketAddr,
    carrier: SocketAddr,
    /// Of the carrier, where answers come to.
    socket: UdpSocket,
    _sipp: Process,
}

impl Scene {
    fn new(ends: [&str; 2], fragments: &str) -> Self {
        let [sbc, carrier] = ends.map(|address| address.parse::<IpAddr>().expect("an address"));
        let plans = [Plan::new("sbc", [IpNet::from(sbc)]), Plan::new("carrier", [IpNet::from(carrier)])];
        let lab = Lab::new(&plans).expect("namespaces can be made (this needs root)");
        let [sbc, carrier] = [sbc, carrier].map(|address| SocketAddr::from((address, SIP)));
        let setting = format!("[sbc]\nfragments = \"{fragments}\"\n");
        let (_directory, policy) = fixture_file(&[("[sbc]\n", &setting)]).expect("the fixture");
        let host = lab.host("sbc").expect("it was planned");
        sipwall_on(host, &["attach", "eth0", "--policy", policy.to_str().expect("a plain path")]).assert_done();
        let sipp = answer_calls(host, sbc);
        let caller = lab.host("carrier").expect("it was planned");
        let socket = bound(caller, || UdpSocket::bind(carrier));
        Self { lab, sbc, carrier, socket, _sipp: sipp }
    }

    /// Whether `SIPp` takes the call of this number.
    fn is_answered(&self, call: u8, patience: Duration) -> bool {
        self.socket.set_read_timeout(Some(patience)).expect("a timeout");
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    if answer.starts_with("SIP/2.0 200 ") && answer.contains(&format!("Call-ID: {call}@carrier")) {
                        return true;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sends the INVITE of a call as the carrier's own kernel cuts it.
    fn invite(&self, call: u8) {
        self.socket.send_to(&invite(call, self.carrier), self.sbc).expect("a datagram leaves");
    }

    /// Sends the INVITE of a call in two fragments, in this order.
    fn invite_in_order(&self, call: u8, order: [usize; 2]) {
        let frame = udp_with(&self.carrier.to_string(), &self.sbc.to_string(), &invite(call, self.carrier));
        let fragments = in_fragments(&frame, CUT, call);
        let socket = self.lab.host("carrier").expect("it was planned").enter(|| raw_socket(self.sbc));
        let socket = socket.expect("a host");
        for place in order {
            // Without a port, which means a protocol here.
            let to = SocketAddr::from((self.sbc.ip(), 0));
            socket.send_to(&fragments[place][ETHERNET..], &to.into()).expect("a fragment leaves");
        }
    }

    /// How many packets were counted for a reason.
    fn counted(&self, reason: Reason) -> u64 {
        let stats = sipwall_on(self.lab.host("sbc").expect("it was planned"), &["stats", "eth0", "--json"]).json();
        let counts = stats["reasons"].as_array().expect("an array");
        let counts = counts.iter().filter(|count| count["reason"] == reason.name());
        counts.map(|count| count["packets"].as_u64().expect("a number")).sum()
    }

    fn assert_counted<const N: usize>(&self, expected: [(Reason, u64); N]) {
        assert_eq!(expected.map(|(reason, _)| (reason, self.counted(reason))), expected, "{}", self.sbc);
    }
}

fn raw_socket(to: SocketAddr) -> Socket {
    Socket::new(Domain::for_address(to), Type::RAW, Some(Protocol::from(IPPROTO_RAW))).expect("a raw socket")
}

/// `SIPp` on the SBC: it answers calls.
fn answer_calls(sbc: &Host, address: SocketAddr) -> Process {
    let mut sipp = sbc.command("sipp");
    sipp.args(["-sn", "uas", "-nostdin", "-i", &address.ip().to_string(), "-p", &SIP.to_string()]);
    let process = sipp.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Process::start(process).expect("SIPp starts");
    let end = Instant::now() + PATIENCE;
    while !sbc.enter(is_bound).expect("a host") {
        assert!(Instant::now() < end, "SIPp does not listen on the SBC");
        thread::sleep(Duration::from_millis(10));
    }
    process
}

/// Whether this thread's network namespace has a UDP socket at SIP's port.
fn is_bound() -> bool {
    let sockets = ["udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")));
    let local = format!(":{SIP:04X}");
    let is_local = |line: &str| line.split_whitespace().nth(1).is_some_and(|address| address.ends_with(&local));
    sockets.iter().flatten().any(|table| table.lines().any(is_local))
}

/// An INVITE of [`INVITE`] octets.
fn invite(call: u8, carrier: SocketAddr) -> Vec<u8> {
    let head = format!(
        "INVITE sip:service@sbc SIP/2.0\r\n\
         Via: SIP/2.0/UDP {carrier};branch=z9hG4bK-{call}\r\n\
         From: <sip:carrier@{carrier}>;tag={call}\r\n\
         To: <sip:service@sbc>\r\n\
         Call-ID: {call}@carrier\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:carrier@{carrier}>\r\n\
         Max-Forwards: 70\r\n\
         Content-Length: 0\r\n\
         X-Padding: "
    );
    let padding = INVITE - head.len() - 4;
    [head, "x".repeat(padding), "\r\n\r\n".to_owned()].concat().into_bytes()
}

#[test]
fn an_invite_in_fragments_is_answered_in_either_order_where_fragments_are_listed() {
    for ends in ENDS {
        let scene = Scene::new(ends, "listed");
        scene.invite(1);
        assert!(scene.is_answered(1, PATIENCE), "{ends:?}, as the kernel cuts it");
        scene.invite_in_order(2, [0, 1]);
        assert!(scene.is_answered(2, PATIENCE), "{ends:?}, in order");
        scene.invite_in_order(3, [1, 0]);
        assert!(scene.is_answered(3, PATIENCE), "{ends:?}, the later one first");
        scene.assert_counted([(Listed, 3), (FragmentListed, 3), (FragmentEarly, 0)]);
    }
}

#[test]
fn an_invite_in_fragments_is_answered_in_order_where_fragments_are_tracked() {
    for ends in ENDS {
        let scene = Scene::new(ends, "tracked");
        scene.invite(1);
        assert!(scene.is_answered(1, PATIENCE), "{ends:?}, as the kernel cuts it");
        scene.invite_in_order(2, [0, 1]);
        assert!(scene.is_answered(2, PATIENCE), "{ends:?}, in order");
        scene.assert_counted([(Listed, 2), (FragmentTracked, 2), (FragmentEarly, 0)]);
        scene.invite_in_order(3, [1, 0]);
        assert!(!scene.is_answered(3, SILENCE), "{ends:?}, the later one first");
        scene.assert_counted([(Listed, 3), (FragmentTracked, 2), (FragmentEarly, 1)]);
        // What SIP does over UDP where no answer comes: it sends again, as a datagram of its own.
        scene.invite(3);
        assert!(scene.is_answered(3, PATIENCE), "{ends:?}, sent again");
    }
}

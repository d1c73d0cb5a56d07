//! What the decision remembers between packets: fragments, flows, rates; and inspection. Judged in both worlds.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use filter_common::{
    Outgoing,
    Reason::{self, *},
    decide, outgoing,
    packet::tcp_flags::{ACK, SYN},
};
use filter_user::{
    kernel::Sandbox,
    policy::{CompiledPolicy, HostPolicy, HostState},
};
use tests::{
    judge::fixture_policy,
    packets::{ETHERNET, cut, echo, fragment, icmp, in_fragments, patch, tcp, udp, udp_with},
};

const SBC: &str = "198.51.100.10";
const CARRIER: &str = "203.0.113.17:5060";
const SIP: &str = "198.51.100.10:5060";
const CARRIER_V6: &str = "[2001:db8:1:5::1]:5060";
const SIP_V6: &str = "[2001:db8:ffff::10]:5060";

/// A policy in force in both worlds, each with its memory.
struct Worlds {
    policy: HostPolicy,
    state: HostState,
    kernel: Sandbox,
}

impl Worlds {
    /// Puts `tests/fixtures/policy.toml` in force, with this put in front of its `[sbc.listen]`.
    fn new(sbc: &str, tables: &str) -> Self {
        let listen = format!("{sbc}\n{tables}\n[sbc.listen]");
        let policy = compiled(&[("[sbc.listen]", &listen)]);
        let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
        kernel.publish(&policy).expect("the policy is published");
        let state = HostState::default();
        // A clock that has run for a while, as the kernel's has.
        state.advance(60_000_000_000);
        Self { policy: HostPolicy::new(&policy), state, kernel }
    }

    /// Puts another policy in force, which is the fixture with these replacements.
    fn publish(&mut self, changes: &[(&str, &str)]) {
        let policy = compiled(changes);
        self.kernel.publish(&policy).expect("the policy is published");
        self.policy = HostPolicy::new(&policy);
    }

    /// What both worlds say of an arriving frame.
    fn arrives(&mut self, frame: &[u8]) -> Reason {
        let host = decide(frame, &self.policy, &self.state);
        let kernel = self.kernel.judge(frame).expect("the program runs");
        assert_eq!(host, kernel);
        kernel.reason()
    }

    /// Lets both worlds see a frame that the host sends.
    fn sends(&mut self, frame: &[u8]) -> Option<Outgoing> {
        let noted = outgoing(frame, &self.policy);
        if let Some(outgoing) = &noted {
            self.state.note(outgoing);
        }
        self.kernel.send(frame).expect("the egress program runs");
        noted
    }
}

fn compiled(changes: &[(&str, &str)]) -> CompiledPolicy {
    fixture_policy(changes).expect("the policy compiles").by_the_hour()
}

/// The fragments of one datagram, each with 32 octets of it, the first with its UDP header.
fn datagram(from: &str, to: &str, identification: u8) -> (Vec<u8>, Vec<u8>) {
    in_fragments(&udp_with(from, to, &[b'x'; 56]), 32, identification).into()
}

const TRACKED: &str = "fragments = \"tracked\"";

#[test]
fn a_tracked_fragment_passes_behind_its_first_one() {
    for (from, to) in [(CARRIER, SIP), (CARRIER_V6, SIP_V6)] {
        let mut worlds = Worlds::new(TRACKED, "");
        let (first, later) = datagram(from, to, 7);
        assert_eq!(worlds.arrives(&first), Listed, "{from}");
        assert_eq!(worlds.arrives(&later), FragmentTracked, "{from}");
        assert_eq!(worlds.arrives(&later), FragmentTracked, "{from}, once more");
    }
}

#[test]
fn a_tracked_fragment_before_its_first_one_is_dropped() {
    for (from, to) in [(CARRIER, SIP), (CARRIER_V6, SIP_V6)] {
        let mut worlds = Worlds::new(TRACKED, "");
        let (first, later) = datagram(from, to, 7);
        assert_eq!(worlds.arrives(&later), FragmentEarly, "{from}");
        assert_eq!(worlds.arrives(&first), Listed, "{from}");
        let (_, other) = datagram(from, to, 8);
        assert_eq!(worlds.arrives(&other), FragmentEarly, "{from}, another datagram's");
    }
}

#[test]
fn fragments_that_rewrite_their_first_one_are_dropped() {
    for (from, to) in [(CARRIER, SIP), (CARRIER_V6, SIP_V6)] {
        let mut worlds = Worlds::new(TRACKED, "");
        let (first, later) = datagram(from, to, 7);
        assert_eq!(worlds.arrives(&first), Listed, "{from}");
        assert_eq!(worlds.arrives(&first), FragmentOverlap, "{from}, a second first one");
        let overlapping = if later[ETHERNET] >> 4 == 6 {
            patch(later, ETHERNET + 42, &[0, 24])
        } else {
            patch(later, ETHERNET + 6, &[0, 3])
        };
        assert_eq!(worlds.arrives(&overlapping), FragmentOverlap, "{from}, at offset 24 of 32");
    }
}

#[test]
fn the_later_fragment_of_a_dropped_first_one_is_dropped() {
    let mut worlds = Worlds::new(TRACKED, "");
    let (first, later) = datagram("192.0.2.99:5060", SIP, 7);
    assert_eq!(worlds.arrives(&first), SourceUnlisted);
    assert_eq!(worlds.arrives(&later), FragmentEarly);
}

#[test]
fn a_first_fragment_is_forgotten_in_time() {
    let worlds = Worlds::new(TRACKED, "");
    let (first, later) = datagram(CARRIER, SIP, 7);
    let host = |frame: &[u8]| decide(frame, &worlds.policy, &worlds.state).reason();
    assert_eq!(host(&first), Listed);
    worlds.state.advance(filter_common::FRAGMENT_LIFETIME);
    assert_eq!(host(&later), FragmentEarly);
    assert_eq!(host(&first), Listed, "the identification may be used again");
}

const RETURN: &str = "return_traffic = \"tracked\"";
const RESOLVER: &str = "192.0.2.200:53";

#[test]
fn answers_to_what_this_host_sent_pass() {
    let mut worlds = Worlds::new(RETURN, "");
    let (local, web) = ("198.51.100.10:40000", "192.0.2.80:443");
    assert_eq!(worlds.arrives(&udp(RESOLVER, local)), SourceUnlisted);
    worlds.sends(&udp(local, RESOLVER)).expect("a flow");
    assert_eq!(worlds.arrives(&udp(RESOLVER, local)), ReturnTraffic);
    worlds.sends(&tcp(local, web, SYN)).expect("a flow");
    assert_eq!(worlds.arrives(&tcp(web, local, SYN | ACK)), ReturnTraffic);
    worlds.sends(&echo(SBC, "192.0.2.1", 8, 77)).expect("a flow");
    assert_eq!(worlds.arrives(&echo("192.0.2.1", SBC, 0, 77)), ReturnTraffic);
    let (local, resolver) = ("[2001:db8:ffff::10]:40000", "[2001:db8:53::53]:53");
    worlds.sends(&udp(local, resolver)).expect("a flow");
    assert_eq!(worlds.arrives(&udp(resolver, local)), ReturnTraffic);
    worlds.sends(&echo("2001:db8:ffff::10", "2001:db8:53::1", 128, 78)).expect("a flow");
    assert_eq!(worlds.arrives(&echo("2001:db8:53::1", "2001:db8:ffff::10", 129, 78)), ReturnTraffic);
}

#[test]
fn what_only_looks_like_an_answer_is_dropped() {
    let mut worlds = Worlds::new(RETURN, "");
    let (local, web) = ("198.51.100.10:40000", "192.0.2.80:443");
    worlds.sends(&udp(local, RESOLVER)).expect("a flow");
    worlds.sends(&tcp(local, web, SYN)).expect("a flow");
    worlds.sends(&echo(SBC, "192.0.2.1", 8, 77)).expect("a flow");
    for (what, frame, reason) in [
        ("another port of the server", udp("192.0.2.200:54", local), SourceUnlisted),
        ("another port here", udp(RESOLVER, "198.51.100.10:40001"), SourceUnlisted),
        ("another server", udp("192.0.2.202:53", local), SourceUnlisted),
        ("an opening segment", tcp(web, local, SYN), SourceUnlisted),
        ("TCP from the resolver", tcp(RESOLVER, local, ACK), SourceUnlisted),
        ("another echo", echo("192.0.2.1", SBC, 0, 78), EchoReply),
        ("an echo request", echo("192.0.2.1", SBC, 8, 77), EchoRequest),
        ("a denied source", udp("192.0.2.33:53", local), Denied),
    ] {
        assert_eq!(worlds.arrives(&frame), reason, "{what}");
    }
}

#[test]
fn flows_that_need_no_note_are_not_noted() {
    let mut worlds = Worlds::new(RETURN, "");
    for (what, frame) in [
        ("a rule lets the answers in", udp("198.51.100.10:40000", "203.0.113.1:3478")),
        ("from a SIP port, where attempts look like answers", udp(SIP, "192.0.2.99:5060")),
        ("from a media port", udp("198.51.100.10:16384", "192.0.2.99:5060")),
        ("to many", udp("198.51.100.10:40000", "224.0.0.251:5353")),
        ("the answer of a server here", tcp("198.51.100.10:80", "192.0.2.99:40000", SYN | ACK)),
        ("an echo reply", echo(SBC, "192.0.2.99", 0, 1)),
    ] {
        let opens = worlds.sends(&frame).is_some_and(|outgoing| outgoing.opens);
        assert!(!opens, "{what}");
    }
    assert_eq!(worlds.arrives(&udp("192.0.2.99:5060", SIP)), SourceUnlisted);
    assert_eq!(worlds.arrives(&tcp("192.0.2.99:40000", "198.51.100.10:80", ACK)), SourceUnlisted);
}

/// What floods the ports of the SBC is spared the look-up of a flow, as these open none.
#[test]
fn what_comes_to_an_own_port_answers_nothing_though_a_policy_before_noted_a_flow_from_there() {
    let flows = [("198.51.100.10:5099", "192.0.2.80:443"), ("[2001:db8:ffff::10]:5099", "[2001:db8:53::53]:443")];
    let mut worlds = Worlds::new(RETURN, "");
    for (local, remote) in flows {
        worlds.sends(&udp(local, remote)).expect("a flow");
        worlds.sends(&tcp(local, remote, SYN)).expect("a flow");
        assert_eq!(worlds.arrives(&udp(remote, local)), ReturnTraffic);
        assert_eq!(worlds.arrives(&tcp(remote, local, SYN | ACK)), ReturnTraffic);
    }
    let listen = format!("{RETURN}\n[sbc.listen]\nsip-wss = [5099]");
    for (own_udp, datagrams) in [("[5060]", ReturnTraffic), ("[5060, 5099]", SourceUnlisted)] {
        let own_udp = format!("sip-udp = {own_udp}");
        worlds.publish(&[("[sbc.listen]", &listen), ("sip-udp = [5060]", &own_udp)]);
        for (local, remote) in flows {
            assert_eq!(worlds.arrives(&udp(remote, local)), datagrams, "{own_udp}, from {remote}");
            assert_eq!(worlds.arrives(&tcp(remote, local, SYN | ACK)), SourceUnlisted, "{own_udp}, from {remote}");
        }
    }
}

#[test]
fn without_return_traffic_nothing_is_noted() {
    let mut worlds = Worlds::new("", "");
    assert!(worlds.sends(&udp("198.51.100.10:40000", RESOLVER)).is_none());
    assert_eq!(worlds.arrives(&udp(RESOLVER, "198.51.100.10:40000")), SourceUnlisted);
}

#[test]
fn a_flow_is_forgotten_in_time_and_kept_by_sending() {
    const SECOND: u64 = 1_000_000_000;
    let worlds = Worlds::new(RETURN, "");
    let local = "198.51.100.10:40000";
    let answer = || decide(udp(RESOLVER, local).as_slice(), &worlds.policy, &worlds.state).reason();
    let note = || worlds.state.note(&outgoing(udp(local, RESOLVER).as_slice(), &worlds.policy).expect("a flow"));
    note();
    worlds.state.advance(119 * SECOND);
    assert_eq!(answer(), ReturnTraffic);
    note();
    worlds.state.advance(119 * SECOND);
    assert_eq!(answer(), ReturnTraffic);
    worlds.state.advance(SECOND);
    assert_eq!(answer(), SourceUnlisted);
}

#[test]
fn a_flood_of_new_flows_is_held_to_a_rate() {
    let mut kernel = Worlds::new(RETURN, "").kernel;
    let local = "198.51.100.10:40000";
    let server = |index: u32| format!("10.{}.{}.{}:53", index >> 16 & 0xff, index >> 8 & 0xff, index & 0xff);
    let started = std::time::Instant::now();
    for index in 0..20_000 {
        kernel.send(&udp(local, &server(index))).expect("the egress program runs");
    }
    let noted = |kernel: &mut Sandbox, index| {
        kernel.judge(&udp(&server(index), local)).expect("the program runs").reason() == ReturnTraffic
    };
    let kept = (0..20_000).filter(|index| noted(&mut kernel, *index)).count();
    // A burst of 1,000 and 1,000 a second, on each CPU that this test may have run on.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let milliseconds = usize::try_from(started.elapsed().as_millis()).expect("a short test");
    let most = (1_000 + milliseconds) * cpus;
    assert!((1_000..=most).contains(&kept), "{kept} of 20,000 noted");
    assert!(noted(&mut kernel, 0), "the first flow is still known");
}

#[test]
fn a_flood_of_new_sources_is_held_to_a_rate_and_pushes_no_known_one_out() {
    let pings = fixture_policy(&[("[sbc.listen]", "[classes]\nping = \"pass\"\n[sbc.listen]")]);
    let policy = pings.expect("the policy compiles").by_the_hour();
    let mut kernel = Sandbox::for_policy(&policy).expect("the program loads");
    kernel.publish(&policy).expect("the policy is published");
    let source = |net: u32, index: u32| format!("{net}.{}.{}.{}", index >> 16 & 0xff, index >> 8 & 0xff, index & 0xff);
    let mut passing = |net, count| {
        let pings = (0..count).map(|index| icmp(&source(net, index), SBC, 8, 64));
        pings.filter(|ping| kernel.judge(ping).expect("the program runs").reason() == Ping).count()
    };
    let known = passing(10, 200);
    assert_eq!(known, 200);
    let started = std::time::Instant::now();
    let new = passing(11, 20_000);
    // A burst of 1,000 and 1,000 a second, on each CPU that this test may have run on.
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let milliseconds = usize::try_from(started.elapsed().as_millis()).expect("a short test");
    let most = (1_000 + milliseconds) * cpus;
    // What is left of a burst, where the test runs on one CPU all the time.
    let least = 1_000 - known;
    assert!((least..=most).contains(&new), "{new} of 20,000 passed");
    assert_eq!(passing(10, 200), known, "those that were known before");
}

#[test]
fn limits_hold_for_each_source_and_have_reasons_of_their_own() {
    let limits =
        "[classes]\nping = \"pass\"\n[limits]\nsip = \"1/s burst 5\"\ntcp = \"1/s burst 3\"\nicmp = \"1/s burst 2\"\n";
    let mut worlds = Worlds::new("", limits);
    let sip = udp(CARRIER, SIP);
    let opening = tcp(CARRIER, SIP, SYN);
    let ping = icmp("192.0.2.99", SBC, 8, 64);
    for (what, frame, burst, passing, reason) in [
        ("SIP over UDP", &sip, 5, Listed, RateLimitSip),
        ("new TCP connections", &opening, 3, Listed, RateLimitTcp),
        ("ICMP", &ping, 2, Ping, RateLimitIcmp),
    ] {
        for _ in 0..burst {
            assert_eq!(worlds.arrives(frame), passing, "{what}");
        }
        assert_eq!(worlds.arrives(frame), reason, "{what}, one more");
    }
    assert_eq!(worlds.arrives(&udp("203.0.113.18:5060", SIP)), Listed, "another source");
    assert_eq!(worlds.arrives(&tcp(CARRIER, SIP, ACK)), Listed, "an open connection");
    assert_eq!(worlds.arrives(&udp("203.0.113.64:10000", "198.51.100.10:16384")), Listed, "media");
}

#[test]
fn hosts_of_one_ipv6_subnet_share_a_limit() {
    let mut worlds = Worlds::new("", "[limits]\nsip = \"1/s burst 2\"\n");
    assert_eq!(worlds.arrives(&udp("[2001:db8:1:5::1]:5060", SIP_V6)), Listed);
    assert_eq!(worlds.arrives(&udp("[2001:db8:1:5::2]:5060", SIP_V6)), Listed);
    assert_eq!(worlds.arrives(&udp("[2001:db8:1:5::3]:5060", SIP_V6)), RateLimitSip);
}

#[test]
fn a_limit_that_is_off_is_no_limit() {
    let mut worlds = Worlds::new("", "[limits]\nsip = \"off\"\n");
    for _ in 0..10_000 {
        assert_eq!(worlds.arrives(&udp(CARRIER, SIP)), Listed);
    }
}

#[test]
fn the_default_limits_let_a_busy_provider_through() {
    let mut worlds = Worlds::new("", "");
    for _ in 0..3_000 {
        assert_eq!(worlds.arrives(&udp(CARRIER, SIP)), Listed);
    }
}

#[test]
fn inspection_looks_at_the_first_octet_of_sip_and_media_over_udp() {
    let mut worlds = Worlds::new("", "[inspect]\nsip = \"enforce\"\nmedia = \"enforce\"\n");
    let sip = |payload: &[u8]| udp_with(CARRIER, SIP, payload);
    let media = |payload: &[u8]| udp_with("203.0.113.64:10000", "198.51.100.10:16384", payload);
    let odd_first_fragment = fragment(sip(&[0x80; 32]), 0, true);
    for (what, frame, reason) in [
        ("a request", sip(b"INVITE sip:a@b SIP/2.0\r\n"), Listed),
        ("a response", sip(b"SIP/2.0 200 OK\r\n"), Listed),
        ("an unknown method", sip(b"xyzzy sip:a@b SIP/2.0\r\n"), Listed),
        ("a double CRLF", sip(b"\r\n\r\n"), Listed),
        ("four NULs", sip(&[0; 4]), Listed),
        ("an empty datagram", sip(&[]), Listed),
        ("STUN on SIP's port", sip(&[0, 1, 0, 0]), Listed),
        ("RTP on SIP's port", sip(&[0x80, 0]), InspectSip),
        ("JSON on SIP's port", sip(b"{}"), InspectSip),
        ("a first fragment", odd_first_fragment, InspectSip),
        ("RTP", media(&[0x80, 0]), Listed),
        ("DTLS", media(&[22, 254]), Listed),
        ("ZRTP", media(&[16, 0]), Listed),
        ("a TURN channel", media(&[0x40, 0]), Listed),
        ("SIP on a media port", media(b"INVITE"), Listed),
        ("a name on a media port", media(b"options"), InspectMedia),
        ("all ones on a media port", media(&[0xff]), InspectMedia),
        ("an empty datagram on a media port", media(&[]), Listed),
        ("TCP", tcp(CARRIER, SIP, ACK), Listed),
        ("a later fragment", fragment(sip(&[0x80; 32]), 1480, false), FragmentListed),
    ] {
        assert_eq!(worlds.arrives(&frame), reason, "{what}");
    }
}

#[test]
fn inspection_that_counts_lets_pass_and_notes() {
    let mut worlds = Worlds::new("", "[inspect]\nsip = \"count\"\n");
    let odd = udp_with(CARRIER, SIP, &[0x80]);
    let verdict = worlds.kernel.judge(&odd).expect("the program runs");
    assert_eq!((verdict.reason(), verdict.noted()), (Listed, Some(InspectSip)));
    worlds.kernel.run(&odd).expect("the program runs");
    let stats = worlds.kernel.stats().expect("the counters can be read");
    let counted = |reason: Reason, action| {
        stats
            .reasons
            .iter()
            .find(|count| count.reason == reason.name() && count.action == action)
            .map(|count| count.packets)
    };
    assert_eq!(counted(Listed, "pass"), Some(1));
    assert_eq!(counted(InspectSip, "would_drop"), Some(1));
    assert_eq!(counted(InspectSip, "drop"), Some(0));
}

#[test]
fn the_t38_escape_spares_a_providers_media() {
    let provider = "name = \"carrier\"\n";
    let escape = format!("{provider}t38 = true\n");
    let inspect = "[inspect]\nmedia = \"enforce\"\n[sbc.listen]";
    let policy = fixture_policy(&[("[sbc.listen]", inspect), (provider, &escape)]).expect("the policy compiles");
    let mut kernel = Sandbox::new().expect("the program loads");
    kernel.publish(&policy).expect("the policy is published");
    let fax = udp_with("203.0.113.64:10000", "198.51.100.10:16384", &[0xff, 0xff]);
    assert_eq!(kernel.judge(&fax).expect("the program runs").reason(), Listed);
}

#[test]
fn a_truncated_datagram_is_never_inspected_beyond_its_end() {
    let mut worlds = Worlds::new("", "[inspect]\nsip = \"enforce\"\n");
    let frame = udp_with(CARRIER, SIP, &[]);
    assert_eq!(worlds.arrives(&[frame.clone(), vec![0xff; 18]].concat()), Listed, "padding is no payload");
    assert_eq!(worlds.arrives(&cut(frame, 41)), Ipv4TotalLength);
}

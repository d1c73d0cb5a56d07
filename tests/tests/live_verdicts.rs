//! Live allows beside a policy, judged in both worlds: `decide` on the host and the program in the kernel.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use filter_common::{
    Reason::*,
    live::Expiry,
    packet::tcp_flags::{ACK, SYN},
};
use filter_user::policy::{LiveAllow, LiveMatch};
use tests::{
    judge::Judges,
    packets::{fragment, icmp, raw, tagged, tcp, udp},
};

const SBC: &str = "198.51.100.10:22";
const SBC_V6: &str = "[2001:db8:ffff::10]:22";
const HOST: &str = "198.51.100.10";

fn allow(name: &str, from: &[&str], matches: &[LiveMatch]) -> LiveAllow {
    let from = from.iter().map(|prefix| prefix.parse().expect("a prefix")).collect();
    LiveAllow { name: name.to_owned(), from, matches: matches.to_vec(), expiry: Expiry::NEVER, comment: String::new() }
}

fn to_tcp(ports: &str) -> LiveMatch {
    LiveMatch::Tcp(ports.parse().expect("ports"))
}

fn to_udp(ports: &str) -> LiveMatch {
    LiveMatch::Udp(ports.parse().expect("ports"))
}

/// Allows that lie beside, around and inside each other and the policy's sources.
fn allows() -> Vec<LiveAllow> {
    let over = LiveAllow { expiry: Expiry::at(1), ..allow("over", &["192.0.2.99/32"], &[to_tcp("443")]) };
    vec![
        allow("vendor", &["192.0.2.96/28", "2001:db8:3::/48"], &[to_tcp("22"), to_tcp("8000-8010")]),
        allow("inner", &["192.0.2.99/32"], &[to_udp("5060")]),
        allow("listed", &["203.0.113.17/32", "192.0.2.33/32", "192.0.2.130/32"], &[to_tcp("80-90")]),
        allow("tunnel-two", &["192.0.2.98/32"], &[LiveMatch::Protocol(50), LiveMatch::Protocol(1)]),
        over,
    ]
}

fn judges(changes: &[(&str, &str)]) -> Judges {
    let judges = Judges::new(changes).and_then(|judges| judges.allow(&allows()));
    judges.expect("policy and allows are in force in both worlds (this needs root)")
}

/// The packet, its reason and its rule.
type Row = (&'static str, Vec<u8>, filter_common::Reason, Option<&'static str>);

fn check(changes: &[(&str, &str)], rows: Vec<Row>) {
    let mut judges = judges(changes);
    for (name, frame, reason, rule) in rows {
        judges.check(name, &frame, reason, rule);
    }
}

#[test]
fn what_is_allowed_passes_by_its_rule_and_nothing_else_does() {
    let to = |port: u16| format!("{HOST}:{port}");
    check(
        &[],
        vec![
            ("an allowed port", tcp("192.0.2.96:40000", SBC, SYN), Listed, Some("allow/vendor")),
            ("its later segments", tcp("192.0.2.96:40000", SBC, ACK), Listed, Some("allow/vendor")),
            ("in two tags", tagged(tcp("192.0.2.96:1", SBC, SYN), &[0x88a8, 0x8100]), Listed, Some("allow/vendor")),
            ("IPv6", tcp("[2001:db8:3::1]:40000", SBC_V6, SYN), Listed, Some("allow/vendor")),
            ("the first of a range", tcp("192.0.2.111:1", &to(8000), SYN), Listed, Some("allow/vendor")),
            ("the last of a range", tcp("192.0.2.111:1", &to(8010), SYN), Listed, Some("allow/vendor")),
            ("one below", tcp("192.0.2.111:1", &to(7999), SYN), SourceUnlisted, None),
            ("one above", tcp("192.0.2.111:1", &to(8011), SYN), SourceUnlisted, None),
            ("UDP to a TCP port", udp("192.0.2.96:1", SBC), SourceUnlisted, None),
            ("a source beside", tcp("192.0.2.112:1", SBC, SYN), SourceUnlisted, None),
            (
                "the longer prefix has the shorter one's too",
                tcp("192.0.2.99:1", SBC, SYN),
                Listed,
                Some("allow/vendor"),
            ),
            ("and its own", udp("192.0.2.99:1", &to(5060)), Listed, Some("allow/inner")),
            ("which the shorter one has not", udp("192.0.2.97:1", &to(5060)), SourceUnlisted, None),
            ("what is over", tcp("192.0.2.99:1", &to(443), SYN), SourceUnlisted, None),
            ("a protocol", raw("192.0.2.98", HOST, 50, 64, &[0; 20]), Listed, Some("allow/tunnel-two")),
            ("a ping", icmp("192.0.2.98", HOST, 8, 64), Listed, Some("allow/tunnel-two")),
            ("a ping from another", icmp("192.0.2.97", HOST, 8, 64), EchoRequest, None),
            ("a redirect is never let in", icmp("192.0.2.98", HOST, 5, 64), Redirect, None),
            ("beside what the policy lists", tcp("203.0.113.17:1", &to(80), SYN), Listed, Some("allow/listed")),
            ("the policy's own comes first", udp("203.0.113.17:5060", &to(5060)), Listed, Some("carrier/sip-udp")),
            ("a provider's always-deny list", tcp("192.0.2.130:1", &to(80), SYN), Listed, Some("allow/listed")),
            ("the deny list", tcp("192.0.2.33:1", &to(80), SYN), Denied, None),
            ("another destination", tcp("192.0.2.96:1", "198.51.100.11:22", SYN), DestinationForeign, None),
            ("multicast", udp("192.0.2.99:1", "224.0.1.75:5060"), DestinationMulticast, None),
        ],
    );
}

#[test]
fn later_fragments_pass_where_something_of_their_protocol_is_allowed() {
    let later = |source: &str| fragment(tcp(source, SBC, ACK), 1480, false);
    let rows = |listed, several: Option<&'static str>| {
        vec![
            ("of two terms", later("192.0.2.96:1"), listed, None),
            ("of one term", fragment(udp("192.0.2.99:1", SBC), 1480, false), listed, several),
        ]
    };
    check(&[], rows(FragmentListed, Some("allow/inner")));
    check(
        &[],
        vec![
            ("another protocol", fragment(udp("192.0.2.97:1", SBC), 1480, false), FragmentUnlisted, None),
            ("unlisted", later("192.0.2.112:1"), FragmentUnlisted, None),
            ("IPv6", fragment(tcp("[2001:db8:3::1]:1", SBC_V6, ACK), 1448, false), FragmentListed, None),
            (
                "anything, IPv6",
                fragment(raw("2001:db8:3::1", "2001:db8:ffff::10", 60, 64, &[0; 8]), 1448, true),
                FragmentListed,
                None,
            ),
        ],
    );
    check(&[("[sbc]\n", "[sbc]\nfragments = \"drop\"\n")], rows(FragmentRefused, None));
}

#[test]
fn what_is_allowed_ends_with_the_allow() {
    let judges = judges(&[]).allow(&[]).expect("there is room for nothing");
    let mut judges = judges;
    judges.check("an allowed port", &tcp("192.0.2.96:40000", SBC, SYN), SourceUnlisted, None);
    judges.check("the policy", &udp("203.0.113.17:5060", "198.51.100.10:5060"), Listed, Some("carrier/sip-udp"));
}

#[test]
fn as_many_terms_as_there_can_be_are_looked_through() {
    let ports: Vec<LiveMatch> = (1..=64).map(|port| to_udp(&(2 * port).to_string())).collect();
    let judges = Judges::new(&[]).and_then(|judges| judges.allow(&[allow("many", &["192.0.2.99/32"], &ports)]));
    let mut judges = judges.expect("there is room for 64 terms");
    judges.check("the last one", &udp("192.0.2.99:1", "198.51.100.10:128"), Listed, Some("allow/many"));
    judges.check("none", &udp("192.0.2.99:1", "198.51.100.10:129"), SourceUnlisted, None);
}

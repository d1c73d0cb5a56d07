//! A policy that takes another's place while packets arrive: none is judged by a mixture of the two.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{Duration, Instant},
};

use filter_user::{
    kernel::{Sandbox, Stats, loaded},
    policy::{CompiledPolicy, Policy},
};
use lab::{Lab, Plan};
use tests::packets::{tcp, udp};

/// Packets and switches in all, at the least.
const PACKETS: u64 = 10_000_000;
const SWITCHES: u32 = 1000;

/// How long the kernel may take to free what nothing holds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many packets are sent at a time: as many as the kernel takes tenths of a second for.
const AT_A_TIME: u32 = 500_000;

/// Two policies that have nothing in common but one provider, and differ in all else that a verdict is made of.
const POLICIES: [&str; 2] = [
    r#"
[sbc]
addresses = ["198.51.100.10", "2001:db8:ffff::10"]
[sbc.listen]
sip-udp = [5060]
sip-tcp = [5060]
sip-tls = "off"
sip-wss = "off"
media = ["16384-32767"]
[limits]
sip = "off"
tcp = "off"
[[allow]]
name = "both"
from = ["192.0.2.1", "2001:db8:1::1"]
udp = [4000]
[[allow]]
name = "sources-of-one"
from = ["192.0.2.16/28", "2001:db8:2::/48"]
udp = [5060]
tcp = [5060]
[[allow]]
name = "denied-by-one"
from = ["192.0.2.64/28", "2001:db8:4::/48"]
udp = [4000]
[[deny]]
name = "those"
from = ["192.0.2.64/28", "2001:db8:4::/48"]
"#,
    r#"
[sbc]
addresses = ["198.51.100.10", "2001:db8:ffff::10"]
[sbc.listen]
sip-udp = [5070]
sip-tcp = [5070]
sip-tls = "off"
sip-wss = "off"
media = ["40000-50000"]
[limits]
sip = "off"
tcp = "off"
[[allow]]
name = "sources-of-the-other"
from = ["192.0.2.32/28", "2001:db8:3::/48"]
udp = [5070]
tcp = [5070]
[[allow]]
name = "both"
from = ["192.0.2.1", "2001:db8:1::1"]
udp = [4000]
"#,
];

/// A kind of packet, and what each policy says of it: the rule that lets it in, or the reason why none does.
struct Kind {
    what: &'static str,
    v4: Vec<u8>,
    v6: Vec<u8>,
    fates: [&'static str; 2],
}

fn kinds() -> Vec<Kind> {
    use filter_common::packet::tcp_flags::SYN;
    let udp = |what, from: [&str; 2], port: u16, fates| Kind {
        what,
        v4: udp(&format!("{}:6000", from[0]), &format!("198.51.100.10:{port}")),
        v6: udp(&format!("[{}]:6000", from[1]), &format!("[2001:db8:ffff::10]:{port}")),
        fates,
    };
    let tcp = |what, from: [&str; 2], port: u16, fates| Kind {
        what,
        v4: tcp(&format!("{}:6000", from[0]), &format!("198.51.100.10:{port}"), SYN),
        v6: tcp(&format!("[{}]:6000", from[1]), &format!("[2001:db8:ffff::10]:{port}"), SYN),
        fates,
    };
    let (both, one) = (["192.0.2.1", "2001:db8:1::1"], ["192.0.2.17", "2001:db8:2::1"]);
    let (other, denied) = (["192.0.2.33", "2001:db8:3::1"], ["192.0.2.65", "2001:db8:4::1"]);
    let nobody = ["192.0.2.200", "2001:db8:9::1"];
    vec![
        udp("what both let in", both, 4000, ["allow/both", "allow/both"]),
        udp("what the first lets in", one, 5060, ["allow/sources-of-one", "source_unlisted"]),
        udp("a source of the first, a port of the second", one, 5070, ["port_closed", "source_unlisted"]),
        udp("a source of the second, a port of the first", other, 5060, ["source_unlisted", "port_closed"]),
        tcp("the same over TCP", other, 5060, ["source_unlisted", "port_closed"]),
        tcp("what the second lets in", other, 5070, ["source_unlisted", "allow/sources-of-the-other"]),
        udp("what the first lists and denies", denied, 4000, ["denied", "source_unlisted"]),
        udp("what nobody lets in", nobody, 4000, ["source_unlisted", "source_unlisted"]),
    ]
}

fn compiled(name: &str, text: &str) -> CompiledPolicy {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    fs::write(&path, text).expect("a file");
    Policy::load(&path).expect("the policy is sound").compile().expect("the policy compiles")
}

/// Packets by rule, and by reason where no rule let them in.
fn fates(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let Stats { rules, reasons, .. } = sandbox.stats().expect("the counters can be read");
    let mut fates: BTreeMap<String, u64> = rules.into_iter().map(|count| (count.rule, count.packets)).collect();
    for count in reasons.into_iter().filter(|count| count.reason != "listed") {
        *fates.entry(count.reason.to_owned()).or_default() += count.packets;
    }
    fates
}

/// What was counted between two times.
fn counted(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let since = |fate: &str, packets: u64| packets - before.get(fate).copied().unwrap_or_default();
    let counted = after.into_iter().map(|(fate, packets)| (since(&fate, packets), fate));
    counted.filter(|(packets, _)| *packets > 0).map(|(packets, fate)| (fate, packets)).collect()
}

#[test]
fn no_packet_is_judged_by_a_mixture_of_two_policies_that_take_turns() {
    let policies = [compiled("one.toml", POLICIES[0]), compiled("other.toml", POLICIES[1])];
    let policies = policies.each_ref();
    let mut sandbox = Sandbox::new().expect("the program loads (this needs root)");
    // Each of the three slots has tries of its own from its first policy on.
    for policy in [policies[0], policies[1], policies[0]] {
        sandbox.publish(policy).expect("the policy is published");
    }
    let lab = Lab::new(&[Plan::new("sbc", ["198.51.100.10/32".parse().expect("an address")])]).expect("a namespace");
    let host = lab.host("sbc").expect("it was planned");
    let (before, memory) = (loaded(), resident());
    let (mut packets, mut switches) = (0, 0);
    let mut seen = BTreeSet::new();
    while packets < PACKETS || switches < SWITCHES {
        for Kind { what, v4, v6, fates: allowed } in kinds() {
            for frame in [v4, v6] {
                let before = fates(&sandbox);
                let switched = host.enter(|| sandbox.switch_under_traffic(&frame, AT_A_TIME, &policies));
                switches += switched.expect("a host").expect("live frames");
                let counted = counted(&before, fates(&sandbox));
                assert_eq!(counted.values().sum::<u64>(), u64::from(AT_A_TIME), "{what}: {counted:?}");
                let mixed: Vec<_> = counted.keys().filter(|fate| !allowed.contains(&fate.as_str())).collect();
                assert!(mixed.is_empty(), "{what}: neither policy says {mixed:?}: {counted:?}");
                packets += u64::from(AT_A_TIME);
                seen.extend(counted.into_keys().map(|fate| (what, fate)));
            }
        }
    }
    // Packets met both policies, or they would prove nothing.
    for Kind { what, fates, .. } in kinds() {
        assert!(fates.iter().all(|fate| seen.contains(&(what, (*fate).to_owned()))), "{what}: only {seen:?}");
    }
    eprintln!("{packets} packets, {switches} switches");
    assert_nothing_is_left(before, memory);
}

/// Asserts that so many policies have left no program, map or memory behind.
fn assert_nothing_is_left(before: [usize; 2], memory: usize) {
    let end = Instant::now() + PATIENCE;
    // The kernel frees what nothing holds any more in its own time.
    while loaded() != before {
        assert!(Instant::now() < end, "there are {:?} programs and maps, and were {before:?}", loaded());
        thread::sleep(Duration::from_millis(50));
    }
    let grown = resident().saturating_sub(memory);
    assert!(grown < 32 << 20, "{grown} octets of memory more than before");
}

/// Octets of memory that this process has.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let sizes = fs::read_to_string("/proc/self/statm").expect("a process has sizes");
    sizes.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * PAGE
}

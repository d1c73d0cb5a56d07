//! VRRP: a pair of SBCs with keepalived, each behind a filter of its own, on one link.

use lab::Process;
use tests::{scene::packets, service::wait_for, sipwall::sipwall_on, unpacked::start};

use crate::place::{DAEMONS, MATE, PLAIN, Party, Place, Policy, SBC, shell};

const LET_IN: Policy<'static> = Policy { classes: "vrrp = \"pass\"", ..PLAIN };
/// A rule for the SBC's VRRP.
const FROM_SBC: &str = "[[allow]]\nname = \"mate\"\nfrom = [\"10.10.0.1\"]\nprotocols = [112]";
/// The addresses that belong to the master.
const SHARED: [&str; 2] = ["10.10.0.100/24", "fd00:10::100/64"];

/// The pair on a bridge of the router's, each at a transit address of its own.
fn pair() -> Place {
    let place = Place::new(&[SBC, MATE]);
    shell(place.core(), "ip link add br0 type bridge; ip link set br0 up");
    for (party, number) in [(SBC, 1), (MATE, 2)] {
        shell(place.core(), &format!("ip link set to-{} master br0", party.name));
        shell(place.host(party), &format!("ip address add 10.10.0.{number}/24 dev eth0"));
    }
    place
}

fn keepalived(place: &Place, party: Party, priority: &str, lines: &str) -> Process {
    let words = [("NAME", party.name), ("PRIORITY", priority), ("LINES", lines)];
    let name = |kind: &str| place.path(&format!("{}-keepalived.{kind}", party.name));
    let configuration =
        place.write(&format!("{}-keepalived.conf", party.name), include_str!("keepalived.conf"), &words);
    let mut keepalived = DAEMONS.command(place.host(party), "usr/sbin/keepalived");
    keepalived.args(["-n", "-l", "-D", "-P", "-f", &configuration, "-p", &name("pid"), "-r", &name("vrrp.pid")]);
    start(&mut keepalived, name("log").as_ref())
}

/// Whether a host bears both shared addresses; none if it bears one of them.
fn is_master(place: &Place, party: Party) -> Option<bool> {
    let addresses = shell(place.host(party), "ip -brief address show eth0");
    match SHARED.iter().filter(|address| addresses.contains(*address)).count() {
        0 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

fn await_masters(place: &Place, sbc: bool, mate: bool) {
    wait_for(&format!("master: the SBC {sbc}, its mate {mate}; {}", place.said("mate-keepalived.log")), || {
        (is_master(place, SBC) == Some(sbc) && is_master(place, MATE) == Some(mate)).then_some(())
    });
}

fn mate_reason(place: &Place, name: &str) -> u64 {
    packets(&sipwall_on(place.host(MATE), &["stats", "eth0", "--json"]).json(), "reason", name, None)
}

#[test]
fn a_pair_fails_over_where_vrrp_passes_and_has_two_masters_where_it_does_not() {
    let place = pair();
    place.attach(PLAIN);
    // A rule lets in nothing that goes to multicast.
    place.attach_on(MATE, Policy { more: FROM_SBC, ..PLAIN });
    let _keepalived = [keepalived(&place, SBC, "150", ""), keepalived(&place, MATE, "100", "")];
    await_masters(&place, true, true);
    wait_for("advertisements are dropped", || (mate_reason(&place, "destination_multicast") >= 4).then_some(()));
    assert_eq!(mate_reason(&place, "vrrp"), 0);

    place.attach(LET_IN);
    place.attach_on(MATE, LET_IN);
    await_masters(&place, true, false);
    wait_for("advertisements pass", || (mate_reason(&place, "vrrp") >= 10).then_some(()));

    shell(place.sbc(), "ip link set eth0 down");
    await_masters(&place, false, true);
    shell(place.sbc(), "ip link set eth0 up");
    await_masters(&place, true, false);
    assert_eq!(place.sipwall(&["status", "eth0", "--json"]).json()["attach_mode"], "native");
    place.await_reason("vrrp", 1);
}

/// Between two addresses VRRP needs no knob: a rule lets in that of the mate alone.
#[test]
fn a_pair_without_multicast_needs_a_rule_for_its_mate_alone() {
    let place = pair();
    let from_mate = FROM_SBC.replace("10.10.0.1", "10.10.0.2");
    place.attach(PLAIN);
    place.attach_on(MATE, PLAIN);
    let peers = |own: &str, other: &str| format!("unicast_src_ip {own}\n    unicast_peer {{ {other} }}");
    let _keepalived = [
        keepalived(&place, SBC, "150", &peers("10.10.0.1", "10.10.0.2")),
        keepalived(&place, MATE, "100", &peers("10.10.0.2", "10.10.0.1")),
    ];
    let bears = |party: Party| shell(place.host(party), "ip -brief address show eth0").contains(SHARED[0]);
    wait_for("two masters", || (bears(SBC) && bears(MATE)).then_some(()));
    wait_for("advertisements are dropped", || (mate_reason(&place, "source_unlisted") >= 2).then_some(()));
    place.attach(Policy { more: &from_mate, ..PLAIN });
    place.attach_on(MATE, Policy { more: FROM_SBC, ..PLAIN });
    wait_for("one master", || (bears(SBC) && !bears(MATE)).then_some(()));
    assert_eq!(mate_reason(&place, "vrrp"), 0);
    let stats = sipwall_on(place.host(MATE), &["stats", "eth0", "--json"]).json();
    assert!(packets(&stats, "rule", "allow/mate", None) >= 1, "{stats}");
}

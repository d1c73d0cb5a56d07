//! ARP and neighbour discovery: without them a host goes dark minutes after a filter is attached.

use std::{net::UdpSocket, time::Duration};

use lab::Host;
use tests::{service::wait_for, unpacked::start};

use crate::place::{
    CARRIER, DAEMONS, MATE, PLAIN, Place, Policy, ROUTER, SBC, SILENCE, arrives, printed, shell, socket,
};

/// How long an entry is believed where it is hastened, as a setting: the kernel takes half to one and a half of it.
const REACHABLE: &str = "400";
/// How long a datagram may take that must arrive; one that waits for a neighbour takes a second or more.
const LIMIT: Duration = Duration::from_secs(10);

/// Shortens the lives of a link's neighbours, so that they are asked for anew every second or two.
fn hasten(host: &Host, link: &str) {
    for family in ["ipv4", "ipv6"] {
        let table = format!("/proc/sys/net/{family}/neigh/{link}");
        shell(
            host,
            &format!(
                "echo {REACHABLE} > {table}/base_reachable_time_ms; echo 200 > {table}/retrans_time_ms; \
                 echo 1 > {table}/delay_first_probe_time; echo 1 > {table}/gc_stale_time"
            ),
        );
    }
}

/// Sockets of the SBC and of the carrier, IPv4 and IPv6.
fn pairs(place: &Place, limit: Duration) -> [[UdpSocket; 2]; 2] {
    let pair =
        |sbc, carrier| [socket(place.sbc(), sbc, 5060, limit), socket(place.host(CARRIER), carrier, 5060, limit)];
    [pair(SBC.ipv4, CARRIER.ipv4), pair(SBC.ipv6, CARRIER.ipv6)]
}

/// Whether a datagram from the carrier and its answer arrive, by IPv4 and IPv6.
fn talk(pairs: &[[UdpSocket; 2]; 2]) -> bool {
    pairs.iter().all(|[sbc, carrier]| arrives(carrier, sbc) && arrives(sbc, carrier))
}

/// What the SBC knows of the router.
fn known(place: &Place) -> String {
    shell(place.sbc(), "ip neigh show dev eth0")
}

fn flush(place: &Place) {
    shell(place.sbc(), "ip neigh flush dev eth0");
    shell(place.core(), "ip neigh flush dev to-sbc");
}

/// A place where neighbours are soon forgotten, with a policy in force.
fn hastened(policy: Policy<'_>) -> Place {
    let place = Place::new(&[SBC, CARRIER]);
    hasten(place.sbc(), "eth0");
    hasten(place.core(), "to-sbc");
    place.attach(policy);
    place
}

#[test]
fn neighbours_are_asked_for_again_and_again_and_no_datagram_is_lost() {
    let place = hastened(PLAIN);
    let pairs = pairs(&place, LIMIT);
    let counted = || (place.reason("arp"), place.reason("neighbor_discovery"));
    let before = counted();
    wait_for("both tables were renewed several times", || {
        assert!(talk(&pairs), "the SBC knows {}", known(&place));
        let now = counted();
        (now.0 >= before.0 + 6 && now.1 >= before.1 + 6).then_some(())
    });
    flush(&place);
    assert!(talk(&pairs), "the SBC knows {}", known(&place));
    assert!(place.rule("allow/carrier") >= 12);
    assert_eq!(place.reason("source_unlisted"), 0);
}

#[test]
fn a_denied_gateway_still_is_a_neighbour() {
    let deny =
        format!("[[deny]]\nname = \"gateway\"\nfrom = [\"{}\", \"{}\", \"fe80::/10\"]", ROUTER.ipv4, ROUTER.ipv6);
    let place = hastened(Policy { more: &deny, ..PLAIN });
    let pairs = pairs(&place, LIMIT);
    for _ in 0..2 {
        flush(&place);
        assert!(talk(&pairs), "the SBC knows {}", known(&place));
    }
    let router = socket(place.core(), ROUTER.ipv4, 5060, LIMIT);
    let to_router = socket(place.sbc(), "172.31.1.2", 5060, SILENCE);
    assert!(!arrives(&router, &to_router));
    assert!(place.reason("denied") >= 1);
    assert!(place.reason("arp") >= 2 && place.reason("neighbor_discovery") >= 2);
}

/// The same with a filter that forgets neighbours, to show that the test above would notice.
#[test]
fn a_filter_that_drops_arp_and_neighbour_discovery_goes_dark_in_that_time() {
    let place = hastened(PLAIN);
    let pairs = pairs(&place, SILENCE);
    wait_for("the neighbours are known", || talk(&pairs).then_some(()));
    let rules = place.write("dark.nft", include_str!("dark.nft"), &[]);
    printed(DAEMONS.command(place.sbc(), "usr/sbin/nft").args(["-f", &rules]));
    let ((), arp) = place.grows("arp", || {
        wait_for("the host goes dark", || (!talk(&pairs)).then_some(()));
        wait_for("the host is no neighbour of the router's any more", || {
            talk(&pairs);
            let known = shell(place.core(), "ip neigh show dev to-sbc nud failed nud incomplete");
            (!known.is_empty()).then_some(())
        });
    });
    // It is not this filter that dropped them.
    assert!(arp >= 1, "ARP that arrived is counted as passed");
}

/// A default route that the router advertises every few seconds, and that lives little longer.
#[test]
fn an_advertised_default_route_outlives_its_lifetime() {
    let place = Place::new(&[SBC, MATE]);
    let hosts = [SBC, MATE].map(|party| place.host(party));
    for party in [SBC, MATE] {
        // The kernel sweeps up routes that have ended every half minute, unless it is told to hurry.
        shell(place.host(party), "ip -6 route delete default; echo 1 > /proc/sys/net/ipv6/route/gc_interval");
        place.attach_on(party, PLAIN);
    }
    let configuration = place.write("advertising.conf", include_str!("advertising.conf"), &[]);
    let mut bird = DAEMONS.command(place.core(), "usr/sbin/bird");
    bird.args(["-f", "-c", &configuration, "-s", &place.path("bird.ctl"), "-P", &place.path("bird.pid")]);
    let _bird = start(&mut bird, place.path("bird.log").as_ref());
    let has_route = |host: &Host| !shell(host, "ip -6 route show default proto ra").is_empty();
    wait_for("both have a default route", || hosts.iter().all(|host| has_route(host)).then_some(()));
    let (before, rules) = (place.reason("neighbor_discovery"), place.write("mute.nft", include_str!("mute.nft"), &[]));
    printed(DAEMONS.command(hosts[1], "usr/sbin/nft").args(["-f", &rules]));
    wait_for("the route of the one that hears no advertisements ends", || (!has_route(hosts[1])).then_some(()));
    assert!(has_route(hosts[0]), "{}", place.said("bird.log"));
    assert!(place.reason("neighbor_discovery") > before);
}

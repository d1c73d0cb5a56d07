//! Interfaces on top of the NIC: bridges and macvlan.

use crate::{
    names::TRACKED,
    place::{CARRIER, Place, SBC, SCANNER, datagrams, datagrams_to, is_answered, shell},
};

/// The address of a macvlan interface.
const SECOND: &str = "198.51.100.20";

/// `attach` on an interface that has no native XDP: refused, and generic where that is allowed.
fn attach_generic(place: &Place, interface: &str) {
    let policy = place.policy(TRACKED);
    let refused = place.sipwall(&["attach", interface, "--policy", &policy]);
    refused.assert_failed(
        1,
        &format!("the driver of `{interface}` has no native XDP\nhint: attach to `eth0` below it, or "),
    );
    let attached = place.sipwall(&["attach", interface, "--policy", &policy, "--allow-generic", "--json"]).json();
    assert_eq!(attached["attach_mode"], "generic");
}

/// Packets of the carrier that the filter of an interface let in, and dropped ones of the scanner.
fn counted(place: &Place, interface: &str) -> (u64, u64) {
    let stats = place.stats(interface);
    let count = |kind, name| tests::scene::packets(&stats, kind, name, None);
    (count("rule", "allow/carrier"), count("reason", "source_unlisted"))
}

#[test]
fn a_bridge_is_filtered_at_its_port_or_by_itself() {
    let place = Place::new(&[SBC, CARRIER, SCANNER]);
    // What the host bears moves from the port to the bridge.
    shell(
        place.sbc(),
        "ip link add br0 address 02:00:00:00:01:02 type bridge; ip link set br0 up; ip link set eth0 master br0
         ip address flush dev eth0; ip address add 172.31.1.2/30 dev br0; ip address add 198.51.100.10/32 dev br0
         ip route add default via 172.31.1.1 dev br0 src 198.51.100.10",
    );
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 3));
    place.attach(TRACKED);
    assert_eq!(place.sipwall(&["status", "eth0", "--json"]).json()["attach_mode"], "native");
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 0));
    assert_eq!(counted(&place, "eth0"), (3, 3));
    assert_eq!(is_answered(&place, SBC.ipv4, SCANNER), Some(true), "what the bridge sends leaves by its port");
    place.sipwall(&["detach", "eth0"]).assert_done();

    attach_generic(&place, "br0");
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 0));
    assert_eq!(counted(&place, "br0"), (3, 3));
    assert_eq!(is_answered(&place, SBC.ipv4, SCANNER), Some(true));
}

#[test]
fn the_filter_of_a_nic_judges_what_goes_to_a_macvlan_on_it_too() {
    let place = Place::new(&[SBC, CARRIER, SCANNER]);
    shell(
        place.sbc(),
        &format!(
            "ip link add second link eth0 address 02:00:00:00:01:03 type macvlan mode bridge; ip link set second up
             ip address add {SECOND}/32 dev second; echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore"
        ),
    );
    shell(place.core(), &format!("ip route add {SECOND} dev to-sbc"));
    let arriving = |address| [CARRIER, SCANNER].map(|party| datagrams_to(&place, party, address));
    assert_eq!(arriving(SECOND), [3, 3]);
    let neighbour = shell(place.core(), &format!("ip neigh show {SECOND}"));
    assert!(neighbour.contains("02:00:00:00:01:03"), "{neighbour}");

    place.attach(TRACKED);
    assert_eq!((arriving(SECOND), arriving(SBC.ipv4)), ([3, 0], [3, 0]));
    assert_eq!(counted(&place, "eth0"), (6, 6));
    assert_eq!(is_answered(&place, SECOND, SCANNER), Some(true), "what the macvlan sends leaves by the NIC");
    place.sipwall(&["detach", "eth0"]).assert_done();

    attach_generic(&place, "second");
    assert_eq!((arriving(SECOND), arriving(SBC.ipv4)), ([3, 0], [3, 3]), "the NIC itself has no filter");
    assert_eq!(counted(&place, "second"), (3, 3));
}

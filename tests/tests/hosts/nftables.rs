//! nftables on the same host: what the filter drops it never sees, and what it drops the filter has let in.

use std::net::UdpSocket;

use serde_json::Value;

use crate::{
    names::TRACKED,
    place::{
        CARRIER, DAEMONS, PLAIN, Place, SBC, SCANNER, SERVER, SILENCE, arrives, datagrams, printed, receives, shell,
        socket,
    },
};

fn nft(place: &Place, arguments: &[&str]) -> String {
    printed(DAEMONS.command(place.sbc(), "usr/sbin/nft").args(arguments))
}

fn load(place: &Place, rules: &str) {
    nft(place, &["-f", &place.write("rules.nft", rules, &[])]);
}

/// The packets of a named counter.
fn counter(place: &Place, name: &str) -> u64 {
    let listed: Value = serde_json::from_str(&nft(place, &["--json", "list", "counters"])).expect("JSON");
    let counters = listed["nftables"].as_array().expect("an array").iter().map(|item| &item["counter"]);
    let found = counters.filter(|counter| counter["name"] == name).filter_map(|counter| counter["packets"].as_u64());
    found.sum()
}

#[test]
fn nftables_sees_what_the_filter_lets_in_and_nothing_else() {
    let place = Place::new(&[SBC, CARRIER, SCANNER]);
    load(&place, include_str!("beside.nft"));
    place.attach(PLAIN);
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 0));
    assert_eq!((place.rule("allow/carrier"), place.reason("source_unlisted")), (3, 3));
    assert_eq!(["ingress", "input"].map(|name| counter(&place, name)), [3, 3]);

    // What nftables refuses, the filter has let in.
    nft(
        &place,
        &["add", "rule", "inet", "beside", "input", "udp", "dport", "5060", "counter", "name", "refused", "drop"],
    );
    assert_eq!(datagrams(&place, CARRIER), 0);
    assert_eq!((place.rule("allow/carrier"), counter(&place, "refused")), (6, 3));

    // Its rules go, and the filter stays.
    nft(&place, &["flush", "ruleset"]);
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 0));

    // Without the filter it sees everything.
    load(&place, include_str!("beside.nft"));
    place.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!((datagrams(&place, CARRIER), datagrams(&place, SCANNER)), (3, 3));
    assert_eq!(counter(&place, "input"), 6);
}

/// nftables gives what the host sends another port on its way out: the filter sees both ways as they are on the wire.
#[test]
fn answers_to_what_nftables_translates_come_back() {
    let place = Place::new(&[SBC, SERVER]);
    load(&place, include_str!("translated.nft"));
    let server = socket(place.host(SERVER), SERVER.ipv4, 53, SILENCE);
    let asking = socket(place.sbc(), SBC.ipv4, 50_000, SILENCE);
    let answered = |from: &UdpSocket| {
        assert!(arrives(from, &server), "the question arrives");
        server.send_to(b"answer", (SBC.ipv4, 40_000)).expect("a datagram leaves");
        receives(from)
    };
    place.attach(PLAIN);
    assert!(!answered(&asking));
    assert_eq!(place.reason("source_unlisted"), 1);
    place.attach(TRACKED);
    assert!(answered(&asking), "{}", shell(place.sbc(), "ip -stats link show eth0"));
    assert_eq!(place.reason("return_traffic"), 1);
}

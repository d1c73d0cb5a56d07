//! DHCP: a lease that must be renewed every few seconds.

use std::fs;

use lab::Process;
use tests::{service::wait_for, unpacked::start};

use crate::place::{DAEMONS, PLAIN, Place, Policy, SBC, shell};

const LET_IN: Policy<'static> = Policy { classes: "dhcp = \"pass\"", ..PLAIN };

/// dnsmasq on the router, which leases addresses on the SBC's link.
fn server(place: &Place) -> Process {
    shell(place.core(), "ip address add 10.20.0.1/24 dev to-sbc; ip address add fd00:20::1/64 dev to-sbc nodad");
    let mut dnsmasq = DAEMONS.command(place.core(), "usr/sbin/dnsmasq");
    dnsmasq.args(["--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=to-sbc", "--bind-interfaces"]);
    dnsmasq.args(["--dhcp-range=10.20.0.10,10.20.0.20,255.255.255.0,2m", "--dhcp-range=fd00:20::10,fd00:20::20,64,2m"]);
    dnsmasq.args(["--dhcp-authoritative", "--no-ping", "--user=root", "--log-dhcp"]);
    dnsmasq.arg(format!("--dhcp-leasefile={}", place.path("leases")));
    dnsmasq.arg(format!("--pid-file={}", place.path("dnsmasq.pid")));
    start(&mut dnsmasq, place.path("dnsmasq.log").as_ref())
}

/// dhclient on the SBC, for leases of this family.
fn client(place: &Place, family: &str) -> Process {
    let name = |kind: &str| place.path(&format!("dhclient{family}.{kind}"));
    let configuration = place.write("dhclient.conf", include_str!("dhclient.conf"), &[]);
    let script = place.write("lease.sh", include_str!("lease.sh"), &[]);
    shell(place.sbc(), &format!("chmod +x {script}"));
    let mut dhclient = DAEMONS.command(place.sbc(), "sbin/dhclient");
    dhclient.args(["-d", "-v", family, "-cf", &configuration, "-lf", &name("leases"), "-pf", &name("pid")]);
    dhclient.args(["-sf", &script, "-e", &format!("EVENTS={}", events_file(place)), "eth0"]);
    start(&mut dhclient, name("log").as_ref())
}

fn events_file(place: &Place) -> String {
    place.path("events")
}

/// How often the client was told of this event.
fn events(place: &Place, event: &str) -> usize {
    fs::read_to_string(events_file(place)).unwrap_or_default().lines().filter(|line| *line == event).count()
}

fn await_events(place: &Place, event: &str, count: usize) {
    wait_for(&format!("{count} times {event}; dhclient says {}", place.said("dhclient-4.log")), || {
        (events(place, event) >= count).then_some(())
    });
}

fn has_lease(place: &Place) -> bool {
    shell(place.sbc(), "ip -brief address show eth0").contains("10.20.0.1")
}

#[test]
fn a_lease_is_renewed_where_dhcp_passes_and_lost_where_it_does_not() {
    let place = Place::new(&[SBC]);
    let _server = server(&place);
    place.attach(LET_IN);
    let _client = client(&place, "-4");
    await_events(&place, "RENEW", 2);
    assert!(has_lease(&place));
    // An offer, and an acknowledgement each time.
    assert!(place.reason("dhcp") >= 4);
    assert_eq!(place.reason("source_unlisted"), 0);

    place.attach(PLAIN);
    let renewed = events(&place, "RENEW");
    await_events(&place, "EXPIRE", 1);
    assert!(!has_lease(&place), "the address is gone");
    assert!(place.reason("source_unlisted") >= 2, "{}", place.stats("eth0"));
    assert!(events(&place, "RENEW") <= renewed + 1, "one may have been on its way");

    place.attach(LET_IN);
    await_events(&place, "BOUND", 2);
    assert!(has_lease(&place));
}

#[test]
fn an_address_is_leased_by_dhcpv6() {
    let place = Place::new(&[SBC]);
    let _server = server(&place);
    place.attach(PLAIN);
    let _client = client(&place, "-6");
    place.await_reason("source_unlisted", 2);
    assert_eq!(events(&place, "BOUND6"), 0);
    place.attach(LET_IN);
    wait_for(&format!("a lease; dhclient says {}", place.said("dhclient-6.log")), || {
        (events(&place, "BOUND6") == 1).then_some(())
    });
    // An advertisement and a reply.
    assert!(place.reason("dhcp") >= 2);
}

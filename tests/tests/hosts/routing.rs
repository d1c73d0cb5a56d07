//! BGP, BFD and OSPF by bird, between the SBC and its router.

use lab::{Host, Process};
use tests::{service::wait_for, unpacked::start};

use crate::place::{DAEMONS, PLAIN, Place, Policy, ROUTER, SBC, printed};

/// A link between two routers.
struct Side<'a> {
    host: &'a Host,
    interface: &'a str,
    own: [&'a str; 2],
    other: [&'a str; 2],
    announced: &'a str,
}

const SBC_SIDE: [&str; 2] = ["172.31.1.2", "65001"];
const ROUTER_SIDE: [&str; 2] = [ROUTER.ipv4, "65002"];

impl Side<'_> {
    fn start(&self, place: &Place) -> Process {
        let [own, number] = self.own;
        let [other, other_number] = self.other;
        let words = [
            ("INTERFACE", self.interface),
            ("OWN", own),
            ("NUMBER", number),
            ("OTHER", other),
            ("NEIGHBOR", other_number),
            ("ANNOUNCED", self.announced),
        ];
        let name = |kind: &str| place.path(&format!("bird-{}.{kind}", self.host.name()));
        let configuration = format!("bird-{}.conf", self.host.name());
        let configuration = place.write(&configuration, include_str!("bird.conf"), &words);
        let mut bird = DAEMONS.command(self.host, "usr/sbin/bird");
        bird.args(["-f", "-c", &configuration, "-s", &name("ctl"), "-P", &name("pid")]);
        start(&mut bird, name("log").as_ref())
    }
}

/// What the SBC's bird says.
fn bird(place: &Place, question: &[&str]) -> String {
    let mut birdc = DAEMONS.command(place.sbc(), "usr/sbin/birdc");
    printed(birdc.args(["-s", &place.path("bird-sbc.ctl")]).args(question))
}

fn bgp_is_up(place: &Place) -> bool {
    bird(place, &["show", "protocols", "upstream"]).contains("Established")
}

fn bfd_is_up(place: &Place) -> bool {
    bird(place, &["show", "bfd", "sessions"]).contains(" Up ")
}

fn ospf_is_up(place: &Place, version: &str) -> bool {
    bird(place, &["show", "ospf", "neighbors", version]).contains("Full")
}

fn await_that(place: &Place, what: &str, holds: impl Fn() -> bool) {
    wait_for(&format!("{what}; bird says {}", place.said("bird-sbc.log")), || holds().then_some(()));
}

#[test]
fn bgp_bfd_and_ospf_run_under_their_knobs_and_rules_alone() {
    let place = Place::new(&[SBC]);
    let sides = [
        Side { host: place.sbc(), interface: "eth0", own: SBC_SIDE, other: ROUTER_SIDE, announced: "10.77.0.0/24" },
        Side { host: place.core(), interface: "to-sbc", own: ROUTER_SIDE, other: SBC_SIDE, announced: "10.88.0.0/24" },
    ];
    place.attach(PLAIN);
    let _birds = sides.map(|side| side.start(&place));
    // OSPF's greetings, and what BGP and BFD send from an address that nothing lists.
    place.await_reason("destination_multicast", 2);
    place.await_reason("source_unlisted", 2);
    assert!(!bgp_is_up(&place) && !bfd_is_up(&place));
    assert!(!["ospf4", "ospf6"].iter().any(|version| ospf_is_up(&place, version)));

    let bgp = format!("[[allow]]\nname = \"bgp\"\nfrom = [\"{}\"]\ntcp = [179]", ROUTER.ipv4);
    place.attach(Policy { classes: "bfd = \"pass\"\nospf = \"pass\"", more: &bgp, ..PLAIN });
    await_that(&place, "BGP and BFD are up", || bgp_is_up(&place) && bfd_is_up(&place));
    await_that(&place, "OSPF has neighbours", || ospf_is_up(&place, "ospf4") && ospf_is_up(&place, "ospf6"));
    assert!(place.rule("allow/bgp") >= 4 && place.reason("bfd") >= 3 && place.reason("ospf") >= 6);
    let routes = bird(&place, &["show", "route", "protocol", "upstream"]);
    assert!(routes.contains("10.88.0.0/24"), "{routes}");

    // BFD notices within a second that its packets are gone, and takes BGP with it.
    place.attach(Policy { classes: "ospf = \"pass\"", more: &bgp, ..PLAIN });
    await_that(&place, "BFD is down, and BGP with it", || !bfd_is_up(&place) && !bgp_is_up(&place));
    assert!(place.reason("port_closed") >= 3, "{}", place.stats("eth0"));
    assert!(ospf_is_up(&place, "ospf4"));

    place.attach(Policy { classes: "bfd = \"pass\"", more: &bgp, ..PLAIN });
    await_that(&place, "OSPF loses its neighbours", || !ospf_is_up(&place, "ospf4") && !ospf_is_up(&place, "ospf6"));
    await_that(&place, "BGP comes back", || bgp_is_up(&place) && bfd_is_up(&place));
}

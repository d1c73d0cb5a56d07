//! What `attach` says of the NIC, and what it makes of NICs that are not plain.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{iter, net::UdpSocket};
use tests::ports::bound;

use filter_common::{Action, Reason};
use filter_user::{kernel::Sandbox, policy::Policy};
use lab::Host;
use tests::{
    packets::{ipv6_extension, udp_with},
    scene::{CARRIER, SBC, SCANNER, SILENCE, Scene, fixture, packets},
    sipwall::Ended,
};

/// The IPv6 extension header of options for the destination.
const DESTINATION_OPTIONS: u8 = 60;
/// A datagram that fills most of a jumbo frame.
const LARGE: [u8; 8000] = [b'x'; 8000];

fn shell(host: &Host, line: &str) {
    let ended: Ended = host.command("sh").args(["-c", line]).output().expect("sh runs").into();
    ended.assert_done();
}

/// A frame of so many octets from the carrier with a UDP header behind two IPv6 destination options headers, `LONG` octets each.
fn behind_options<const LONG: usize>() -> Vec<u8> {
    let datagram = udp_with("[2001:db8:1:5::1]:5060", "[2001:db8:ffff::10]:5060", b"OPTIONS sip:a SIP/2.0\r\n");
    (0..2).fold(datagram, |frame, _| {
        let mut header = [0; LONG];
        header[1] = u8::try_from(LONG / 8 - 1).expect("a length in units of eight octets");
        ipv6_extension(frame, DESTINATION_OPTIONS, header)
    })
}

/// Lets every link of the lab take jumbo frames.
fn take_jumbo_frames(scene: &Scene) {
    let hosts = ["sbc", "carrier", "scanner"].map(|name| scene.host(name));
    for host in hosts.into_iter().chain([scene.lab.core().expect("a core")]) {
        shell(host, "for link in /sys/class/net/*; do ip link set ${link##*/} mtu 9000 || exit 1; done");
    }
}

/// How many of three large datagrams from a host arrive.
fn large_datagrams(scene: &Scene, name: &str, address: &str) -> usize {
    let receiver = bound(scene.host("sbc"), || UdpSocket::bind((SBC, 5060)));
    receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
    let sender = bound(scene.host(name), || UdpSocket::bind((address, 5060)));
    for _ in 0..3 {
        sender.send_to(&LARGE, (SBC, 5060)).expect("a datagram leaves");
    }
    let mut buffer = [0; 9000];
    iter::from_fn(|| receiver.recv(&mut buffer).ok()).filter(|length| *length == LARGE.len()).count()
}

#[test]
fn jumbo_frames_are_judged_natively() {
    let scene = Scene::new();
    take_jumbo_frames(&scene);
    let policy = scene.policy("policy.toml", &[]);
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json();
    assert_eq!((&attached["attach_mode"], &attached["nic"]["mtu"]), (&"native".into(), &9000.into()));
    assert_eq!(large_datagrams(&scene, "carrier", CARRIER), 3);
    assert_eq!(large_datagrams(&scene, "scanner", SCANNER), 0);
    let stats = scene.stats();
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 3);
    assert_eq!(packets(&stats, "reason", "source_unlisted", Some("drop")), 3);
    let rules = stats["rules"].as_array().expect("an array");
    let rule = rules.iter().find(|rule| rule["rule"] == "carrier/sip-udp").expect("the rule");
    // Ethernet, IPv4 and UDP headers, and the whole datagram.
    assert_eq!(rule["bytes"], 3 * (14 + 20 + 8 + 8000));
}

#[test]
fn headers_beyond_the_first_buffer_are_dropped() {
    let policy = Policy::load(&fixture("policy.toml")).expect("a policy");
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    kernel.publish(&policy.compile().expect("it compiles")).expect("maps");
    // The first buffer of a test run is less than a page of 4096 octets.
    for (frame, action, reason) in [
        (behind_options::<16>(), Action::Pass, Reason::Listed),
        (behind_options::<2048>(), Action::Drop, Reason::UdpTruncated),
        (udp_with("203.0.113.17:5060", "198.51.100.10:5060", &LARGE), Action::Pass, Reason::Listed),
        (udp_with("192.0.2.99:5060", "198.51.100.10:5060", &LARGE), Action::Drop, Reason::SourceUnlisted),
    ] {
        let verdict = kernel.judge(&frame).expect("a test run");
        assert_eq!(
            (verdict.reason(), kernel.run(&frame).expect("a test run")),
            (reason, action),
            "{} octets",
            frame.len()
        );
    }
}

#[test]
fn the_driver_and_what_it_takes_off_are_told() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let attach = || scene.sipwall(&["attach", "eth0", "--policy", &policy]);
    shell(scene.host("sbc"), "ethtool -K eth0 rxvlan on");
    let attached = attach();
    for told in [
        "`eth0`: driver veth, MTU 1500, frames of several buffers",
        "the NIC may take VLAN tags off",
        "`ethtool -K eth0 rxvlan off`",
    ] {
        assert!(attached.stderr.contains(told), "`{told}` is not in {attached:?}");
    }
    shell(scene.host("sbc"), "ethtool -K eth0 rxvlan off");
    let attached = attach();
    assert!(attached.stderr.contains("driver veth") && !attached.stderr.contains("VLAN"), "{attached:?}");
    let nic = &scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json()["nic"];
    assert_eq!((&nic["driver"], &nic["vlan_offload"], &nic["lro"]), (&"veth".into(), &false.into(), &false.into()));
    assert_eq!(nic["multi_buffer"], true);
    // A bridge has no XDP of its own.
    shell(scene.host("sbc"), "ip link add br0 type bridge");
    let attached = scene.sipwall(&["attach", "br0", "--policy", &policy, "--allow-generic", "--json"]);
    assert_eq!(attached.json()["nic"]["multi_buffer"], false, "{attached:?}");
    assert!(attached.stderr.contains("no frames of several buffers"), "{attached:?}");
}

#[test]
fn one_policy_is_in_force_on_several_interfaces() {
    let scene = Scene::new();
    shell(
        scene.host("sbc"),
        "ip link add eth1 type veth peer name wire1 && ip link set eth1 up && ip link set wire1 up",
    );
    let policy = scene.policy("policy.toml", &[("[\"eth0\"]", "[\"eth0\", \"eth1\"]")]);
    scene.sipwall(&["attach", "--policy", &policy]).assert_done();
    let generations =
        || ["eth0", "eth1"].map(|name| scene.sipwall(&["status", name, "--json"]).json()["generation"].clone());
    assert_eq!(generations(), [1, 1]);
    scene.policy("policy.toml", &[("[\"eth0\"]", "[\"eth0\", \"eth1\"]"), ("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    let applied = scene.sipwall(&["apply", &policy, "--confirm", "1h"]);
    applied.assert_done();
    assert_eq!(generations(), [2, 2]);
    let confirmed = scene.sipwall(&["confirm"]);
    assert!(
        ["eth0", "eth1"].iter().all(|name| confirmed.stderr.contains(&format!("`{name}`: generation 2 stays"))),
        "{confirmed:?}"
    );
    scene.sipwall(&["deny", "add", SCANNER]).assert_done();
    let denied = scene.sipwall(&["deny", "list", "--json"]).stdout;
    assert_eq!(denied.matches("192.0.2.99/32").count(), 2, "{denied}");
    scene.sipwall(&["detach", "--all"]).assert_done();
    assert!(scene.sipwall(&["status"]).stderr.contains("no filter is attached to any interface"));
}

#[test]
fn where_the_second_interface_fails_the_first_is_named() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let attached = scene.sipwall(&["attach", "eth0", "eth8", "eth9", "--policy", &policy]);
    attached.assert_failed(1, "`eth8` is not attached (`eth0` stays attached) (`eth9` was not tried): cannot find");
    assert!(attached.stderr.contains("`eth0`: attached"), "{attached:?}");
    assert_eq!(scene.status()["generation"], 1);
    assert_eq!(scene.datagrams("scanner", 5060), 0);
}

#[test]
fn what_an_interface_belongs_to_is_told() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    shell(scene.host("sbc"), "ip link add br0 type bridge && ip link set eth0 master br0");
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy]);
    attached.assert_done();
    let told = "`eth0`: it belongs to `br0`: what arrives by its other members does not meet this program";
    assert!(attached.stderr.contains(told), "{attached:?}");
    let nic = &scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json()["nic"];
    assert_eq!((nic["member_of"].as_str(), nic["bond_members"].as_array().map(Vec::len)), (Some("br0"), Some(0)));
}

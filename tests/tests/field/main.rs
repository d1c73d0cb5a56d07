//! The filter before the software that users run: an SBC of Kamailio and rtpengine, its providers, and those who are none.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

mod calls;
mod network;
mod programs;
mod relay;
mod sbc;
mod scanners;

use std::time::Duration;

use crate::{
    calls::{Call, Way},
    network::{CALLER, Field, GENESYS, KORE, SBC, TWILIO, datagrams},
    sbc::Sbc,
    scanners::{answers_options, find_by_sip, find_by_syn, open_ports},
};

/// A line of policy that changes nothing for those who call.
const WITH_SSH: &str = "\n[[allow]]\nname = \"ssh\"\nfrom = [\"203.0.113.7\"]\ntcp = [22]\n";

#[test]
fn calls_of_each_provider_are_answered_with_audio_both_ways_and_no_packet_is_lost() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let calls = [
        (Call::short(TWILIO, Way::Udp), "twilio/media"),
        (Call::short(KORE, Way::Tcp), "kore/media"),
        (Call::short(GENESYS, Way::Tls(5081)), "allow/genesys-media"),
    ];
    let core = field.lab.core().expect("a core");
    let taps = calls.map(|(call, _)| field.tap(field.host(call.party.host), call.party.host));
    let (sent, arrived) = (field.tap(core, "sbc"), field.tap(field.host("sbc"), "sbc"));
    let begun = calls.map(|(call, _)| call.begin(&field));
    for call in begun {
        call.assert_completes(&field);
    }
    let (sent, arrived) = (sent.close().expect("frames"), arrived.close().expect("frames"));
    for ((call, rule), tap) in calls.into_iter().zip(taps) {
        let media = call.party.media;
        let (sent, arrived) = (datagrams(&sent, media, SBC), datagrams(&arrived, media, SBC));
        let back = datagrams(&tap.close().expect("frames"), SBC, media);
        assert_eq!((sent, arrived), (call.packets(), call.packets()), "{call:?}");
        // The media relay learns where to send from the first packets that it gets.
        assert!((call.packets() - 5..=call.packets()).contains(&back), "{call:?}: {back} came back");
        assert_eq!(field.rule(rule), sent as u64, "{rule}");
    }
    assert_eq!(field.dropped(), [], "all that was sent is listed");
}

#[test]
fn an_unlisted_caller_gets_no_answer_by_any_way() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    for way in [Way::Udp, Way::Tcp] {
        let call = Call { length: Duration::from_millis(100), ..Call::short(CALLER, way) };
        assert!(!call.begin(&field).completes(), "{way:?}");
    }
    let dropped = field.dropped();
    assert!(matches!(&dropped[..], [(reason, 1..)] if reason == "source_unlisted"), "{dropped:?}");
}

#[test]
fn an_invite_in_fragments_a_call_over_tls_and_a_liveness_probe_get_through() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let long = Call { padding: 2300, ..Call::short(TWILIO, Way::Udp) };
    let calls = [long, Call::short(KORE, Way::Tls(5061))].map(|call| call.begin(&field));
    for call in calls {
        call.assert_completes(&field);
    }
    assert!(!answers_options(&field, GENESYS), "the trunk has a port of its own");
    assert!(answers_options(&field, TWILIO));
    assert!(!answers_options(&field, CALLER));
    let stats = field.sipwall(&["stats", "eth0", "--json"]).json();
    assert!(tests::scene::packets(&stats, "reason", "fragment_listed", Some("pass")) >= 1, "{stats}");
    assert!(field.rule("kore/sip-tls") > 10, "a handshake and a call");
}

#[test]
fn a_long_call_outlives_policies_that_come_and_go() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let call = Call { length: Duration::from_secs(6), ..Call::short(TWILIO, Way::Udp) };
    let (sent, arrived) = (field.tap(field.lab.core().expect("a core"), "sbc"), field.tap(field.host("sbc"), "sbc"));
    let mut calling = call.begin(&field);
    let mut policies = [WITH_SSH, ""].into_iter().cycle();
    let mut switches = 0;
    while calling.goes_on() {
        let policy = field.policy(policies.next().expect("a cycle"));
        let applied = field.sipwall(&["apply", &policy, "--json"]).json();
        assert_eq!(applied["changed"], true);
        switches += 1;
    }
    calling.assert_completes(&field);
    let [sent, arrived] = [sent, arrived].map(|tap| datagrams(&tap.close().expect("frames"), TWILIO.media, SBC));
    assert!(switches >= 5, "{switches} switches are too few to say anything");
    assert_eq!((sent, arrived), (call.packets(), call.packets()), "over {switches} switches");
}

#[test]
fn a_published_relay_answers_and_relays_over_every_transport() {
    let field = Field::new();
    field.attach("");
    let _relay = relay::start(&field);
    relay::assert_answers_stun(&field);
    for transport in relay::TRANSPORTS {
        relay::assert_relays(&field, transport);
    }
    assert!(field.rule("kore/turn") > 20, "answers from the relay");
    assert_eq!(field.dropped(), [], "all that was sent is listed");
}

#[test]
fn scanners_find_nothing_where_the_filter_runs_and_everything_where_it_does_not() {
    let field = Field::new();
    let _sbc = Sbc::start(&field);
    assert!(find_by_sip(&field).contains(SBC), "without a filter `svmap` finds the SBC");
    assert_eq!(open_ports(&field), [5060, 5061, 5081]);
    assert!(find_by_syn(&field) > 0, "without a filter SYNs from port 5060 are answered");
    field.attach("");
    assert!(!find_by_sip(&field).contains(SBC), "`svmap` finds the SBC");
    assert!(open_ports(&field).is_empty(), "nmap finds open ports");
    assert_eq!(find_by_syn(&field), 0, "SYNs from port 5060 are answered");
    // What is listed calls on meanwhile.
    Call::short(TWILIO, Way::Udp).begin(&field).assert_completes(&field);
    let dropped = field.dropped();
    assert!(matches!(&dropped[..], [(reason, 20..)] if reason == "source_unlisted"), "{dropped:?}");
}

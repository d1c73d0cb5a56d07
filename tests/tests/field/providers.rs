//! Providers call, each in its own way, and nobody else does.

use tests::{
    field::{
        CALLER, Call, Field, GENESYS, KORE, Party, SBC, Sbc, TWILIO, Way, await_quiet, connects, datagrams, from,
        is_found, is_pinged,
    },
    scene::packets,
};

#[test]
fn calls_of_each_provider_are_answered_with_audio_both_ways_and_no_packet_is_lost() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let calls = [Call::short(TWILIO, Way::Udp), Call::short(KORE, Way::Tcp), Call::short(GENESYS, Way::Tls(5081))];
    let core = field.lab.core().expect("a core");
    let taps = calls.map(|call| field.tap(field.host(call.party.host), call.party.host));
    let (sent, arrived) = (field.tap(core, "sbc"), field.tap(field.host("sbc"), "sbc"));
    let begun = calls.map(|call| call.begin(&field));
    for call in begun {
        call.assert_completes(&field);
    }
    // Nothing of theirs must come between the last look at the wire and the counters.
    for call in calls {
        field.cut_off(call.party.host);
    }
    let (sent, arrived) = (sent.close().expect("frames"), arrived.close().expect("frames"));
    for (call, tap) in calls.into_iter().zip(taps) {
        let Party { signalling, media, media_rule, .. } = call.party;
        let [audio, heard] = [&sent, &arrived].map(|frames| datagrams(frames, media, SBC));
        call.assert_sent(audio);
        assert_eq!((heard, field.rule(media_rule)), (audio, audio as u64), "{call:?}");
        // The media relay learns where to send from the first packets that it gets.
        let back = datagrams(&tap.close().expect("frames"), SBC, media);
        assert!((audio - 5..=audio).contains(&back), "{call:?}: {back} of {audio} came back");
        let rule = call.signalling_rule();
        let [sent, arrived] = [&sent, &arrived].map(|frames| from(frames, signalling).count());
        assert_eq!((arrived, field.rule(&rule)), (sent, sent as u64), "{rule}");
        // INVITE, ACK, re-INVITE, ACK and BYE.
        assert!(sent >= 5, "{rule}: {sent} packets are no call");
    }
    assert_eq!(field.dropped(), [], "all that was sent is listed");
}

#[test]
fn an_unlisted_caller_gets_no_answer_by_any_way() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let core = field.lab.core().expect("a core");
    let (sent, arrived) = (field.tap(core, "sbc"), field.tap(field.host("sbc"), "sbc"));
    let calls = [Way::Udp, Way::Tcp].map(|way| Call::hopeless(CALLER, way).begin(&field));
    for port in [5060, 5061, 5081, 8443] {
        assert!(!connects(&field, CALLER.host, (CALLER.signalling, 0), port), "a connection to {port} opens");
    }
    for call in calls {
        assert!(!call.completes());
    }
    field.cut_off(CALLER.host);
    let [sent, arrived] = [sent, arrived].map(|tap| from(&tap.close().expect("frames"), CALLER.signalling).count());
    assert!(sent >= 6, "{sent} packets are no attempt");
    assert_eq!((arrived, field.dropped()), (0, vec![("source_unlisted".to_owned(), sent as u64)]));
}

#[test]
fn an_invite_in_fragments_and_a_call_over_tls_get_through() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let long = Call { padding: 2300, ..Call::short(TWILIO, Way::Udp) };
    let calls = [long, Call::short(KORE, Way::Tls(5061))];
    let begun = calls.map(|call| call.begin(&field));
    for call in begun {
        call.assert_completes(&field);
    }
    let stats = field.stats();
    assert!(packets(&stats, "reason", "fragment_listed", Some("pass")) >= 1, "{stats}");
    // A handshake and a call.
    assert!(packets(&stats, "rule", "kore/sip-tls", None) >= 8, "{stats}");
    for call in calls {
        let audio = packets(&stats, "rule", call.party.media_rule, None);
        call.assert_sent(usize::try_from(audio).expect("a short call"));
    }
    assert_eq!(field.dropped(), [], "all that was sent is listed");
}

#[test]
fn each_provider_s_pings_are_answered_where_it_is_listed_and_nowhere_else() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    for (party, way) in [(TWILIO, Way::Udp), (KORE, Way::Tcp), (KORE, Way::Tls(5061)), (GENESYS, Way::Tls(5081))] {
        let rule = format!("{}/{}", party.host, way.service());
        let before = field.rule(&rule);
        assert!(is_pinged(&field, party, way), "{party:?} {way:?}; dropped: {:?}", field.dropped());
        assert!(field.rule(&rule) > before, "{rule}");
    }
    let dropped = || await_quiet("what was sent is counted", || field.dropped());
    assert_eq!(dropped(), [], "all that was sent is listed");
    assert!(!is_found(&field, CALLER, Way::Udp));
    let unlisted = dropped();
    assert!(matches!(&unlisted[..], [(reason, 1..)] if reason == "source_unlisted"), "{unlisted:?}");
    // The trunk has a port of its own, and no other has that port.
    assert!(!is_found(&field, GENESYS, Way::Udp));
    for (party, port) in [(GENESYS, 5061), (KORE, 5081), (TWILIO, 5081)] {
        assert!(!connects(&field, party.host, (party.signalling, 0), port), "{party:?} gets to {port}");
    }
    dropped();
    let closed = field.dropped_since(&unlisted);
    assert!(matches!(&closed[..], [(reason, 4..)] if reason == "port_closed"), "{closed:?}");
}

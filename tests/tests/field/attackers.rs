//! Those who look for SBCs find nothing, and those who flood them stop no call.

use std::thread;

use tests::field::{
    CALLER, Call, Field, Flood, GENESYS, KORE, RELAY, SBC, Sbc, Spoof, TWILIO, Way, await_quiet, crack, datagrams,
    find_by_sip, find_by_syn, find_extensions, from, open_ports, open_ports_by_fragments, scan_udp,
};

#[test]
fn scanners_find_nothing_where_the_filter_runs_and_everything_where_it_does_not() {
    let field = Field::new();
    let _sbc = Sbc::start(&field);
    assert!(find_by_sip(&field).contains(SBC), "without a filter `svmap` finds the SBC");
    assert!(find_extensions(&field).contains("1000"), "without a filter `svwar` finds an extension");
    assert!(crack(&field).contains("1234"), "without a filter `svcrack` finds its password");
    assert_eq!(open_ports(&field), [5060, 5061, 5081]);
    assert_eq!(open_ports_by_fragments(&field, CALLER), [5060, 5061, 5081]);
    assert!(!scan_udp(&field).is_empty(), "without a filter closed ports say that they are");
    assert!(find_by_syn(&field) > 0, "without a filter SYNs from port 5060 are answered");
    field.attach("");
    // Each of these waits for long for an answer.
    let [hosts, extensions, passwords] = thread::scope(|scope| {
        let field = &field;
        [find_by_sip, find_extensions, crack]
            .map(|tool| scope.spawn(move || tool(field)))
            .map(|tool| tool.join().expect("it ends"))
    });
    assert!(!hosts.contains(SBC), "`svmap` finds the SBC");
    assert!(!extensions.contains("1000"), "`svwar` finds an extension");
    assert!(!passwords.contains("1234"), "`svcrack` finds a password");
    assert_eq!(open_ports(&field), [0_u16; 0]);
    assert_eq!(scan_udp(&field), [0_u16; 0], "nmap hears something");
    assert_eq!(find_by_syn(&field), 0, "SYNs from port 5060 are answered");
    // What is listed calls on meanwhile.
    Call::short(TWILIO, Way::Udp).begin(&field).assert_completes(&field);
    let dropped = await_quiet("what was sent is counted", || field.dropped());
    assert!(matches!(&dropped[..], [(reason, 20..)] if reason == "source_unlisted"), "{dropped:?}");
}

#[test]
fn fragments_get_no_segment_past_the_filter_not_even_from_who_is_listed() {
    let field = Field::new();
    let _sbc = Sbc::start(&field);
    assert_eq!(open_ports_by_fragments(&field, TWILIO), [5060, 5061, 5081], "without a filter");
    field.attach("");
    let core = field.lab.core().expect("a core");
    for (party, last) in [(CALLER, "fragment_unlisted"), (TWILIO, "fragment_listed")] {
        let sent = field.tap(core, "sbc");
        let before = await_quiet("what was sent is counted", || field.dropped());
        assert_eq!(open_ports_by_fragments(&field, party), [0_u16; 0], "{party:?}");
        let sent = sent.close().expect("frames");
        await_quiet("what was sent is counted", || field.dropped());
        // A SYN of 24 octets is three fragments: the first is short, the second rewrites the flags, the third is as any.
        let third = from(&sent, party.signalling).count() as u64 / 3;
        assert!(third >= 3, "nmap sent {third} SYNs");
        let mut reasons = vec![("fragment_overlap".to_owned(), third), ("fragment_truncated".to_owned(), third)];
        match last {
            "fragment_listed" => assert_eq!(field.reason(last), third),
            _ => reasons.push((last.to_owned(), third)),
        }
        let mut dropped = field.dropped_since(&before);
        dropped.sort();
        reasons.sort();
        assert_eq!(dropped, reasons, "{party:?}");
    }
}

#[test]
fn an_invented_source_gets_no_further_than_the_true_one_would() {
    let field = Field::new();
    field.attach("");
    let udp = |from, to| Spoof { from, to, is_udp: true };
    let syn = |from, to| Spoof { from, to, is_udp: false };
    for (spoof, reason) in [
        (syn((CALLER.signalling, 5060), 5060), "source_unlisted"),
        (udp((CALLER.signalling, 3478), 20_000), "source_unlisted"),
        (syn((TWILIO.signalling, 5060), 22), "port_closed"),
        (udp((TWILIO.signalling, 5060), 53), "port_closed"),
        (udp((GENESYS.signalling, 5060), 5060), "port_closed"),
        (syn((KORE.signalling, 5081), 5081), "port_closed"),
        (udp((TWILIO.media, 5060), 20_000), "source_port"),
        (syn((RELAY, 443), 40_000), "opening_segment"),
        (syn((KORE.signalling, 5061), 40_000), "opening_segment"),
        (udp((SBC, 5060), 5060), "own_source"),
        (syn((TWILIO.signalling, 0), 5060), "port_zero"),
    ] {
        let before = field.dropped();
        spoof.send(&field);
        await_quiet("what was sent is counted", || field.dropped());
        assert_eq!(field.dropped_since(&before), [(reason.to_owned(), Spoof::COUNT)], "{spoof:?}");
    }
}

#[test]
fn calls_go_on_under_a_flood_and_the_filter_drops_nothing_of_theirs() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let arrived = field.tap(field.host("sbc"), "sbc");
    let calls = [Call::short(TWILIO, Way::Udp), Call::short(KORE, Way::Tcp), Call::short(GENESYS, Way::Tls(5081))];
    let ((), flood) = Flood::during(&field, || {
        let begun = calls.map(|call| call.begin(&field));
        for call in begun {
            call.assert_completes(&field);
        }
    });
    let arrived = arrived.close().expect("frames");
    let dropped = await_quiet("what was sent is counted", || field.dropped());
    assert_eq!(dropped, [("source_unlisted".to_owned(), flood.sent - flood.lost)], "{flood:?}");
    assert!(flood.sent > 100_000, "{flood:?} is none");
    for call in calls {
        // A full link may lose some before the filter sees them; it loses none.
        let audio = datagrams(&arrived, call.party.media, SBC);
        assert_eq!(field.rule(call.party.media_rule), audio as u64, "{call:?}");
        assert!(audio > 0, "{call:?}");
    }
}

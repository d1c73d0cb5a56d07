//! A published relay, and what it relays.

use tests::field::{Field, RELAY, Relay, SBC, TRANSPORTS, await_quiet, connects, datagrams, from};

/// The rule that lets the relay in.
const RULE: &str = "kore/turn";
/// A port of the SBC's media, and one where answers come to.
const MEDIA: u16 = 20_000;
const REPLIES: u16 = 40_000;

#[test]
fn a_published_relay_answers_and_relays_over_every_transport() {
    let field = Field::new();
    field.attach("");
    let taps = [field.lab.core().expect("a core"), field.host("sbc")].map(|place| field.tap(place, "sbc"));
    let relay = Relay::start(&field);
    for way in TRANSPORTS {
        let before = field.rule(RULE);
        relay.assert_answers_stun(way);
        let answers = await_quiet("answers are counted", || field.rule(RULE)) - before;
        assert!(answers >= 1, "{way:?}: a binding, and {answers} packets");
        relay.assert_relays(way);
        let messages = await_quiet("messages are counted", || field.rule(RULE)) - before - answers;
        assert!(messages >= 20, "{way:?}: twenty messages, and {messages} packets");
    }
    field.cut_off("relay");
    let [sent, arrived] = taps.map(|tap| from(&tap.close().expect("frames"), RELAY).count());
    assert_eq!((arrived, field.rule(RULE)), (sent, sent as u64));
    assert_eq!(field.dropped(), [], "all that was sent is listed");
}

#[test]
fn what_a_published_relay_relays_comes_to_the_media_and_nowhere_else() {
    let field = Field::new();
    field.attach("");
    let core = field.lab.core().expect("a core");
    // Before the relay has the port: it may answer from there, and open nothing.
    assert!(!connects(&field, "relay", (RELAY, 443), REPLIES));
    let opening = await_quiet("it is counted", || field.dropped());
    assert!(matches!(&opening[..], [(reason, 1..)] if reason == "opening_segment"), "{opening:?}");
    let relay = Relay::start(&field);
    let (sent, arrived) = (field.tap(core, "sbc"), field.tap(field.host("sbc"), "sbc"));
    assert!(relay.is_echoed(MEDIA));
    let [relayed, arrived] = [sent, arrived].map(|tap| datagrams(&tap.close().expect("frames"), RELAY, SBC));
    assert!(relayed >= 20, "{relayed} were relayed");
    assert_eq!((arrived, field.rule(RULE)), (relayed, relayed as u64));
    assert_eq!(field.dropped(), opening, "all that was sent since is listed");
    let sent = field.tap(core, "sbc");
    assert!(!relay.is_echoed(REPLIES), "it is no media port");
    let sent = from(&sent.close().expect("frames"), RELAY).count() as u64;
    assert!(sent >= 20, "{sent} were relayed");
    assert_eq!(field.rule(RULE), relayed as u64, "it is no media port");
    assert_eq!(field.dropped_since(&opening), [("source_port".to_owned(), sent)]);
}

//! What an operator mistypes, lacks or is told by somebody else.

use std::fs;

use filter_user::fleet::{Bucket, STATE_BUCKET};
use serde_json::json;

use crate::world::World;

#[test]
fn what_an_operator_mistypes_or_lacks_is_told_in_words() {
    let world = World::new(1, 1);
    let (brokers, _nodes) = world.start();
    let policy = world.path("policy.toml");
    let nobody = world.operate(&["status", "--group", "core"]);
    nobody.assert_failed(1, "no node of `group.core` ever said anything");
    nobody.assert_failed(1, "hint: groups are edge");
    world
        .operate(&["explain", "--node", "sbc9", "udp", "192.0.2.1:5060", "198.51.100.11:5060"])
        .assert_failed(1, "no node `sbc9` ever said anything\nhint: `sipwall fleet status`");
    let none = world.operate(&["history", "--group", "core"]);
    assert!(none.code == 0 && none.stdout.is_empty(), "{none:?}");
    assert!(none.stderr.contains("`group.core` never had a policy"), "{none:?}");
    let differs = world.operate(&["diff", &policy, "--node", "sbc9"]);
    assert!(differs.stderr.contains("warning: no node of `node.sbc9` ever said anything"), "{differs:?}");
    let denied = world.operate(&["deny", "add", "192.0.2.66", "--group", "core"]);
    assert!(denied.code == 0 && denied.stderr.contains("warning: no node of `group.core`"), "{denied:?}");
    world.operate(&["apply", &policy, "--group", "core"]).assert_failed(1, "so none can try it first");
    world.operate(&["rollback", "9", "--group", "edge"]).assert_failed(1, "has no revision 9 of `group.edge` any more");
    world.operate(&["apply", &policy, "--group", "Edge!"]).assert_failed(2, "use 1 to 31 of `a-z`, `0-9` and `-`");
    // Of the file that was given, not of where it was tried.
    let twice = "[[allow]]\nname = \"broker\"\nfrom = [\"192.0.2.77\"]\ntcp = [443]\n";
    let bad = world.policy("bad", twice, &[]);
    world.operate(&["apply", &bad, "--group", "edge"]).assert_failed(1, "\npolicy.toml:");
    // Without a key that signs, and without any.
    let config = fs::read_to_string(world.path("ops.toml")).expect("a file");
    let lines: Vec<_> = config.lines().filter(|line| !line.starts_with("sign_with")).collect();
    world.write("ops.toml", &format!("{}\ntrust = [\"fleet.key.pub\"]\n", lines.join("\n")));
    world.operate(&["apply", &policy, "--group", "edge"]).assert_failed(2, "`sign_with` names no key");
    world.operate(&["deny", "add", "192.0.2.66", "--all"]).assert_failed(2, "`sign_with` names no key");
    world.write("ops.toml", &lines.join("\n"));
    world
        .operate(&["history", "--group", "edge"])
        .assert_failed(2, "`trust` names no key\nhint: `sipwall fleet keygen`");
    assert_eq!(world.operate(&["status"]).code, 0, "who looks needs none");
    world.write("ops.toml", "[fleet]\n");
    world.operate(&["status"]).assert_failed(2, "`servers` names none");
    world.write("ops.toml", &lines.join("\n"));
    drop(brokers);
    for command in ["status", "events", "targets"] {
        world.operate(&[command]).assert_failed(1, "cannot reach the broker at nats://192.0.2.11:4222");
    }
}

#[test]
fn what_others_write_does_nothing_to_the_operator_s_terminal() {
    let world = World::new(1, 1);
    let (_brokers, _nodes) = world.start();
    let evil = "\u{1b}]0;gone\u{7}\u{9b}2J";
    let mut state = world.states().remove(0);
    state["node"] = "evil".into();
    for key in ["group", "problem", "version"] {
        state[key] = json!(evil);
    }
    state["interfaces"][0]["mode"] = json!(evil);
    let octets = serde_json::to_vec(&state).expect("JSON");
    let event = json!({
        "node": "evil", "group": null, "unpublished": 1, "drops": [],
        "changes": [{ "time": "2026-01-01T00:00:00Z", "state": "follows", "target": null, "running": null, "trying": null,
            "wanted": null, "problem": evil, "interfaces": [] }],
    });
    let event = serde_json::to_vec(&event).expect("JSON");
    world.at_broker(async |broker| {
        let bucket = Bucket::open(broker, STATE_BUCKET).await.expect("an answer").expect("a bucket");
        bucket.write("evil", octets).await.expect("it is taken");
        let context = async_nats::jetstream::new(broker.client().clone());
        for message in [event, b"no JSON".to_vec()] {
            let sent = context.publish("sipwall.events._.evil", message.into()).await.expect("it is sent");
            sent.await.expect("it is taken");
        }
    });
    for command in ["status", "events"] {
        let shown = world.operate(&[command]);
        let text = format!("{}{}", shown.stdout, shown.stderr);
        assert!(text.contains("evil") && text.contains("\\u{1b}]0;gone"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

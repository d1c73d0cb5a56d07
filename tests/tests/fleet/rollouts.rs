//! Policies and deny lists on their way to the nodes.

use serde_json::Value;

use crate::world::{SCANNER, WITHOUT_CARRIER, World};

/// The last line that a command with `--json` printed.
fn last(stdout: &str) -> Value {
    stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

#[test]
fn a_policy_reaches_canaries_first_and_one_that_drops_listed_traffic_reaches_nobody_else() {
    let world = World::new(1, 2);
    let (_brokers, nodes) = world.start();
    let _traffic = world.traffic();
    assert_eq!(world.datagrams("carrier", 1), 0, "the node's own policy knows no carrier");
    let applied = world.apply(&world.path("policy.toml"), &["--json"]);
    applied.assert_done();
    assert_eq!(last(&applied.stdout)["ended"], "in_force", "{applied:?}");
    for (node, number) in nodes.iter().zip(1..) {
        let status = node.await_revision(1);
        let policy = status["policy"].as_str().unwrap_or_default();
        assert!(policy.ends_with("/group.edge.1.toml") && status["mode"] == "enforce", "{status}");
        assert_eq!((world.datagrams("carrier", number), world.datagrams("scanner", number)), (3, 0));
        assert!(node.status_text().contains("revision 1 of group.edge is in force"), "{}", node.status_text());
    }
    let first: Value = serde_json::from_str(applied.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["canaries"].as_array().map(Vec::len), Some(1), "{first}");
    // One that forgot the prefix that the carrier sends from.
    let bad = world.policy("bad", "", &WITHOUT_CARRIER);
    let differs = world.operate(&["diff", &bad, "--group", "edge"]);
    assert!(differs.code == 1 && differs.stdout.contains("- 203.0.113.16/30"), "{differs:?}");
    let refused = world.apply(&bad, &["--json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let ended = last(&refused.stdout);
    assert_eq!((&ended["ended"], &ended["revision"]), (&"taken_back".into(), &2.into()), "{refused:?}");
    assert!(
        ended["why"].as_str().is_some_and(|why| why.contains("listed sources are dropped for `port_closed`")),
        "{ended}"
    );
    for (node, number) in nodes.iter().zip(1..) {
        node.await_revision(1);
        assert_eq!(world.datagrams("carrier", number), 3, "{}", node.log());
    }
    let tried = nodes
        .iter()
        .filter(|node| node.log().contains("trying what the fleet wants key=\"canary.group.edge\" revision=2"));
    assert_eq!(tried.count(), 1, "the others were not told");
    // It may fall silent where that is meant.
    world.apply(&bad, &["--may-lose", "carrier"]).assert_done();
    for (node, number) in nodes.iter().zip(1..) {
        node.await_revision(3);
        assert_eq!(world.datagrams("carrier", number), 0);
    }
    world.operate(&["rollback", "1", "--group", "edge", "--observe", "1s", "--confirm", "20s"]).assert_done();
    for node in &nodes {
        node.await_revision(4);
    }
    let history = world.operate(&["history", "--group", "edge", "--json"]);
    let revisions: Vec<Value> = history
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["revision"].clone())
        .collect();
    assert_eq!(revisions, [1, 3, 4].map(Value::from), "{history:?}");
    let packet = ["udp", "203.0.113.17:5060", "198.51.100.11:5060", "--json"];
    let explained = world.operate(&[&["explain", "--node", "sbc1"], &packet[..]].concat()).json();
    assert_eq!((&explained["action"], &explained["rule"]), (&"pass".into(), &"carrier/sip-udp".into()), "{explained}");
    assert_eq!(world.operate(&["diff", &world.path("policy.toml"), "--group", "edge"]).code, 0);
}

#[test]
fn a_policy_that_cuts_a_canary_off_from_the_broker_falls_back_by_itself() {
    let world = World::new(1, 2);
    let (_brokers, nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    let cut = world.policy("cut", "[[deny]]\nname = \"oops\"\nfrom = [\"192.0.2.0/28\"]\n", &[]);
    world.apply(&cut, &[]).assert_failed(1, "revision 2 is taken back: in time sbc");
    for (node, number) in nodes.iter().zip(1..) {
        node.await_revision(1);
        assert_eq!(
            node.await_status("it is back", |status| status["service"]["fleet"]["connected"] == true)["denied_count"],
            0
        );
        world.await_state(number, "it says so", |state| {
            state["running_revision"] == 1 && state["trying_revision"].is_null()
        });
    }
}

#[test]
fn what_a_fleet_denies_is_denied_on_every_node_of_a_group_until_it_is_removed() {
    let world = World::new(1, 2);
    let (_brokers, nodes) = world.start();
    world.apply(&world.path("policy.toml"), &["--canary", "0"]).assert_done();
    assert_eq!(world.datagrams("carrier", 1), 3);
    world.operate(&["deny", "add", "203.0.113.17", "--group", "edge", "--comment", "a test"]).assert_done();
    world.operate(&["deny", "add", SCANNER, "--all", "--for", "2h"]).assert_done();
    for number in [1, 2] {
        let state = world.await_state(number, "both lists hold", |state| state["denied"] == 2);
        assert_eq!(state["accepted"]["deny.group.edge"], 1, "{state}");
        assert_eq!(world.datagrams("carrier", number), 0);
    }
    let listed = world.operate(&["deny", "list", "--group", "edge", "--json"]).json();
    assert_eq!((&listed["prefix"], &listed["comment"]), (&"203.0.113.17/32".into(), &"a test".into()));
    world.operate(&["deny", "remove", SCANNER, "--group", "edge"]).assert_failed(1, "does not deny 192.0.2.99/32");
    world.operate(&["deny", "remove", "203.0.113.17", "--group", "edge"]).assert_done();
    for number in [1, 2] {
        world.await_state(number, "one list holds", |state| state["denied"] == 1);
        assert_eq!(world.datagrams("carrier", number), 3);
    }
    drop(nodes);
}

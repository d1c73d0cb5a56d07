//! Sources denied while the filter runs.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use ipnet::IpNet;
use serde_json::Value;
use tests::{
    scene::{CARRIER, Scene, packets},
    service::wait_for,
};

fn listed(scene: &Scene, prefix: &str) -> Option<Value> {
    let list = scene.sipwall(&["deny", "list", "--json"]);
    list.assert_done();
    let mut lines = list.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.find(|line| line["prefix"] == prefix)
}

#[test]
fn what_is_added_is_denied_until_it_is_removed() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    scene.sipwall(&["deny", "add", "203.0.113.17", "2001:db8:bad::/48"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    assert_eq!(packets(&scene.stats(), "reason", "denied", Some("drop")), 3);
    let denied = listed(&scene, "203.0.113.17/32").expect("it is listed");
    assert_eq!(
        (&denied["by_policy"], &denied["by_hand"], &denied["expires_in_seconds"]),
        (&false.into(), &true.into(), &Value::Null)
    );
    assert!(listed(&scene, "2001:db8:bad::/48").is_some());
    // A policy that is put in force leaves it, also one that denies the same.
    let same = ("from = [\"192.0.2.33\"", "from = [\"203.0.113.17\", \"192.0.2.33\"");
    scene.sipwall(&["apply", &scene.policy("other.toml", &[same])]).assert_done();
    scene.sipwall(&["apply", &scene.policy("policy.toml", &[])]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    scene.sipwall(&["deny", "remove", "203.0.113.17"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    scene.sipwall(&["deny", "remove", "203.0.113.17"]).assert_failed(1, "203.0.113.17/32 was not added on `eth0`");
}

#[test]
fn what_the_policy_denies_too_stays_denied_when_it_is_removed() {
    let scene = Scene::new();
    let policy = ("from = [\"192.0.2.33\"", "from = [\"203.0.113.17\", \"192.0.2.33\"");
    scene.attach(&scene.policy("policy.toml", &[policy]));
    scene.sipwall(&["deny", "add", "203.0.113.17"]).assert_done();
    let denied = listed(&scene, "203.0.113.17/32").expect("it is listed");
    assert_eq!((&denied["by_policy"], &denied["by_hand"]), (&true.into(), &true.into()));
    scene.sipwall(&["deny", "remove", "203.0.113.17"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
}

#[test]
fn what_is_denied_for_a_time_ends_by_itself_also_inside_what_goes_on() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["deny", "add", "203.0.113.17", "--for", "8s"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    let denied = listed(&scene, "203.0.113.17/32").expect("it is listed");
    assert!((1..=8).contains(&denied["expires_in_seconds"].as_u64().expect("a number")), "{denied}");
    wait_for("what was denied for a time is denied no more", || {
        listed(&scene, "203.0.113.17/32").is_none().then_some(())
    });
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    // What has ended hides no wider prefix that goes on.
    scene.sipwall(&["deny", "add", "203.0.113.17", "203.0.113.16/31", "--for", "1s"]).assert_done();
    scene.sipwall(&["deny", "add", "203.0.113.0/24"]).assert_done();
    wait_for("the inner prefixes have ended", || listed(&scene, "203.0.113.16/31").is_none().then_some(()));
    assert_eq!(scene.datagrams("carrier", 5060), 0);
}

#[test]
fn what_has_ended_was_not_added_any_more_and_what_was_added_anew_without_end_stays() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["deny", "add", "203.0.113.17", "192.0.2.66", "--for", "2s"]).assert_done();
    scene.sipwall(&["deny", "add", "192.0.2.66"]).assert_done();
    wait_for("what was denied for a time has ended", || listed(&scene, "203.0.113.17/32").is_none().then_some(()));
    scene.sipwall(&["deny", "remove", "203.0.113.17"]).assert_failed(1, "203.0.113.17/32 was not added on `eth0`");
    assert!(listed(&scene, "192.0.2.66/32").is_some());
    scene.sipwall(&["deny", "add", "203.0.113.17", "--for", "1s"]).assert_done();
    wait_for("it has ended", || listed(&scene, "203.0.113.17/32").is_none().then_some(()));
    let again = scene.sipwall(&["deny", "add", "203.0.113.17", "192.0.2.66"]);
    assert!(again.stderr.contains("2 denied, 1 of them new"), "{again:?}");
}

#[test]
fn the_inner_prefixes_of_an_earlier_policy_hide_no_wider_one() {
    let scene = Scene::new();
    let around = |length| IpNet::new(CARRIER.parse().expect("an address"), length).expect("a length").trunc();
    let inner: Vec<String> = (20..=32).map(|length| format!("\"{}\"", around(length))).collect();
    let nested = format!("from = [{}, \"192.0.2.33\"", inner.join(", "));
    let wide = "from = [\"203.0.0.0/16\", \"192.0.2.33\"";
    scene.attach(&scene.policy("nested.toml", &[("from = [\"192.0.2.33\"", &nested)]));
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    scene.sipwall(&["apply", &scene.policy("wide.toml", &[("from = [\"192.0.2.33\"", wide)])]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    scene.sipwall(&["apply", &scene.policy("policy.toml", &[])]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 3);
}

#[test]
fn more_prefixes_inside_each_other_than_the_data_plane_looks_through_are_refused() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let nested: Vec<String> = (16..=24).map(|length| format!("10.0.0.0/{length}")).collect();
    let mut add = vec!["deny", "add"];
    add.extend(nested.iter().map(String::as_str));
    scene.sipwall(&add).assert_failed(1, "9 prefixes inside each other, and the data plane looks through 8");
    assert_eq!(listed(&scene, "10.0.0.0/16"), None, "nothing of it is added");
    scene.sipwall(&add[..add.len() - 1]).assert_done();
}

#[test]
fn a_large_part_of_the_internet_is_not_denied_by_mistake() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let list = scene.path("list.txt");
    std::fs::write(&list, "192.0.2.1\n2000::/15\n").expect("a file");
    for (arguments, wide) in [
        (&["deny", "add", "0.0.0.0/0"][..], "0.0.0.0/0"),
        (&["deny", "add", "192.0.2.1", "202.0.0.0/7"], "202.0.0.0/7"),
        (&["deny", "load", &list], "2000::/15"),
    ] {
        scene.sipwall(arguments).assert_failed(2, &format!("{wide} is a large part of the internet"));
        scene.sipwall(arguments).assert_failed(2, "`--allow-wide`");
    }
    assert_eq!(listed(&scene, "192.0.2.1/32"), None, "nothing of it is denied");
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    scene.sipwall(&["deny", "add", "10.0.0.0/8", "2001::/16"]).assert_done();
    scene.sipwall(&["deny", "add", "202.0.0.0/7", "--allow-wide"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
}

#[test]
fn what_somebody_else_denies_is_not_said_to_be_unknown() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.attach(&policy);
    let list = scene.path("list.txt");
    std::fs::write(&list, "192.0.2.67\n").expect("a file");
    scene.sipwall(&["deny", "load", &list]).assert_done();
    let remove = |prefix: &str| scene.sipwall(&["deny", "remove", prefix]);
    remove("192.0.2.33").assert_failed(1, "192.0.2.33/32 was not added on `eth0`: the policy denies it (/");
    remove("192.0.2.33").assert_failed(1, "policy.toml:");
    remove("192.0.2.67").assert_failed(1, "192.0.2.67/32 was not added on `eth0`: the list `list` has it");
    remove("192.0.2.68").assert_failed(1, "192.0.2.68/32 was not added on `eth0`\nhint: `sipwall deny list`");
    let removed = scene.sipwall(&["deny", "remove", "192.0.2.33", "--save", "--policy", &policy]);
    removed.assert_done();
    assert!(
        removed.stderr.contains("saved; it is no part of the policy any more from the next `sipwall apply` on"),
        "{removed:?}"
    );
}

#[test]
fn what_is_no_prefix_is_refused() {
    let scene = Scene::new();
    scene.sipwall(&["deny", "add", "203.0.113.17/24"]).assert_failed(2, "it has host bits: is 203.0.113.0/24 meant?");
    scene.sipwall(&["deny", "add", "bad"]).assert_failed(2, "neither an address nor a CIDR");
    scene.sipwall(&["deny", "add", "203.0.113.17"]).assert_failed(1, "no filter is attached to any interface");
}

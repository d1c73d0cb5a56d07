//! Lists that are loaded into the deny list.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{
    scene::{CARRIER, Scene},
    sipwall::{Ended, binary},
};

fn file(scene: &Scene, name: &str, text: &str) -> String {
    let path = scene.path(name);
    fs::write(&path, text).expect("a file");
    path
}

fn lines(scene: &Scene, arguments: &[&str]) -> Vec<Value> {
    let list = scene.sipwall(arguments);
    list.assert_done();
    list.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn prefixes(scene: &Scene) -> Vec<String> {
    let listed = lines(scene, &["deny", "list", "--json"]);
    let loaded = listed.iter().filter(|line| line["lists"].as_array().is_some_and(|lists| !lists.is_empty()));
    loaded.map(|line| line["prefix"].as_str().expect("a prefix").to_owned()).collect()
}

/// So many hosts, from 10.0.0.0 on.
fn hosts(first: u32, count: u32) -> String {
    let mut text = String::new();
    for host in first..first + count {
        writeln!(text, "{}", Ipv4Addr::from_bits(0x0a00_0000 + host)).expect("a line");
    }
    text
}

#[test]
fn a_list_takes_the_place_of_what_was_loaded_under_its_name() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["deny", "add", CARRIER, "192.0.2.200"]).assert_done();
    let path = file(
        &scene,
        "bad.txt",
        "\u{feff}# scanners\n192.0.2.200 # one\n\n203.0.113.0/24\n203.0.113.17\n2001:db8:bad::/48\n",
    );
    let loaded = lines(&scene, &["deny", "load", &path, "--comment", "daily", "--json"]);
    assert_eq!((&loaded[0]["added_count"], &loaded[0]["removed_count"]), (&3.into(), &0.into()), "{loaded:?}");
    assert_eq!(prefixes(&scene), ["192.0.2.200/32", "203.0.113.0/24", "2001:db8:bad::/48"]);
    scene.sipwall(&["deny", "remove", CARRIER]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    let lists = lines(&scene, &["deny", "list", "--lists", "--json"]);
    assert_eq!(
        (&lists[0]["name"], &lists[0]["prefixes"], &lists[0]["comment"]),
        (&"bad".into(), &3.into(), &"daily".into())
    );
    assert_eq!(scene.status()["live"]["listed_count"], 3);
    // The next load lets go what the file has no more; what was added by hand stays.
    file(&scene, "bad.txt", "198.18.0.0/15\n2001:db8:bad::/48\n");
    let loaded = lines(&scene, &["deny", "load", &path, "--json"]);
    assert_eq!((&loaded[0]["added_count"], &loaded[0]["removed_count"]), (&1.into(), &2.into()), "{loaded:?}");
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    let listed = lines(&scene, &["deny", "list", "--json"]);
    assert!(listed.iter().any(|line| line["prefix"] == "192.0.2.200/32" && line["by_hand"] == true), "{listed:?}");
    // Another list holds by itself, and survives the first one and a policy.
    let other = file(&scene, "other.txt", "203.0.113.17\n198.18.0.0/15\n");
    scene.sipwall(&["deny", "load", &other, "--name", "other"]).assert_done();
    scene.sipwall(&["deny", "unload", "bad"]).assert_done();
    scene.sipwall(&["apply", &scene.policy("next.toml", &[("name = \"ssh\"", "name = \"shell\"")])]).assert_done();
    assert_eq!(prefixes(&scene), ["198.18.0.0/15", "203.0.113.17/32"]);
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    scene.sipwall(&["deny", "unload", "bad"]).assert_failed(1, "no list `bad` is loaded on `eth0`");
    scene.sipwall(&["deny", "unload", "other"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 3);
}

#[test]
fn a_list_with_a_wrong_line_is_refused_with_every_one_of_them_and_nothing_is_loaded() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let path = file(&scene, "bad.txt", "203.0.113.17\nnonsense\n10.0.0.1/8\n");
    let refused = scene.sipwall(&["deny", "load", &path]);
    refused.assert_failed(2, &format!("{path}:2: `nonsense` is neither an address nor a CIDR"));
    refused.assert_failed(2, &format!("{path}:3: `10.0.0.1/8` has bits set beyond its prefix length"));
    scene.sipwall(&["deny", "load", &file(&scene, "empty.txt", "# nothing\n")]).assert_failed(2, "lists nothing");
    scene.sipwall(&["deny", "load", &scene.path("none.txt")]).assert_failed(2, "the list cannot be read");
    assert!(prefixes(&scene).is_empty());
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    let good = file(&scene, "good.txt", "192.0.2.1\n");
    for name in 1..=8 {
        scene.sipwall(&["deny", "load", &good, "--name", &format!("list-{name}")]).assert_done();
    }
    scene.sipwall(&["deny", "load", &good, "--name", "list-9"]).assert_failed(1, "8 lists are loaded");
}

#[test]
fn a_list_that_is_loaded_for_a_time_ends_by_itself() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let path = file(&scene, "bad.txt", "203.0.113.16/30\n");
    let begun = Instant::now();
    scene.sipwall(&["deny", "load", &path, "--for", "8s"]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    thread::sleep(Duration::from_millis(8200).saturating_sub(begun.elapsed()));
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    assert!(prefixes(&scene).is_empty());
    assert!(lines(&scene, &["deny", "list", "--lists", "--json"]).is_empty());
}

#[test]
fn a_million_lines_are_loaded_and_an_update_writes_the_difference_alone() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let path = file(&scene, "million.txt", &hosts(0, 999_000));
    let loaded = lines(&scene, &["deny", "load", &path, "--json"]);
    eprintln!("{:?}", loaded[0]);
    assert_eq!((&loaded[0]["added_count"], &loaded[0]["removed_count"]), (&999_000.into(), &0.into()));
    file(&scene, "million.txt", &hosts(500, 999_000));
    let loaded = lines(&scene, &["deny", "load", &path, "--json"]);
    eprintln!("{:?}", loaded[0]);
    assert_eq!((&loaded[0]["added_count"], &loaded[0]["removed_count"]), (&500.into(), &500.into()));
    file(&scene, "million.txt", &hosts(0, 1_000_001));
    scene.sipwall(&["deny", "load", &path]).assert_failed(1, "there is room for 1000000");
    assert_eq!(scene.status()["live"]["listed_count"], 999_000);
    assert_a_change_reads_little(&scene);
    assert_nothing_is_half_done_when_it_is_full(&scene);
}

/// Asserts that a change of a few prefixes asks the kernel for a few, not for all that is denied.
fn assert_a_change_reads_little(scene: &Scene) {
    let next = scene.policy("next.toml", &[("\"192.0.2.33\"", "\"192.0.2.34\"")]);
    let small = file(scene, "small.txt", "192.0.2.128/25\n2001:db8:bad::/48\n");
    // All read the names of 1,024 rules, to say whom they cut; `apply` their counts too, several times.
    for (arguments, most) in [
        (&["deny", "add", "192.0.2.66", "192.0.2.64/31", "--for", "1h"][..], 5000),
        (&["deny", "remove", "192.0.2.66", "192.0.2.64/31"], 5000),
        (&["deny", "load", &small], 5000),
        (&["deny", "unload", "small"], 5000),
        (&["apply", &next], 10_000),
    ] {
        let calls = calls(scene, arguments).len();
        eprintln!("{arguments:?}: {calls} calls");
        assert!((1..most).contains(&calls), "{arguments:?}: {calls} calls of bpf");
    }
}

/// The calls of bpf(2) that a command makes, a line each.
fn calls(scene: &Scene, arguments: &[&str]) -> Vec<String> {
    let trace = scene.path("trace");
    let mut command = scene.host("sbc").command("strace");
    command.args(["-f", "-e", "trace=bpf", "-o", &trace]).arg(binary()).args(arguments);
    Ended::from(command.output().expect("strace runs")).assert_done();
    let trace = fs::read_to_string(&trace).expect("a trace");
    trace.lines().filter(|line| line.contains("bpf(")).map(str::to_owned).collect()
}

/// What several hold takes up room once: how much there is left is known without a look at every entry.
#[test]
fn what_a_full_list_has_is_denied_by_hand_too_and_nobody_walks_over_all_of_it() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let path = file(&scene, "many.txt", &hosts(0, 999_990));
    scene.sipwall(&["deny", "load", &path]).assert_done();
    let listed: Vec<String> = hosts(0, 40).lines().map(str::to_owned).collect();
    let denied = |count: u64| assert_eq!(scene.status()["live"]["denied_count"], count);
    for (some, count) in listed.chunks(20).zip([20, 40]) {
        let words = ["deny", "add"].into_iter().chain(some.iter().map(String::as_str));
        let walks = calls(&scene, &words.collect::<Vec<_>>());
        let walks: Vec<_> = walks.iter().filter(|call| call.contains("BPF_MAP_LOOKUP_BATCH")).collect();
        assert!(walks.is_empty(), "{count}: {} reads of all entries", walks.len());
        denied(count);
    }
    let full = scene.sipwall(&["deny", "load", &file(&scene, "more.txt", &hosts(0x0010_0000, 100))]);
    full.assert_failed(1, "and there is room for 1000000");
    scene.sipwall(&["deny", "unload", "many"]).assert_done();
    denied(40);
    // What is left of it is counted as well.
    scene.sipwall(&["deny", "load", &file(&scene, "others.txt", &hosts(0x0010_0000, 999_950))]).assert_done();
    scene.sipwall(&["deny", "load", &path]).assert_failed(1, "and there is room for 1000000");
}

/// Asserts that what finds no room leaves everything as it was, and says so.
fn assert_nothing_is_half_done_when_it_is_full(scene: &Scene) {
    // With the hosts that this policy and the one before deny, and this list, there is room for one more.
    let rest = file(scene, "rest.txt", &hosts(0x0010_0000, 997));
    scene.sipwall(&["deny", "load", &rest]).assert_done();
    let listed = || lines(scene, &["deny", "list", "--lists", "--json"]);
    let before = (listed(), scene.status()["live"].clone(), scene.status()["generation"].clone());
    let more = file(scene, "more.txt", "192.0.2.70\n192.0.2.71\n");
    let denies = scene.policy("denies.toml", &[("\"192.0.2.33\"", "\"192.0.2.33\", \"192.0.2.70\", \"192.0.2.71\"")]);
    for arguments in [&["deny", "add", "192.0.2.70", "192.0.2.71"][..], &["deny", "load", &more], &["apply", &denies]] {
        let refused = scene.sipwall(arguments);
        refused.assert_failed(1, "the deny list would need 1000001 IPv4 prefixes, and there is room for 1000000");
        refused.assert_failed(1, "hint: `sipwall deny list --lists`");
        assert_eq!(
            (listed(), scene.status()["live"].clone(), scene.status()["generation"].clone()),
            before,
            "{arguments:?}"
        );
    }
    scene.sipwall(&["deny", "add", "192.0.2.70"]).assert_done();
    scene.sipwall(&["deny", "add", "192.0.2.71"]).assert_failed(1, "there is room for 1000000");
    scene.sipwall(&["deny", "unload", "million"]).assert_done();
    scene.sipwall(&["deny", "add", "192.0.2.71"]).assert_done();
    assert_eq!(scene.status()["live"]["denied_count"], 2);
}

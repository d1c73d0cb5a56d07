//! Policies put in force on a filter that runs: differences, trials, rollbacks.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use filter_user::kernel::{self, Change};
use serde_json::Value;
use tests::{
    json,
    judge::fixture_policy,
    scene::{Scene, packets},
    service::Service,
    sipwall::binary,
};

/// Lets the scanner in too.
const WITH_SCANNER: (&str, &str) =
    ("[[deny]]", "[[allow]]\nname = \"scanner\"\nfrom = [\"192.0.2.99\"]\nudp = [5060]\n\n[[deny]]");
/// Denies the carrier.
const WITHOUT_CARRIER: (&str, &str) = ("from = [\"192.0.2.33\"", "from = [\"203.0.113.17\", \"192.0.2.33\"");

fn state(status: &Value) -> &str {
    status["confirmation"]["state"].as_str().expect("a state")
}

#[test]
fn what_is_in_force_already_changes_nothing() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.attach(&policy);
    let same = scene.sipwall(&["apply", &policy]);
    same.assert_done();
    assert!(same.stderr.contains("generation 1 is in force already"), "{same:?}");
    assert_eq!(scene.status()["generation"], 1);
    scene.sipwall(&["diff", &policy]).assert_done();
    scene.sipwall(&["diff", &policy, "--interface", "lo"]).assert_failed(2, "no filter is attached to `lo`");
    let applied = scene.sipwall(&["apply", &policy, "--json"]).json();
    assert_eq!((&applied["changed"], &applied["generation"]), (&false.into(), &1.into()));
}

#[test]
fn what_changes_is_shown_and_then_in_force() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    let changes = [WITH_SCANNER, ("sip-udp = [5060]", "sip-udp = [5070]"), ("[sbc]\n", "[sbc]\nscope = \"ports\"\n")];
    let other = scene.policy("other.toml", &changes);
    let diff = scene.sipwall(&["diff", &other]);
    assert_eq!(diff.code, 1, "{diff:?}");
    for line in [
        "eth0: generation 1 would change",
        "  scope: interface → ports",
        "  allow/scanner: udp to port 5060\n    + 192.0.2.99/32",
        "  carrier/sip-udp: udp to port 5060 (the rule passed 3 packets in the last",
        "  carrier/sip-udp: udp to port 5070\n    + ",
    ] {
        assert!(diff.stdout.contains(line), "`{line}` is not in {}", diff.stdout);
    }
    assert_eq!(scene.status()["generation"], 1, "`diff` changes nothing");
    let applied = scene.sipwall(&["apply", &other, "--json"]).json();
    assert_eq!((&applied["changed"], &applied["generation"]), (&true.into(), &2.into()));
    assert_eq!(applied["diff"]["lately"]["packets_by_rule"]["carrier/sip-udp"], 3);
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    assert_eq!(scene.datagrams("carrier", 5070), 3);
    assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 6);
    scene.sipwall(&["diff", &other]).assert_done();
}

#[test]
fn every_kind_of_difference_is_seen() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    for (name, changes, expected) in [
        ("a class", ("[[provider]]", "[classes]\nping = \"pass\"\n\n[[provider]]"), "classes.ping: drop → pass"),
        ("a limit", ("[[provider]]", "[limits]\nsip = \"7/s burst 9\"\n\n[[provider]]"), "→ 7/s burst 9"),
        ("inspection", ("[[provider]]", "[inspect]\nsip = \"count\"\n\n[[provider]]"), "inspect.sip: off → count"),
        ("addresses", (", \"2001:db8:ffff::10\"]", "]"), "addresses: 198.51.100.10, 2001:db8:ffff::10 → 198.51.100.10"),
        ("media", ("[\"16384-32767\"]", "[\"16384-20000\"]"), "listen udp: 5060, 16384-32767 → 5060, 16384-20000"),
        ("a deny", WITHOUT_CARRIER, "deny list\n    + 203.0.113.17/32"),
        ("an allow", ("tcp = [22]", "tcp = [23]"), "allow/ssh: tcp to port 22"),
        ("a protocol", ("protocols = [47]", "protocols = [50]"), "allow/tunnel: protocol 50"),
    ] {
        let diff = scene.sipwall(&["diff", &scene.policy("other.toml", &[changes])]);
        assert_eq!(diff.code, 1, "{name}: {diff:?}");
        assert!(diff.stdout.contains(expected), "{name}: `{expected}` is not in {}", diff.stdout);
    }
}

#[test]
fn a_policy_that_is_not_confirmed_goes_and_nothing_need_be_alive_for_it() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let other = scene.policy("other.toml", &[WITH_SCANNER, WITHOUT_CARRIER]);
    let applied = scene.sipwall(&["apply", &other, "--confirm", "10s"]);
    applied.assert_done();
    assert!(applied.stderr.contains("to confirm it, or generation 1 is in force again"), "{applied:?}");
    let begun = Instant::now();
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (3, 0));
    let status = scene.status();
    assert_eq!((state(&status), &status["generation"]), ("pending", &2.into()));
    let shown = scene.sipwall(&["status"]);
    assert!(shown.stdout.contains("confirm     AWAITED: "), "{shown:?}");
    thread::sleep(Duration::from_millis(10_200).saturating_sub(begun.elapsed()));
    // What the new policy denied is denied no more, what it let in is not let in.
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (0, 3));
    let status = scene.status();
    assert_eq!((state(&status), &status["generation"]), ("rolled_back", &1.into()));
    scene.sipwall(&["confirm", "eth0"]).assert_failed(1, "too late: generation 2 was not confirmed in time");
    // It goes on from there.
    scene.sipwall(&["apply", &other]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    assert_eq!((state(&scene.status()), &scene.status()["generation"]), ("confirmed", &3.into()));
}

#[test]
fn what_was_counted_before_the_policy_in_force_can_be_left_out() {
    const MONITOR: (&str, &str) = ("[sbc]\n", "[sbc]\nmode = \"monitor\"\n");
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[MONITOR]));
    let since_policy = || scene.sipwall(&["stats", "eth0", "--since-policy", "--json"]).json();
    let unlisted = |stats: &Value| packets(stats, "reason", "source_unlisted", Some("would_drop"));
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (3, 3));
    assert_eq!((unlisted(&scene.stats()), unlisted(&since_policy())), (3, 3));
    let mended = scene.policy("mended.toml", &[MONITOR, WITH_SCANNER]);
    scene.sipwall(&["apply", &mended]).assert_done();
    assert_eq!((unlisted(&scene.stats()), unlisted(&since_policy())), (3, 0));
    assert_eq!(packets(&since_policy(), "rule", "carrier/sip-udp", None), 0);
    assert_eq!((scene.datagrams("scanner", 5060), scene.datagrams("carrier", 5060)), (3, 3));
    let (all, since) = (scene.stats(), since_policy());
    assert_eq!((unlisted(&all), unlisted(&since)), (3, 0));
    assert_eq!(packets(&all, "rule", "carrier/sip-udp", None), 6);
    assert_eq!(packets(&since, "rule", "carrier/sip-udp", None), 3);
    assert_eq!(packets(&since, "rule", "allow/scanner", None), 3);
    let begun = |stats: &Value| json::instant(&stats["since"]);
    assert_eq!(begun(&since), json::instant(&scene.status()["published_at"]));
    assert!(begun(&all) <= begun(&since) && begun(&all) > begun(&since) - 600, "{all} {since}");
    let shown = scene.sipwall(&["stats", "--since-policy"]);
    shown.assert_done();
    assert!(shown.stdout.contains("generation 2\nsince 20"), "{shown:?}");
    assert!(!shown.stdout.contains("source_unlisted"), "{shown:?}");
    // A policy that is in force again counts from when it was published.
    scene.sipwall(&["apply", &scene.policy("policy.toml", &[MONITOR]), "--confirm", "1h"]).assert_done();
    assert_eq!(packets(&since_policy(), "rule", "allow/scanner", None), 0);
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    assert_eq!(packets(&since_policy(), "rule", "allow/scanner", None), 3);
}

#[test]
fn a_policy_whose_addresses_are_another_machines_is_warned_of() {
    let scene = Scene::new();
    let foreign = ("addresses = [\"198.51.100.10\", \"2001:db8:ffff::10\"]", "addresses = [\"198.51.100.99\"]");
    let foreign = scene.policy("foreign.toml", &[foreign]);
    let warning = "warning: `eth0`: the policy's `addresses` have none of its own, ";
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &foreign]);
    attached.assert_done();
    assert!(attached.stderr.contains(warning) && attached.stderr.contains("198.51.100.10"), "{attached:?}");
    assert!(attached.stderr.contains("what is sent there ends as `destination_foreign`"), "{attached:?}");
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    let applied = scene.sipwall(&["apply", "--policy", &scene.policy("policy.toml", &[])]);
    applied.assert_done();
    assert!(!applied.stderr.contains("warning"), "{applied:?}");
    let applied = scene.sipwall(&["apply", &foreign]);
    applied.assert_done();
    assert!(applied.stderr.contains(warning), "{applied:?}");
    assert_eq!(scene.status()["policy"], foreign);
    scene.sipwall(&["detach", "eth0"]).assert_done();
    Service::start(&scene, &foreign).await_log(&["WARN", "the policy's `addresses` have none", "198.51.100.10"]);
}

#[test]
fn a_policy_that_is_confirmed_stays() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let other = scene.policy("other.toml", &[WITH_SCANNER]);
    scene.sipwall(&["apply", &other, "--confirm", "6s"]).assert_done();
    let begun = Instant::now();
    let confirmed = scene.sipwall(&["confirm"]);
    confirmed.assert_done();
    assert!(confirmed.stderr.contains("`eth0`: generation 2 stays"), "{confirmed:?}");
    thread::sleep(Duration::from_millis(6200).saturating_sub(begun.elapsed()));
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    assert_eq!((state(&scene.status()), &scene.status()["generation"]), ("confirmed", &2.into()));
    scene.sipwall(&["confirm"]).assert_failed(1, "no policy awaits confirmation");
}

#[test]
fn a_first_policy_that_is_not_confirmed_lets_everything_pass() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy, "--confirm", "6s"]);
    attached.assert_done();
    assert!(attached.stderr.contains("or everything passes"), "{attached:?}");
    let begun = Instant::now();
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    thread::sleep(Duration::from_millis(6200).saturating_sub(begun.elapsed()));
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    let status = scene.status();
    assert_eq!((state(&status), &status["mode"], &status["running"]), ("rolled_back", &Value::Null, &true.into()));
    assert_eq!((&status["published_at"], &status["policy"]), (&Value::Null, &Value::Null));
    let shown = scene.sipwall(&["status"]);
    assert!(shown.stdout.contains("  policy      -, generation 0, published -\n"), "{shown:?}");
    assert!(packets(&scene.stats(), "reason", "no_policy", Some("pass")) >= 3);
    scene.sipwall(&["apply", &policy]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 0);
}

#[test]
fn a_trial_can_be_given_up_at_once() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["confirm", "eth0", "--revert"]).assert_failed(1, "no policy awaits confirmation on `eth0`");
    let other = scene.policy("other.toml", &[WITH_SCANNER]);
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    assert_eq!((state(&scene.status()), &scene.status()["generation"]), ("confirmed", &1.into()));
}

#[test]
fn the_first_policy_that_is_given_up_on_trial_lets_everything_pass_again() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.sipwall(&["attach", "eth0", "--policy", &policy, "--confirm", "1h"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    assert_eq!((&scene.status()["mode"], &scene.status()["running"]), (&Value::Null, &true.into()));
}

#[test]
fn a_policy_that_is_refused_while_one_is_on_trial_changes_nothing_of_it() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    scene.sipwall(&["apply", &scene.policy("other.toml", &[WITH_SCANNER]), "--confirm", "1h"]).assert_done();
    let wrong = scene.policy("wrong.toml", &[("[sbc]\n", "[sbc]\nmoad = 1\n")]);
    scene.sipwall(&["apply", &wrong, "--confirm", "1s"]).assert_failed(2, "wrong.toml:3");
    assert_eq!((state(&scene.status()), &scene.status()["generation"]), ("pending", &2.into()));
    // What comes next falls back to what was confirmed last, not to what is on trial.
    let third = scene.policy("third.toml", &[WITHOUT_CARRIER]);
    let applied = scene.sipwall(&["apply", &third, "--confirm", "1h", "--json"]).json();
    assert_eq!((&applied["generation"], &applied["confirmation"]["fallback"]), (&3.into(), &1.into()));
}

#[test]
fn a_writer_waits_for_another_and_says_whom_it_waits_for() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    scene.attach(&policy);
    // It holds the lock until its input ends.
    let lock = "/sys/fs/bpf/sipwall";
    let mut holder = scene.host("sbc").command("flock");
    let mut holder = holder.args([lock, "cat"]).stdin(Stdio::piped()).spawn().expect("flock runs");
    let held = || scene.host("sbc").command("flock").args(["-n", lock, "true"]).status().expect("flock runs");
    while held().success() {
        thread::sleep(Duration::from_millis(10));
    }
    let refused = scene.sipwall(&["apply", &scene.policy("other.toml", &[WITH_SCANNER])]);
    refused.assert_failed(1, "another command is changing the filter");
    scene.sipwall(&["stats", "eth0"]).assert_done();
    let mut waiting = scene.host("sbc").command(binary());
    let waiting = waiting.args(["apply", &policy]).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    let waited = waiting.wait_with_output().expect("it ends");
    assert!(waited.status.success(), "{waited:?}");
    assert_eq!(scene.status()["generation"], 1);
}

/// As the service and `refresh` do it, who look first.
#[test]
fn what_came_since_somebody_looked_is_not_replaced_without_another_look() {
    let scene = Scene::new();
    scene.attach(&scene.policy("policy.toml", &[]));
    let wanted = fixture_policy(&[WITH_SCANNER]).expect("the policy compiles");
    let change = Change { policy: &wanted, name: "wanted", confirm_within: None };
    let look = || kernel::status("eth0").expect("a filter");
    let seen = scene.host("sbc").inhabit(look).expect("a host");
    let put = |seen: &kernel::Status| {
        let put = || kernel::apply_over(seen, &change).expect("the kernel takes it").map(|applied| applied.generation);
        scene.host("sbc").inhabit(put).expect("a host")
    };
    let other = scene.policy("other.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    assert_eq!(put(&seen), None);
    let status = scene.status();
    assert_eq!((&status["generation"], state(&status)), (&2.into(), "pending"), "{status}");
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    assert_eq!(put(&seen), Some(3), "what was seen is in force again");
    let seen = scene.host("sbc").inhabit(look).expect("a host");
    scene.sipwall(&["apply", &other]).assert_done();
    assert_eq!(put(&seen), None);
    assert_eq!((&scene.status()["generation"], &scene.status()["mode"]), (&4.into(), &"monitor".into()));
}

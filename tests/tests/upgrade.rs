//! A newer binary over a filter that runs: the program is swapped on its link, and what was counted and denied stays.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};
use tests::ports::bound;

use serde_json::Value;
use tests::{
    pins::{OTHER_PINS, pins},
    scene::{CARRIER, SBC, SCANNER, Scene, packets},
    sipwall::{Ended, binary, older_binary, write_other_build},
};

/// When a filter began to count, in seconds since the epoch, and as JSON tells it.
const SINCE: u32 = 1_700_000_000;
const SINCE_IN_WORDS: &str = "2023-11-14T22:13:20Z";

/// Runs a shell's line on the SBC.
fn shell(scene: &Scene, line: &str) {
    let ended: Ended = scene.host("sbc").command("sh").args(["-c", line]).output().expect("sh runs").into();
    ended.assert_done();
}

/// How many of the datagrams that the scanner floods the SBC with get through while something is done, and how many were
/// sent.
fn flooded<T>(scene: &Scene, action: impl FnOnce() -> T) -> (T, usize, u64) {
    let [to, from] = ["sbc", "scanner"].map(|name| scene.host(name));
    let receiver = bound(to, || UdpSocket::bind((SBC, 5070)));
    let sender = bound(from, || UdpSocket::bind((SCANNER, 5060)));
    let done = AtomicBool::new(false);
    let (ended, sent) = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                sent += u64::from(sender.send_to(b"OPTIONS", (SBC, 5070)).is_ok());
            }
            sent
        });
        let ended = action();
        done.store(true, Ordering::Relaxed);
        (ended, flood.join().expect("the flood ends"))
    });
    receiver.set_nonblocking(true).expect("a mode");
    let mut buffer = [0; 64];
    (ended, std::iter::from_fn(|| receiver.recv(&mut buffer).ok()).count(), sent)
}

/// A filter with something counted, something denied by hand, and two generations.
fn filter(policy: &[(&str, &str)]) -> (Scene, String) {
    let scene = Scene::new();
    let file = scene.policy("policy.toml", policy);
    scene.attach(&file);
    scene.attach(&file);
    assert_eq!(scene.datagrams("carrier", 5060), 3);
    scene.sipwall(&["deny", "add", "192.0.2.66", "--for", "1h"]).assert_done();
    (scene, file)
}

/// Asserts that another program runs than before, with all that the older one knew.
fn assert_carried_over(scene: &Scene, before: &Value, sent: u64) {
    let status = scene.status();
    assert_ne!(status["program_id"], before["program_id"], "the program is another one");
    assert_eq!((&status["generation"], &status["is_this_build"]), (&3.into(), &true.into()), "{status}");
    let stats = scene.stats();
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 3);
    assert!(packets(&stats, "reason", "source_unlisted", Some("drop")) >= sent, "{sent} were sent: {stats}");
    let denied = scene.sipwall(&["deny", "list", "--json"]);
    assert!(denied.stdout.contains("192.0.2.66/32"), "{denied:?}");
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 6);
    let kept = scene.host("sbc").command("ls").arg("/sys/fs/bpf/sipwall").output().expect("ls runs");
    let is_this = |name: &&str| Path::new(&pins()).ends_with(name);
    assert_eq!(String::from_utf8_lossy(&kept.stdout).lines().filter(is_this).count(), 1);
    scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
}

#[test]
fn a_program_of_another_build_is_swapped_and_no_packet_slips_through() {
    let (scene, policy) = filter(&[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    let before = scene.status();
    assert_eq!(before["is_this_build"], true, "{before}");
    // As a version left it that did not note its build.
    shell(&scene, &format!("rm {}/eth0/build", pins()));
    let status = scene.sipwall(&["status"]);
    assert!(status.stdout.contains("NOT THIS BINARY'S"), "{status:?}");
    assert_eq!(scene.status()["is_this_build"], false);
    let attach = || scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]);
    let (attached, arrived, sent) = flooded(&scene, attach);
    assert_eq!((arrived, attached.json()["program"].as_str()), (0, Some("swapped")), "of {sent}");
    assert!(sent > 0);
    assert_carried_over(&scene, &before, sent);
}

#[test]
fn a_program_of_the_same_build_stays() {
    let (scene, policy) = filter(&[]);
    let before = scene.status();
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json();
    assert_eq!(attached["program"], "kept");
    assert_eq!(scene.status()["program_id"], before["program_id"]);
}

#[test]
fn a_filter_of_another_abi_hands_over_what_has_the_same_shape() {
    let (scene, policy) = filter(&[]);
    let before = scene.status();
    shell(&scene, &format!("mv {} {OTHER_PINS}", pins()));
    for (command, code) in
        [(&["stats", "eth0"][..], 1), (&["status", "eth0"], 1), (&["apply", &policy], 1), (&["diff", &policy], 2)]
    {
        scene.sipwall(command).assert_failed(code, "the filter on `eth0` is of another version of sipwall");
    }
    let trial = scene.sipwall(&["attach", "eth0", "--policy", &policy, "--confirm", "60s"]);
    trial.assert_failed(1, "the filter that runs is of another version, whose policy this one cannot go back to");
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0), "it still filters");
    let attach = || scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]);
    let (attached, arrived, sent) = flooded(&scene, attach);
    let attached = attached.json();
    assert_eq!((arrived, &attached["program"], &attached["anew"]), (0, &"swapped".into(), &Value::Array(Vec::new())));
    let left = scene.host("sbc").command("ls").args(["-A", OTHER_PINS]).output().expect("ls runs");
    assert!(left.stdout.is_empty(), "{left:?}");
    let stats = scene.stats();
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 6);
    assert_eq!(before["generation"], 2);
    assert_eq!(scene.status()["generation"], 3);
    assert!(packets(&stats, "reason", "source_unlisted", Some("drop")) >= sent, "{sent} were sent: {stats}");
    let denied = scene.sipwall(&["deny", "list", "--json"]);
    assert!(denied.stdout.contains("192.0.2.66/32"), "{denied:?}");
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
}

#[test]
fn maps_of_another_shape_begin_anew_and_are_named() {
    let (scene, policy) = filter(&[]);
    // Another map where the counters of rules were: what `FLOWS` holds is shaped differently.
    let pins = pins();
    shell(
        &scene,
        &format!(
            "cd {pins}/eth0 && touch -d @{SINCE} REASONS && mv LISTED rest && mv FLOWS LISTED && mv {pins} {OTHER_PINS}"
        ),
    );
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy]);
    attached.assert_done();
    assert!(
        attached.stderr.contains("not carried over, as this version has it in another form: LISTED, FLOWS"),
        "{attached:?}"
    );
    let stats = scene.stats();
    assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), 0);
    assert_ne!(stats["since"], SINCE_IN_WORDS, "nearly all that is counted began anew");
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
}

#[test]
fn what_a_filter_counted_that_had_no_counters_for_what_rules_let_in_goes_on() {
    let (scene, policy) = filter(&[]);
    // Where such a filter has what it counted for a rule.
    let pins = pins();
    shell(
        &scene,
        &format!(
            "cd {pins}/eth0 && touch -d @{SINCE} REASONS && rm RULES && mv LISTED RULES && mv {pins} {OTHER_PINS}"
        ),
    );
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json();
    assert_eq!(attached["anew"], Value::Array(Vec::new()), "{attached}");
    for (by_rule, listed) in [(3, 0), (6, 3)] {
        let stats = scene.stats();
        assert_eq!(stats["since"], SINCE_IN_WORDS);
        assert_eq!(packets(&stats, "rule", "carrier/sip-udp", None), by_rule, "{stats}");
        assert_eq!(packets(&stats, "reason", "listed", Some("pass")), listed, "{stats}");
        assert_eq!(scene.datagrams("carrier", 5060), 3);
    }
}

#[test]
fn a_filter_of_another_abi_can_be_taken_off() {
    let (scene, policy) = filter(&[]);
    shell(&scene, &format!("mv {} {OTHER_PINS}", pins()));
    scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    scene.attach(&policy);
    assert_eq!(scene.status()["generation"], 1);
}

#[test]
fn pins_of_another_shape_are_refused_in_words_and_can_be_removed() {
    let (scene, policy) = filter(&[]);
    let eth0 = format!("{}/eth0", pins());
    // Of another type, of another size, no map at all.
    for (one, other) in [("RULES", "DENY_V4"), ("POLICIES", "TRIALS"), ("TRIALS", "link"), ("POLICIES", "SOURCES")] {
        let swap = format!("cd {eth0} && mv {one} t && mv {other} {one} && mv t {other}");
        shell(&scene, &swap);
        for command in [&["stats", "eth0"][..], &["apply", &policy], &["deny", "list"], &["confirm", "eth0"]] {
            let ended = scene.sipwall(command);
            assert_eq!(ended.code, 1, "{one} and {other}: {ended:?}");
            assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(&eth0), "{ended:?}");
        }
        let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy]);
        assert_eq!(attached.code, 1, "{one} and {other}: {attached:?}");
        assert_eq!(scene.datagrams("scanner", 5060), 0, "the filter that runs is not touched");
        shell(&scene, &swap);
    }
    assert_eq!(scene.status()["generation"], 2);
    shell(&scene, &format!("cd {eth0} && mv RULES t && mv DENY_V4 RULES && mv t DENY_V4"));
    scene.sipwall(&["detach", "eth0"]).assert_done();
    scene.attach(&policy);
    assert_eq!(scene.datagrams("carrier", 5060), 3);
}

/// Runs a binary on the SBC.
fn run(scene: &Scene, binary: &Path, arguments: &[&str]) -> Ended {
    scene.host("sbc").command(binary).args(arguments).output().expect("it starts").into()
}

/// Has an older binary attach the filter and change it, and this one take over; and asserts that nothing is lost.
fn upgrade_from(older: &Path, is_other_abi: bool) {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    let list = scene.path("list.txt");
    fs::write(&list, "198.18.0.0/15\n").expect("a file");
    for arguments in [
        &["attach", "eth0", "--policy", &policy][..],
        &["attach", "eth0", "--policy", &policy],
        &["deny", "add", "192.0.2.66", "--for", "1h", "--comment", "scanner"],
        &["deny", "load", &list, "--name", "daily"],
        &["allow", "add", SCANNER, "--udp", "5080", "--name", "guest", "--for", "1h"],
    ] {
        run(&scene, older, arguments).assert_done();
    }
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5080)), (3, 3));
    run(&scene, older, &["deny", "add", CARRIER]).assert_done();
    let before = run(&scene, older, &["status", "eth0", "--json"]).json();
    let shown = scene.sipwall(&["status"]);
    let expected = if is_other_abi { "eth0: a filter of ANOTHER VERSION" } else { "NOT THIS BINARY'S" };
    assert!(shown.code == 0 && shown.stdout.contains(expected), "{shown:?}");
    let attach = || scene.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]);
    let (attached, arrived, sent) = flooded(&scene, attach);
    let attached = attached.json();
    assert_eq!(
        (arrived, &attached["program"], &attached["anew"]),
        (0, &"swapped".into(), &Value::Array(Vec::new())),
        "of {sent}"
    );
    let status = scene.status();
    assert_ne!(status["program_id"], before["program_id"]);
    assert_eq!((&before["generation"], &status["generation"]), (&2.into(), &3.into()), "{status}");
    assert_eq!(
        (&status["live"]["allow_count"], &status["live"]["denied_count"], &status["live"]["listed_count"]),
        (&1.into(), &2.into(), &1.into()),
        "{status}"
    );
    assert_eq!(scene.datagrams("carrier", 5060), 0, "who is listed and denied stays denied");
    scene.sipwall(&["deny", "remove", CARRIER]).assert_done();
    let stats = scene.stats();
    assert_eq!(
        (packets(&stats, "rule", "carrier/sip-udp", None), packets(&stats, "rule", "allow/guest", None)),
        (3, 3)
    );
    assert!(packets(&stats, "reason", "source_unlisted", Some("drop")) >= sent, "{sent} were sent: {stats}");
    let denied = scene.sipwall(&["deny", "list", "--json"]).stdout;
    assert!(denied.contains("\"192.0.2.66/32\"") && denied.contains("scanner") && denied.contains("daily"), "{denied}");
    // Both lists can be changed, and what packets meet is what they say.
    assert_eq!((scene.datagrams("scanner", 5080), scene.datagrams("scanner", 5060)), (3, 0));
    scene.sipwall(&["allow", "remove", "guest"]).assert_done();
    scene.sipwall(&["deny", "unload", "daily"]).assert_done();
    scene.sipwall(&["deny", "remove", "192.0.2.66"]).assert_done();
    assert_eq!((scene.datagrams("scanner", 5080), scene.datagrams("carrier", 5060)), (0, 3));
    assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 6);
}

#[test]
fn a_binary_of_another_build_hands_over_to_this_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let other: PathBuf = directory.path().join("sipwall");
    write_other_build(&other);
    assert_ne!(fs::read(&other).expect("a binary"), fs::read(binary()).expect("a binary"));
    upgrade_from(&other, false);
}

#[test]
fn a_binary_of_another_abi_hands_over_to_this_one() {
    upgrade_from(older_binary(), true);
}

#[test]
fn filters_of_another_version_are_listed_and_taken_off_with_all_others() {
    let (scene, _) = filter(&[]);
    shell(&scene, &format!("mv {} {OTHER_PINS}", pins()));
    let shown = scene.sipwall(&["status"]);
    shown.assert_done();
    for part in
        ["eth0: a filter of ANOTHER VERSION of sipwall, in `/sys/fs/bpf/sipwall/v1/eth0`", "`sipwall attach eth0"]
    {
        assert!(shown.stdout.contains(part), "`{part}` is not in {shown:?}");
    }
    let listed = scene.sipwall(&["status", "--json"]).json();
    assert_eq!(
        (&listed["filters"], &listed["other_versions"][0]["interface"]),
        (&Value::Array(Vec::new()), &"eth0".into()),
        "{listed}"
    );
    scene.sipwall(&["deny", "list"]).assert_failed(1, "the filter on `eth0` is of another version of sipwall");
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    let detached = scene.sipwall(&["detach", "--all"]);
    detached.assert_done();
    assert!(detached.stderr.contains("`eth0`: detached"), "{detached:?}");
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    assert!(scene.sipwall(&["status"]).stderr.contains("no filter is attached to any interface"));
}

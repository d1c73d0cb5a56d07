//! A newer binary over a filter that runs: the program is swapped on its link, and what was counted and denied stays.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use tests::{
    scene::{SBC, SCANNER, Scene, packets},
    sipwall::Ended,
};

/// Where this version pins, and where another one would.
const PINS: &str = "/sys/fs/bpf/sipwall/v3";
const OTHER_PINS: &str = "/sys/fs/bpf/sipwall/v1";

/// Runs a shell's line on the SBC.
fn shell(scene: &Scene, line: &str) {
    let ended: Ended = scene.host("sbc").command("sh").args(["-c", line]).output().expect("sh runs").into();
    ended.assert_done();
}

/// How many of the datagrams that the scanner floods the SBC with get through while something is done, and how many were
/// sent.
fn flooded<T>(scene: &Scene, action: impl FnOnce() -> T) -> (T, usize, u64) {
    let [to, from] = ["sbc", "scanner"].map(|name| scene.host(name));
    let receiver = to.enter(|| UdpSocket::bind((SBC, 5070))).expect("a host").expect("a free port");
    let sender = from.enter(|| UdpSocket::bind((SCANNER, 5060))).expect("a host").expect("a free port");
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
    let pins = scene.host("sbc").command("ls").arg("/sys/fs/bpf/sipwall").output().expect("ls runs");
    assert_eq!(String::from_utf8_lossy(&pins.stdout).lines().filter(|name| *name == "v3").count(), 1);
    scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
}

#[test]
fn a_program_of_another_build_is_swapped_and_no_packet_slips_through() {
    let (scene, policy) = filter(&[("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n")]);
    let before = scene.status();
    assert_eq!(before["is_this_build"], true, "{before}");
    // As a version left it that did not note its build.
    shell(&scene, &format!("rm {PINS}/eth0/build"));
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
    shell(&scene, &format!("mv {PINS} {OTHER_PINS}"));
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
    // Another map where the counters of rules were: what `SWITCH` holds is shaped differently.
    let pins = format!("{PINS}/eth0");
    shell(&scene, &format!("mv {pins}/RULES {pins}/rest && mv {pins}/FLOWS {pins}/RULES && mv {PINS} {OTHER_PINS}"));
    let attached = scene.sipwall(&["attach", "eth0", "--policy", &policy]);
    attached.assert_done();
    assert!(
        attached.stderr.contains("not carried over, as this version has it in another form: RULES, FLOWS"),
        "{attached:?}"
    );
    assert_eq!(packets(&scene.stats(), "rule", "carrier/sip-udp", None), 0);
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
}

#[test]
fn a_filter_of_another_abi_can_be_taken_off() {
    let (scene, policy) = filter(&[]);
    shell(&scene, &format!("mv {PINS} {OTHER_PINS}"));
    scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(scene.datagrams("scanner", 5060), 3);
    scene.attach(&policy);
    assert_eq!(scene.status()["generation"], 1);
}

#[test]
fn pins_of_another_shape_are_refused_in_words_and_can_be_removed() {
    let (scene, policy) = filter(&[]);
    let eth0 = format!("{PINS}/eth0");
    // Of another type, of another size, no map at all.
    for (one, other) in
        [("RULES", "DENY_V4"), ("SWITCH", "NEW_ENTRIES_DUE"), ("TRIALS", "link"), ("TABLES", "SOURCES_V4")]
    {
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

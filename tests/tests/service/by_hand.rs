//! What an operator does by hand while the service runs, and what the service makes of that.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    http,
    pins::pins,
    scene::Scene,
    service::{Service, status, status_text, wait_for},
    sipwall::Ended,
};

use super::waiting::{looking_often, said};

/// Where the service that is asked for metrics listens.
const LISTENER: &str = "127.0.0.1:9464";

const MONITOR: &[(&str, &str)] = &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")];

/// Waits until the service has looked at everything again.
fn let_look(service: &mut Service<'_>) {
    service.forget_told();
    (0..3).for_each(|_| drop(service.await_told("WATCHDOG=1")));
}

fn is_attached(scene: &Scene) -> bool {
    scene.sipwall(&["stats", "eth0"]).code == 0
}

/// `status`, which ends with 1 where an interface is open.
fn shown(scene: &Scene) -> Ended {
    scene.sipwall(&["status", "--runtime", &scene.path("run")])
}

/// What the service says of `eth0`, which has no filter.
fn await_shown(scene: &Scene, part: &str) -> Ended {
    wait_for(part, || Some(shown(scene)).filter(|shown| shown.stdout.contains(part)))
}

fn detach(scene: &Scene) -> Ended {
    let detached = scene.sipwall(&["detach", "eth0", "--runtime", &scene.path("run")]);
    detached.assert_done();
    detached
}

#[test]
fn what_was_detached_stays_off_until_somebody_asks_for_a_filter() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let mut service = looking_often(&scene, &policy);
    service.await_status("it says how it is", |shown| said(shown).0 == "enforced");
    assert_eq!(shown(&scene).code, 0);
    let detached = detach(&scene);
    assert!(
        detached.stderr.contains("note: the service leaves it so, also when it starts anew\nhint: "),
        "{detached:?}"
    );
    service.await_log(&["WARN", "not filtered", "`sipwall detach` took the filter off", "eth0"]);
    service.await_told("STATUS=0 of 1 interfaces filtered by");
    let_look(&mut service);
    assert!(!is_attached(&scene));
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 3));
    let text = await_shown(&scene, "eth0 DETACHED, NOT FILTERED, since ");
    assert_eq!(text.code, 1, "{text:?}");
    assert!(text.stdout.contains("which is in force on 0 of 1 interfaces"), "{text:?}");
    // A change of the file is not about that, and neither is a restart, after a crash or by word.
    scene.policy("policy.toml", &[("sip-udp = [5060]", "sip-udp = [5060, 5070]")]);
    service.await_log(&["reading the policy", "a file changed"]);
    let_look(&mut service);
    assert!(!is_attached(&scene));
    for signal in [Signal::KILL, Signal::TERM] {
        service.end_by(signal);
        service = looking_often(&scene, &policy);
        service.await_log(&["WARN", "not filtered", "`sipwall detach` took the filter off"]);
        assert!(!is_attached(&scene));
    }
    service.signal(Signal::HUP);
    service.await_log(&["attached", "eth0"]);
    assert_eq!((scene.datagrams("carrier", 5070), scene.datagrams("scanner", 5060)), (3, 0));
    // Where the filter goes in another way, nobody said so.
    let pins = format!("{}/eth0", pins());
    assert!(scene.host("sbc").command("rm").args(["-r", &pins]).status().expect("`rm` runs").success());
    wait_for("it is attached again", || is_attached(&scene).then_some(()));
    // `attach` asks for a filter, whatever its policy.
    detach(&scene);
    await_shown(&scene, "eth0 DETACHED");
    scene.attach(&scene.policy("other.toml", MONITOR));
    await_shown(&scene, "eth0 BY HAND");
    let_look(&mut service);
    assert_eq!(status(&scene)["mode"], "monitor");
    // Who stopped the service and takes the filter off begins anew.
    assert!(service.end_by(Signal::TERM).success());
    let detached = detach(&scene);
    assert!(!detached.stderr.contains("note: "), "{detached:?}");
    let _service = Service::start(&scene, &policy);
    assert_eq!(status(&scene)["mode"], "enforce");
}

#[test]
fn a_policy_that_was_applied_by_hand_outlives_the_service_until_the_configured_one_changes() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let start = || {
        let arguments = ["--listen", LISTENER];
        let mut service = Service::launch(&scene, &policy, &arguments, &[("WATCHDOG_USEC", "2000000")]);
        service.await_told("READY=1");
        service
    };
    let mut service = start();
    service.await_status("it says how it is", |shown| said(shown).0 == "enforced");
    let text = status_text(&scene);
    assert!(text.contains(&format!("keeps {policy} in force\n")) || text.ends_with("in force\n"), "{text}");
    scene.sipwall(&["deny", "add", "192.0.2.7"]).assert_done();
    assert!(status_text(&scene).contains("in force, beside what is allowed and denied live"));
    scene.sipwall(&["apply", &scene.policy("rescue.toml", MONITOR)]).assert_done();
    // At once, whether the service has looked or not.
    let text = status_text(&scene);
    assert!(text.contains("which is in force on 0 of 1 interfaces"), "{text}");
    let is_by_hand = |shown: &Value| said(shown).0 == "by_hand";
    for signal in [Signal::KILL, Signal::TERM] {
        let shown = service.await_status("it is by hand", is_by_hand);
        assert_eq!((&shown["generation"], &shown["mode"]), (&2.into(), &"monitor".into()), "{shown}");
        let text = status_text(&scene);
        assert!(
            text.contains("eth0 BY HAND since") && text.contains("rescue.toml`, was put in force by hand"),
            "{text}"
        );
        service.end_by(signal);
        service = start();
    }
    service.await_status("it is by hand", is_by_hand);
    for told in [
        "sipwall_service_interface_state{interface=\"eth0\",state=\"by_hand\"} 1",
        "sipwall_policy_drift{interface=\"eth0\"} 1",
    ] {
        wait_for(told, || {
            let address = LISTENER.parse().expect("an address");
            let metrics = scene.host("sbc").enter(|| http::get(address, "/metrics")).expect("a host");
            metrics.body.contains(told).then_some(())
        });
    }
    // SIGHUP ends it, and then nothing is left of it.
    service.signal(Signal::HUP);
    assert_eq!(service.await_generation(3)["mode"], "enforce");
    service.await_status("it is in force", |shown| said(shown).0 == "enforced");
    // Who goes back by hand is done with it.
    scene.sipwall(&["apply", &scene.path("rescue.toml")]).assert_done();
    service.await_status("it is by hand", is_by_hand);
    scene.sipwall(&["apply", &policy]).assert_done();
    service.await_status("it is in force", |shown| said(shown).0 == "enforced");
    // A file that changed while no service ran was changed for something.
    scene.sipwall(&["apply", &scene.path("rescue.toml")]).assert_done();
    service.end_by(Signal::TERM);
    scene.policy("policy.toml", &[("sip-udp = [5060]", "sip-udp = [5060, 5070]")]);
    let service = start();
    assert_eq!(service.await_generation(7)["mode"], "enforce");
}

#[test]
fn a_trial_goes_on_over_a_restart_of_the_service_with_the_same_end() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let other = scene.policy("other.toml", MONITOR);
    let left = |shown: &Value| shown["confirmation"]["remaining_seconds"].as_u64().expect("a trial");
    let service = looking_often(&scene, &policy);
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    let before = left(&status(&scene));
    assert!(service.end_by(Signal::TERM).success());
    let service = looking_often(&scene, &policy);
    let shown = service.await_status("it is held", |shown| said(shown).0 == "held");
    assert!(left(&shown) <= before && left(&shown) > before - 600, "{shown}");
    scene.sipwall(&["confirm"]).assert_done();
    service.await_status("it is by hand", |shown| said(shown).0 == "by_hand");
    assert_eq!(status(&scene)["generation"], 2);
    service.signal(Signal::HUP);
    service.await_generation(3);
    // What SIGHUP asks for during a trial comes after its confirmation, whichever service runs then.
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    service.await_status("it is held", |shown| said(shown).0 == "held");
    service.signal(Signal::HUP);
    let asked = |line: &String| line.contains("cause=\"SIGHUP\"");
    wait_for("it is asked twice", || (service.log().iter().filter(|line| asked(line)).count() == 2).then_some(()));
    assert!(service.end_by(Signal::TERM).success());
    let service = looking_often(&scene, &policy);
    scene.sipwall(&["confirm"]).assert_done();
    assert_eq!(service.await_generation(5)["mode"], "enforce");
    // And one that is given up leaves what was.
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    assert!(service.end_by(Signal::TERM).success());
    let service = looking_often(&scene, &policy);
    service.await_status("it is held", |shown| said(shown).0 == "held");
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    let shown = service.await_status("it is in force", |shown| said(shown).0 == "enforced");
    assert_eq!((&shown["generation"], &shown["mode"]), (&5.into(), &"enforce".into()), "{shown}");
}

/// Waits until the service has looked at what there is, and stopped before it does anything.
fn await_stopped(service: &Service<'_>) {
    wait_for("the service stops", || {
        let state = fs::read_to_string(format!("/proc/{}/stat", service.process())).expect("a process");
        state.rsplit(')').next()?.trim_start().starts_with('T').then_some(())
    });
}

#[test]
fn what_is_done_by_hand_while_the_service_is_about_to_put_its_policy_in_force_stays() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let other = scene.policy("other.toml", MONITOR);
    let start = |place| {
        let mut service =
            Service::launch(&scene, &policy, &[], &[("WATCHDOG_USEC", "2000000"), ("SIPWALL_STOP_AT", place)]);
        if place == "apply" {
            service.await_told("READY=1");
        }
        service
    };
    let service = start("apply");
    let change = |port: u16| {
        scene.policy("policy.toml", &[("sip-udp = [5060]", &format!("sip-udp = [5060, {port}]"))]);
        await_stopped(&service);
    };
    // A trial, which is given up: then comes what the file asked for.
    change(5070);
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    service.signal(Signal::CONT);
    service.await_log(&["INFO", "another policy is on trial", "generation=2"]);
    let shown = service.await_status("it is held", |shown| said(shown).0 == "held");
    assert_eq!((&shown["generation"], &shown["confirmation"]["state"]), (&2.into(), &"pending".into()), "{shown}");
    scene.sipwall(&["confirm", "--revert"]).assert_done();
    await_stopped(&service);
    service.signal(Signal::CONT);
    service.await_generation(3);
    assert_eq!(scene.datagrams("carrier", 5070), 3);
    // For ever.
    change(5080);
    scene.sipwall(&["apply", &other]).assert_done();
    service.signal(Signal::CONT);
    let shown = service.await_status("it is by hand", |shown| said(shown).0 == "by_hand");
    assert_eq!(shown["generation"], 4, "{shown}");
    // Nothing at all.
    change(5090);
    detach(&scene);
    service.signal(Signal::CONT);
    await_shown(&scene, "eth0 DETACHED");
    service.end_by(Signal::KILL);
    // And where there was nothing.
    assert!(scene.host("sbc").command("rm").args(["-r", "/sys/fs/bpf/sipwall"]).status().expect("`rm` runs").success());
    let service = start("attach");
    await_stopped(&service);
    scene.sipwall(&["attach", "eth0", "--policy", &other, "--confirm", "1h"]).assert_done();
    service.signal(Signal::CONT);
    let shown = service.await_status("it is held", |shown| said(shown).0 == "held");
    assert_eq!((&shown["generation"], &shown["confirmation"]["state"]), (&1.into(), &"pending".into()), "{shown}");
}

#[test]
fn an_interface_that_is_renamed_is_said_by_its_new_name_and_its_filter_goes_on() {
    let scene = Scene::new();
    let service = looking_often(&scene, &scene.policy("policy.toml", &[]));
    let ip = |line: &str| {
        let ended = scene.host("sbc").command("ip").args(line.split(' ')).output().expect("`ip` runs");
        assert!(ended.status.success(), "{line}: {ended:?}");
    };
    ip("link set dev eth0 down");
    ip("link set dev eth0 name wan0");
    ip("link set dev wan0 up");
    service.await_log(&["WARN", "there is no such interface", "the interface is called `wan0` now"]);
    let text = await_shown(&scene, "eth0 ABSENT since");
    assert!(text.stdout.contains("eth0: the interface is called `wan0` now, and its filter goes on there"), "{text:?}");
    assert_eq!(text.code, 0, "{text:?}");
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    ip("link set dev wan0 down");
    ip("link set dev wan0 name eth0");
    ip("link set dev eth0 up");
    let shown = service.await_status("it is filtered", |shown| said(shown).0 == "enforced");
    assert_eq!((&shown["running"], &shown["generation"]), (&true.into(), &1.into()), "{shown}");
}

#[test]
fn what_runs_is_told_from_what_a_service_that_died_saw_last() {
    let scene = Scene::new();
    let service = looking_often(&scene, &scene.policy("policy.toml", &[]));
    service.await_status("it says how it is", |shown| said(shown).0 == "enforced");
    service.end_by(Signal::KILL);
    let text = status_text(&scene);
    assert!(text.contains("service: DEAD, process ") && !text.contains("CHANGED"), "{text}");
    scene.sipwall(&["apply", &scene.policy("other.toml", MONITOR)]).assert_done();
    let text = status_text(&scene);
    assert!(text.contains("eth0 CHANGED: something else runs than when the service looked last"), "{text}");
}

//! What the service waits for, and what it says meanwhile: trials, sessions that a policy would cut, its own getting on.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};
use tests::ports::bound;

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    scene::{SBC, Scene},
    service::{Service, status, status_text, wait_for},
    sipwall::{Ended, binary},
};

/// How long a connection may take to open on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service that looks at everything every second: twice as often as its watchdog wants to hear of it.
pub(crate) fn looking_often<'a>(scene: &'a Scene, policy: &str) -> Service<'a> {
    let mut service = Service::launch(scene, policy, &[], &[("WATCHDOG_USEC", "2000000")]);
    service.await_told("READY=1");
    service
}

/// What the service says of `eth0`.
pub(crate) fn said(shown: &Value) -> (&str, &str) {
    let interface = &shown["service"]["interfaces"]["eth0"];
    (interface["state"].as_str().unwrap_or_default(), interface["message"].as_str().unwrap_or_default())
}

#[test]
fn a_policy_on_trial_is_not_taken_away_behind_the_operator_s_back() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let mut service = looking_often(&scene, &policy);
    let other = scene.policy("other.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    // Whoever reads the log sees what others did, too.
    service.await_log(&["INFO", "another policy is on trial", "generation=2", "other.toml", "monitor"]);
    scene.sipwall(&["confirm"]).assert_done();
    service.await_log(&["INFO", "the policy was confirmed", "generation=2"]);
    // The service has looked at it twice, and it is in force still.
    service.forget_told();
    (0..3).for_each(|_| drop(service.await_told("WATCHDOG=1")));
    let shown = status(&scene);
    assert_eq!((&shown["generation"], &shown["mode"]), (&2.into(), &"monitor".into()), "{shown}");
    service.signal(Signal::HUP);
    assert_eq!(service.await_generation(3)["mode"], "enforce");
    // One that is not confirmed in time: the policy file may be the very one that locked somebody out.
    scene.sipwall(&["apply", &other, "--confirm", "1s"]).assert_done();
    wait_for("it is over", || (scene.status()["confirmation"]["state"] == "rolled_back").then_some(()));
    let ended = "was not confirmed in time, the one before is in force again";
    service.await_log(&["WARN", ended, "refused=4", "generation=3"]);
    assert!(service.end_by(Signal::TERM).success());
    let service = looking_often(&scene, &policy);
    service.await_status("it is held", |shown| said(shown).1.contains("was not confirmed in time"));
    service.signal(Signal::HUP);
    service.await_status("it is in force", |shown| {
        shown["confirmation"]["state"] == "confirmed" && said(shown).0 == "enforced"
    });
}

#[test]
fn what_is_asked_for_during_a_trial_is_made_up_after_its_confirmation_alone() {
    let scene = Scene::new();
    let policy = scene.policy("policy.toml", &[]);
    let service = looking_often(&scene, &policy);
    let other = scene.policy("other.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    let changed = |port: u16| {
        scene.policy("policy.toml", &[("sip-udp = [5060]", &format!("sip-udp = [5060, {port}]"))]);
    };
    scene.sipwall(&["apply", &other, "--confirm", "1h"]).assert_done();
    changed(5070);
    let shown = service.await_status("it is held", |shown| said(shown).0 == "held");
    assert!(said(&shown).1.contains("generation 2 waits to be confirmed"), "{shown}");
    assert_eq!((&shown["generation"], &shown["mode"]), (&2.into(), &"monitor".into()), "{shown}");
    scene.sipwall(&["confirm"]).assert_done();
    assert_eq!(service.await_generation(3)["mode"], "enforce");
    assert_eq!(scene.datagrams("carrier", 5070), 3);
    // What came during a trial that failed may be what made it fail.
    scene.sipwall(&["apply", &other, "--confirm", "8s"]).assert_done();
    changed(5071);
    let shown = service.await_status("it is held", |shown| said(shown).0 == "held");
    assert_eq!(shown["generation"], 4, "the trial was over before the service looked: {shown}");
    let shown = service.await_status("it is over", |shown| said(shown).1.contains("was not confirmed in time"));
    assert_eq!((&shown["generation"], scene.datagrams("carrier", 5070)), (&3.into(), 3), "{shown}");
    service.signal(Signal::HUP);
    service.await_generation(5);
    assert_eq!(scene.datagrams("carrier", 5071), 3);
}

#[test]
fn a_policy_that_cuts_an_open_sip_session_is_not_put_in_force_at_the_start_until_that_is_over() {
    let scene = Scene::new();
    let open = || {
        let listener = bound(scene.host("sbc"), || TcpListener::bind((SBC, 5060)));
        let to = format!("{SBC}:5060").parse().expect("an address");
        let opened = scene.host("scanner").enter(|| TcpStream::connect_timeout(&to, PATIENCE)).expect("a host");
        let (accepted, peer) = listener.accept().expect("a connection");
        (listener, opened.expect("a way there"), accepted, peer)
    };
    let session = open();
    let policy = scene.policy("policy.toml", &[]);
    // Nothing is in force: everything passes, and the service lives and says why.
    let service = Service::start(&scene, &policy);
    service.await_log(&[
        "ERROR",
        "the policy waits, what was in force stays",
        "would cut the SIP session from 192.0.2.99",
    ]);
    assert_eq!(scene.sipwall(&["stats", "eth0"]).code, 1);
    let shown = status_text(&scene);
    assert!(shown.contains("eth0 WAITS") && shown.contains(&session.3.to_string()), "{shown}");
    drop(session);
    service.await_log(&["attached", "eth0"]);
    assert_eq!(scene.datagrams("scanner", 5060), 0);
    assert!(service.end_by(Signal::TERM).success());
    // Another policy is in force: it stays.
    let monitor = scene.policy("monitor.toml", &[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    scene.sipwall(&["apply", &monitor]).assert_done();
    let session = open();
    // It was changed since: what was put in force by hand is not to stay for that.
    scene.policy("policy.toml", &[("sip-udp = [5060]", "sip-udp = [5060, 5070]")]);
    let service = Service::start(&scene, &policy);
    let shown = service.await_status("it waits", |shown| said(shown).0 == "guarded");
    assert_eq!((&shown["generation"], &shown["mode"]), (&2.into(), &"monitor".into()), "{shown}");
    assert!(said(&shown).1.contains(&session.3.to_string()) && said(&shown).1.contains("--allow-lockout"), "{shown}");
    // The operator insists.
    service.signal(Signal::HUP);
    assert_eq!(service.await_generation(3)["mode"], "enforce");
    assert!(service.end_by(Signal::TERM).success());
    scene.sipwall(&["apply", &monitor]).assert_done();
    scene.policy("policy.toml", &[("sip-udp = [5060]", "sip-udp = [5060, 5071]")]);
    let mut service = Service::launch(&scene, &policy, &["--allow-lockout"], &[]);
    service.await_told("READY=1");
    assert_eq!(status(&scene)["generation"], 5, "{:#?}", service.log());
}

#[test]
fn a_service_that_hangs_is_shown_as_stalled_and_its_filter_is_in_force() {
    let scene = Scene::new();
    let service = Service::start(&scene, &scene.policy("policy.toml", &[]));
    service.await_status("it says how it is", |status| status["service"]["liveness"] == "running");
    service.signal(Signal::STOP);
    let later = |seconds: &str, more: &[&str]| -> Ended {
        let mut command = scene.host("sbc").command("unshare");
        command.args(["--time", "--boottime", seconds]).arg(binary());
        command.args(["status", "--runtime", &scene.path("run")]).args(more).output().expect("unshare runs").into()
    };
    assert_eq!(later("20", &["--json"]).json()["service"]["liveness"], "running");
    assert_eq!(later("600", &["--json"]).json()["service"]["liveness"], "stalled");
    let shown = later("600", &[]);
    assert!(
        shown.stdout.contains(&format!("service: STALLED, process {} said nothing since", service.process())),
        "{shown:?}"
    );
    assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    service.signal(Signal::CONT);
    service.await_status("it goes on", |status| status["service"]["liveness"] == "running");
}

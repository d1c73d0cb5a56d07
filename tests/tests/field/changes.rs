//! Calls go on while the filter is changed: policies, the service, the program.

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    field::{Call, Calling, Field, KORE, SBC, Sbc, TWILIO, Way, datagrams},
    pins::{OTHER_PINS, pins},
};

/// A line of policy that changes nothing for those who call.
const WITH_SSH: &str = "\n[[allow]]\nname = \"ssh\"\nfrom = [\"203.0.113.7\"]\ntcp = [22]\n";

/// Makes a call each over UDP and TCP while something is done again and again, and asserts that nothing of them was lost.
/// Returns how often it was done.
fn call_during(field: &Field, seconds: u64, mut change: impl FnMut()) -> usize {
    let length = std::time::Duration::from_secs(seconds);
    let calls = [(TWILIO, Way::Udp), (KORE, Way::Tcp)].map(|(party, way)| Call { length, ..Call::short(party, way) });
    let taps = [field.lab.core().expect("a core"), field.host("sbc")].map(|place| field.tap(place, "sbc"));
    let before = calls.map(|call| field.rule(call.party.media_rule));
    let mut callings = calls.map(|call| call.begin(field));
    let mut changes = 0;
    while callings.iter_mut().all(Calling::goes_on) {
        change();
        changes += 1;
    }
    for calling in callings {
        calling.assert_completes(field);
    }
    let frames = taps.map(|tap| tap.close().expect("frames"));
    assert_eq!(field.dropped(), [], "all that was sent is listed");
    for (call, before) in calls.into_iter().zip(before) {
        let [sent, arrived] = frames.each_ref().map(|frames| datagrams(frames, call.party.media, SBC));
        let counted = field.rule(call.party.media_rule) - before;
        call.assert_sent(sent);
        assert_eq!((arrived, counted), (sent, sent as u64), "{call:?} over {changes} changes");
    }
    changes
}

#[test]
fn long_calls_outlive_policies_that_come_and_go() {
    let field = Field::new();
    field.attach("");
    let _sbc = Sbc::start(&field);
    let mut policies = [WITH_SSH, ""].into_iter().cycle();
    let switches = call_during(&field, 6, || {
        let policy = field.policy(policies.next().expect("a cycle"));
        assert_eq!(field.sipwall(&["apply", &policy, "--json"]).json()["changed"], true);
    });
    assert!(switches >= 3, "{switches} switches are too few to say anything");
}

#[test]
fn long_calls_outlive_a_service_that_is_stopped_killed_and_started_again() {
    let field = Field::new();
    let policy = field.policy("");
    let mut service = Some(field.serve(&policy));
    let _sbc = Sbc::start(&field);
    let program = program(&field);
    let mut ends = [(Signal::TERM, true), (Signal::KILL, false)].into_iter().cycle();
    let restarts = call_during(&field, 8, || {
        let (signal, is_orderly) = ends.next().expect("a cycle");
        let ended = service.take().expect("it runs").end_by(signal);
        assert_eq!(ended.success(), is_orderly, "{ended:?}");
        service = Some(field.serve(&policy));
    });
    assert!(restarts >= 2, "{restarts} restarts: it was not both stopped and killed");
    assert_eq!(self::program(&field), program, "the program that filters is the same all the time");
}

#[test]
fn long_calls_outlive_upgrades_of_a_service_and_of_a_filter_without_one() {
    let field = Field::new();
    let policy = field.policy("");
    let mut service = Some(field.serve(&policy));
    let _sbc = Sbc::start(&field);
    // As another build of this version left it, and as another version would.
    let pins = pins();
    let older = [format!("rm {pins}/eth0/build"), format!("mv -T {pins} {OTHER_PINS}")];
    let mut older = older.iter().cycle();
    let upgrades = call_during(&field, 10, || {
        let before = program(&field);
        drop(service.take());
        shell(&field, older.next().expect("a cycle"));
        service = Some(field.serve(&policy));
        assert_ne!(program(&field), before, "the service swaps the program");
    });
    assert!(upgrades >= 2, "{upgrades} upgrades: they were not of both kinds");
    drop(service);
    call_during(&field, 4, || {
        shell(&field, older.next().expect("a cycle"));
        let attached = field.sipwall(&["attach", "eth0", "--policy", &policy, "--json"]).json();
        assert_eq!(attached["program"], "swapped");
    });
}

/// The number of the program that filters; it must be this binary's.
fn program(field: &Field) -> Value {
    let status = field.sipwall(&["status", "eth0", "--json"]).json();
    assert_eq!(status["is_this_build"], true, "{status}");
    status["program_id"].clone()
}

/// Runs a shell's line on the SBC.
fn shell(field: &Field, line: &str) {
    lab::run(field.host("sbc").command("sh").args(["-c", line]), "").expect("it is done");
}

//! What goes wrong around a command: policies cut short, a bpffs that cannot be written, several writers, clocks that jump.

use std::{fs, path::Path, thread};

use filter_user::{
    kernel::{self, Change, loaded},
    policy::Policy,
};
use serde_json::Value;
use tests::{
    json,
    service::wait_for,
    sipwall::{Ended, binary},
};

use super::{InForce, Stage};

/// How often policies take turns.
const CYCLES: usize = 1000;
/// How often before, for what is made once.
const WARMING: usize = 50;
/// So much memory may the tests that run in this process meanwhile have taken: if each cycle left its tables, it were 790 MB.
const MEMORY: usize = 200 << 20;
/// So many maps and programs may others have made meanwhile: far fewer than if each cycle left one.
const OTHERS: usize = 200;

#[test]
fn a_policy_cut_short_or_unreadable_is_refused_and_the_old_one_stays() {
    let stage = Stage::attached();
    let text = fs::read(&stage.turned).expect("a policy");
    let cut = stage.scene.path("cut.toml");
    let mut refused = 0;
    for length in (1..text.len()).step_by(37) {
        fs::write(&cut, &text[..length]).expect("a file");
        // Some beginnings are policies too.
        let ended = stage.scene.sipwall(&["check", &cut]);
        if ended.code == 2 {
            stage.scene.sipwall(&["apply", &cut]).assert_failed(2, "cut.toml");
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused}");
    for content in [&b"\xff\xfe"[..], b"[sbc]\nmode = \"enf\0"] {
        fs::write(&cut, content).expect("a file");
        stage.scene.sipwall(&["apply", &cut]).assert_failed(2, "cut.toml");
    }
    stage.scene.sipwall(&["apply", &stage.scene.path("")]).assert_failed(2, "cannot be read");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    assert_eq!(stage.scene.status()["generation"], 1);
}

#[test]
fn a_read_only_bpffs_is_said_and_filters_on() {
    let stage = Stage::attached();
    stage.shell("mount -o remount,ro /sys/fs/bpf");
    for arguments in
        [&["apply", &stage.turned][..], &["attach", "eth0", "--policy", &stage.turned], &["detach", "eth0"]]
    {
        let ended = stage.scene.sipwall(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("/sys/fs/bpf"), "{ended:?}");
    }
    assert_eq!(stage.in_force(), InForce::Policy);
    stage.shell("mount -o remount,rw /sys/fs/bpf");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    stage.scene.sipwall(&["apply", &stage.turned]).assert_done();
    assert_eq!(stage.assert_whole(0), InForce::Turned);
}

#[test]
fn several_writers_come_one_after_the_other() {
    let stage = Stage::attached();
    let apply = |policy: &str| stage.scene.sipwall(&["apply", policy, "--json"]).json();
    let applied: Vec<Value> = thread::scope(|scope| {
        let policies = [&stage.turned, &stage.policy, &stage.turned, &stage.policy];
        let writers = policies.map(|policy| scope.spawn(move || apply(policy)));
        writers.map(|writer| writer.join().expect("a writer gets through")).into_iter().collect()
    });
    let changes = applied.iter().filter(|applied| applied["changed"] == true).count();
    stage.assert_whole(0);
    assert_eq!(stage.scene.status()["generation"], 1 + changes);
}

#[test]
fn a_wall_clock_that_jumps_ends_no_trial_and_no_denied_prefix() {
    let stage = Stage::attached();
    let at = |days: &str, arguments: &[&str]| -> Ended {
        let mut command = stage.scene.host("sbc").command("faketime");
        command.args(["-f", days]).arg(binary()).args(arguments);
        command.output().expect("faketime runs").into()
    };
    at("+400d", &["deny", "add", "192.0.2.77", "--for", "1h"]).assert_done();
    at("+400d", &["apply", &stage.turned, "--confirm", "1h"]).assert_done();
    let status = stage.scene.status();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let published = json::instant(&status["published_at"]);
    assert!(published > now + 300 * 86_400, "the command saw another clock: {status}");
    let left = status["confirmation"]["remaining_seconds"].as_u64().expect("a trial");
    assert!((3000..=3600).contains(&left), "{status}");
    at("-400d", &["confirm"]).assert_done();
    assert_eq!(stage.assert_whole(0), InForce::Turned);
    let denied = at("-400d", &["deny", "list", "--json"]);
    denied.assert_done();
    assert!(denied.stdout.contains("192.0.2.77/32"), "{denied:?}");
}

#[test]
fn where_bpffs_is_not_mounted_nothing_is_attached_and_attach_mounts_it() {
    let stage = Stage::new();
    // As in a container, whose first process is in its mount namespace: in others what is mounted ends with the command.
    let script = r#"umount /sys/fs/bpf
        test "$(stat -f -c %T /sys/fs/bpf)" != bpf_fs
        for command in "stats eth0" "apply $2"; do
            "$1" $command 2>&1 | grep -q 'no filter is attached to `eth0`'
        done
        "$1" attach eth0 --policy "$2"
        test "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs
        "$1" status eth0 --json"#;
    let mut container = stage.scene.host("sbc").command("unshare");
    container.args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", script, "sh"]).arg(binary());
    let ended: Ended = container.arg(&stage.policy).output().expect("a shell runs").into();
    let status = ended.json();
    assert_eq!((&status["running"], &status["generation"]), (&true.into(), &1.into()), "{status}");
}

/// Octets of memory that this process has.
fn resident() -> usize {
    const PAGE: usize = 4096;
    let sizes = fs::read_to_string("/proc/self/statm").expect("a process has sizes");
    sizes.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number of pages") * PAGE
}

#[test]
fn a_thousand_policies_that_take_turns_leave_no_map_no_program_and_no_memory_behind() {
    let stage = Stage::attached();
    let policies = [&stage.turned, &stage.policy].map(|path| {
        let policy = Policy::load(Path::new(path)).expect("a policy");
        policy.compile().expect("it compiles")
    });
    let turns = |count: usize| {
        for policy in policies.iter().cycle().take(count) {
            let change = Change { policy, name: "turn", confirm_within: None };
            assert!(kernel::apply("eth0", &change).expect("it is put in force").changed);
        }
    };
    let sbc = stage.scene.host("sbc");
    // Each slot has had a policy, and both have been in force, twice by the command itself.
    for policy in [&stage.turned, &stage.policy] {
        stage.scene.sipwall(&["apply", policy]).assert_done();
    }
    sbc.inhabit(|| turns(WARMING)).expect("a host");
    assert_eq!(stage.in_force(), InForce::Policy);
    let (before, pins, memory) = (loaded(), stage.pins(), resident());
    sbc.inhabit(|| turns(CYCLES)).expect("a host");
    assert_eq!(stage.scene.status()["generation"], 3 + WARMING + CYCLES);
    assert_eq!(stage.pins(), pins);
    let grown = resident().saturating_sub(memory);
    assert!(grown < MEMORY, "{grown} octets of memory more than before");
    // The kernel frees what nothing holds any more in its own time.
    wait_for("what the policies before took up is freed", || {
        loaded().iter().zip(before).all(|(now, before)| *now < before + OTHERS).then_some(())
    });
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    assert!(stage.carrier_packets() >= 2);
}

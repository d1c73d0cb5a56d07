//! Maps, disks and pipes that are full.

use std::{fs, process::Stdio};

use tests::{
    scene::{CARRIER, SCANNER},
    sipwall::{Ended, binary},
};

use super::{InForce, Stage};

#[test]
fn where_no_counter_is_left_for_rules_the_old_policy_stays() {
    let stage = Stage::attached();
    let allows = |round: usize| -> String {
        let allow =
            |number| format!("[[allow]]\nname = \"r{round}-{number}\"\nfrom = [\"192.0.2.99\"]\ntcp = [{number}]\n\n");
        (1..=200).map(allow).collect()
    };
    let mut generation = 1;
    let full = (0..7).find_map(|round| {
        let policy = stage.scene.policy("many.toml", &[("[[deny]]", &format!("{}[[deny]]", allows(round)))]);
        let applied = stage.scene.sipwall(&["apply", &policy]);
        generation += u64::from(applied.code == 0);
        (applied.code != 0).then_some(applied)
    });
    full.expect("1,024 counters do not last for ever").assert_failed(1, "no counter is left for the rule");
    assert_eq!(stage.scene.status()["generation"], generation);
    assert_eq!(stage.in_force(), InForce::Policy);
    stage.scene.sipwall(&["apply", &stage.policy]).assert_done();
    assert_eq!(stage.assert_whole(0), InForce::Policy);
}

#[test]
fn output_that_cannot_be_written_changes_nothing_of_what_is_done() {
    let stage = Stage::attached();
    let full = fs::File::options().write(true).open("/dev/full").expect("a device");
    let mut command = stage.scene.host("sbc").command(binary());
    let output = command.args(["apply", &stage.turned, "--json"]).stdout(full).stderr(Stdio::piped()).output();
    Ended::from(output.expect("it starts")).assert_failed(1, "cannot write to stdout");
    assert_eq!(stage.assert_whole(0), InForce::Turned);
    stage.scene.sipwall(&["apply", &stage.policy, "--json"]).assert_done();
    assert_eq!(stage.assert_whole(0), InForce::Policy);
}

#[test]
fn a_full_disk_leaves_the_policy_file_as_it_was_and_nothing_in_force() {
    let stage = Stage::attached();
    let disk = stage.scene.path("disk");
    let (policy, copy) =
        (format!("{disk}/policy.toml"), format!("cp {} {}", stage.policy, stage.scene.path("carrier.toml")));
    stage.shell(&format!("mkdir {disk} && mount -t tmpfs -o size=64k tmpfs {disk} && {copy} {disk}/"));
    stage.shell(&format!("! dd if=/dev/zero of={disk}/filling bs=1k 2>/dev/null"));
    let before = stage.scene.host("sbc").command("cat").arg(&policy).output().expect("cat runs").stdout;
    let add = ["allow", "add", SCANNER, "--udp", "5060", "--name", "guest", "--save", "--policy", &policy];
    let ended = stage.scene.sipwall(&add);
    assert!(ended.code == 1 && ended.stderr.contains("No space left on device"), "{ended:?}");
    let after = stage.scene.host("sbc").command("cat").arg(&policy).output().expect("cat runs").stdout;
    assert!(!before.is_empty() && before == after, "the policy file has changed");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    stage.shell(&format!("rm {disk}/filling"));
    stage.scene.sipwall(&add).assert_done();
}

#[test]
fn a_full_disk_leaves_what_was_accepted_of_a_source_and_the_policy() {
    let stage = Stage::new();
    let page = |hosts: &[&str]| {
        let rows: Vec<String> = hosts.iter().map(|host| format!("| SBC | UDP | {host} | 5060 |\n")).collect();
        let head = "# Acme\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n";
        fs::write(stage.scene.path("acme.md"), format!("{head}{}", rows.concat())).expect("a file");
    };
    let policy = stage.scene.path("sourced.toml");
    let text = "[sbc]\ninterfaces = [\"eth0\"]\n[sbc.listen]\nsip-udp = [5060]\n[[provider]]\nname = \"acme\"\nsource = \"acme.md\"\n";
    fs::write(&policy, text).expect("a file");
    let disk = stage.scene.path("disk");
    stage.shell(&format!("mkdir {disk} && mount -t tmpfs -o size=64k tmpfs {disk}"));
    let refresh = || stage.scene.sipwall(&["refresh", "--now", "--policy", &policy, "--state", &disk]);
    page(&[CARRIER]);
    refresh().assert_done();
    stage.scene.sipwall(&["attach", "--policy", &policy, "--state", &disk]).assert_done();
    let show = format!("cat {disk}/acme@*.json");
    let kept = || stage.scene.host("sbc").command("sh").args(["-c", &show]).output().expect("cat runs").stdout;
    let before = kept();
    stage.shell(&format!("! dd if=/dev/zero of={disk}/filling bs=1k 2>/dev/null"));
    page(&[CARRIER, SCANNER]);
    let ended = refresh();
    assert!(ended.code == 1 && ended.stderr.contains("No space left on device"), "{ended:?}");
    assert!(!before.is_empty() && kept() == before, "what was accepted has changed");
    assert_eq!((stage.in_force(), &stage.scene.status()["generation"]), (InForce::Policy, &1.into()));
    stage.shell(&format!("rm {disk}/filling"));
    refresh().assert_done();
    assert_eq!((stage.in_force(), &stage.scene.status()["generation"]), (InForce::Nothing, &2.into()));
}

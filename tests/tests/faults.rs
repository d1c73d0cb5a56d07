//! What is left when something goes wrong: a command that is killed at any step that writes, a full map, a policy cut short,
//! a bpffs that cannot be written, several writers.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{fs, net::UdpSocket, process::Stdio, thread};

use serde_json::Value;
use tests::{
    scene::{CARRIER, SBC, SCANNER, SILENCE, Scene, packets},
    sipwall::{Ended, binary},
};

/// The name of the step at which a command of a debug build dies.
const DIE_AT_STEP: &str = "SIPWALL_DIE_AT_STEP";
/// More steps than any command has.
const MOST_STEPS: u32 = 300;

/// Lets the scanner in and denies the carrier.
const TURNED: [(&str, &str); 2] = [
    ("[[deny]]", "[[allow]]\nname = \"scanner\"\nfrom = [\"192.0.2.99\"]\nudp = [5060]\n\n[[deny]]"),
    ("from = [\"192.0.2.33\"", "from = [\"203.0.113.17\", \"192.0.2.33\""),
];

/// Notes what the host sends, so that the egress program is attached too.
const TRACKED: (&str, &str) = ("[sbc]\n", "[sbc]\nreturn_traffic = \"tracked\"\n");

/// A scene with a policy, and another one that lets in what it drops and drops what it lets in.
struct Stage {
    scene: Scene,
    policy: String,
    turned: String,
}

/// Whom the filter lets in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InForce {
    Policy,
    Turned,
    Nothing,
}

impl Stage {
    fn new() -> Self {
        let scene = Scene::new();
        let policy = scene.policy("policy.toml", &[]);
        let turned = scene.policy("turned.toml", &[TURNED[0], TURNED[1], TRACKED]);
        Self { scene, policy, turned }
    }

    /// Writes the other policy with a rule and a denied prefix that no step wrote yet: else steps would be missing next time.
    fn turn(&self, step: u32) {
        let [(at, allow), (from, denied)] = TURNED;
        let allow = allow.replace("\"scanner\"", &format!("\"scanner{step}\""));
        let denied = denied.replace("\"203.0.113.17\"", &format!("\"203.0.113.17\", \"203.0.113.{}\"", 200 + step));
        self.scene.policy("turned.toml", &[(at, &allow), (from, &denied), TRACKED]);
    }

    fn attached() -> Self {
        let stage = Self::new();
        stage.scene.attach(&stage.policy);
        stage
    }

    /// Kills the command at its first step that writes, then at its second and so on, until it gets through. After each
    /// death `mend` says what must hold, and brings back what was there before. Returns how many steps there were.
    fn kill_at_every_step(&self, arguments: &[&str], mend: impl Fn(u32)) -> u32 {
        for step in 1..MOST_STEPS {
            let mut command = self.scene.host("sbc").command(binary());
            let ended: Ended =
                command.args(arguments).env(DIE_AT_STEP, step.to_string()).output().expect("it starts").into();
            if ended.code == 0 {
                return step - 1;
            }
            assert_eq!(ended.code, -1, "step {step}: {ended:?}");
            mend(step);
        }
        unreachable!("{arguments:?} never gets through");
    }

    /// Whom the filter lets in, by packets of both.
    fn in_force(&self) -> InForce {
        let receiver =
            self.scene.host("sbc").enter(|| UdpSocket::bind((SBC, 5060))).expect("a host").expect("a free port");
        receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");
        for (name, address) in [("carrier", CARRIER), ("scanner", SCANNER)] {
            let host = self.scene.host(name);
            let sender = host.enter(|| UdpSocket::bind((address, 5060))).expect("a host").expect("a free port");
            sender.send_to(name.as_bytes(), (SBC, 5060)).expect("a datagram leaves");
        }
        let mut buffer = [0; 64];
        let receive = || receiver.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec());
        let mut arrived: Vec<Vec<u8>> = std::iter::from_fn(receive).collect();
        arrived.sort();
        match arrived.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [b"carrier"] => InForce::Policy,
            [b"scanner"] => InForce::Turned,
            [b"carrier", b"scanner"] => InForce::Nothing,
            _ => unreachable!("neither policy lets in {arrived:?}"),
        }
    }

    /// Asserts that what runs is one of the policies to the last octet, and that it is the one that packets meet.
    fn assert_whole(&self, step: u32) -> InForce {
        let in_force = self.in_force();
        let (same, other) = match in_force {
            InForce::Policy => (&self.policy, &self.turned),
            InForce::Turned => (&self.turned, &self.policy),
            InForce::Nothing => unreachable!("step {step}: everything passes"),
        };
        self.scene.sipwall(&["diff", same]).assert_done();
        assert_eq!(self.scene.sipwall(&["diff", other]).code, 1, "step {step}");
        in_force
    }

    fn carrier_packets(&self) -> u64 {
        packets(&self.scene.stats(), "rule", "carrier/sip-udp", None)
    }

    /// What is pinned, of this version and whatever else.
    fn pins(&self) -> String {
        let listed = self.scene.host("sbc").command("find").args(["/sys/fs/bpf/sipwall", "-mindepth", "2"]).output();
        String::from_utf8_lossy(&listed.expect("find runs").stdout).into_owned()
    }

    fn shell(&self, line: &str) {
        let ended: Ended = self.scene.host("sbc").command("sh").args(["-c", line]).output().expect("sh runs").into();
        ended.assert_done();
    }
}

#[test]
fn apply_that_is_killed_has_switched_as_a_whole_or_not_at_all() {
    let stage = Stage::attached();
    stage.turn(0);
    let steps = stage.kill_at_every_step(&["apply", &stage.turned], |step| {
        let before = stage.carrier_packets();
        stage.assert_whole(step);
        stage.scene.sipwall(&["apply", &stage.policy]).assert_done();
        assert_eq!(stage.assert_whole(step), InForce::Policy, "step {step}");
        assert!(stage.carrier_packets() > before, "step {step}");
        stage.turn(step);
    });
    assert!(steps >= 9, "{steps}");
    assert_eq!(stage.assert_whole(0), InForce::Turned);
}

#[test]
fn a_first_attach_that_is_killed_filters_as_a_whole_or_not_at_all() {
    let stage = Stage::new();
    let steps = stage.kill_at_every_step(&["attach", "eth0", "--policy", &stage.turned], |step| {
        assert_ne!(stage.in_force(), InForce::Policy, "step {step}");
        stage.scene.sipwall(&["attach", "eth0", "--policy", &stage.turned]).assert_done();
        assert_eq!(stage.assert_whole(step), InForce::Turned);
        stage.scene.sipwall(&["detach", "eth0"]).assert_done();
        assert_eq!((stage.in_force(), stage.pins()), (InForce::Nothing, String::new()), "step {step}");
    });
    assert!(steps >= 12, "{steps}");
    assert_eq!(stage.assert_whole(0), InForce::Turned);
}

#[test]
fn an_upgrade_that_is_killed_filters_all_the_time() {
    let stage = Stage::attached();
    let forget = || stage.shell("rm -f /sys/fs/bpf/sipwall/v3/eth0/build");
    forget();
    let steps = stage.kill_at_every_step(&["attach", "eth0", "--policy", &stage.policy], |step| {
        assert_eq!(stage.assert_whole(step), InForce::Policy);
        assert_eq!(stage.scene.status()["running"], true, "step {step}");
        forget();
    });
    assert!(steps >= 12, "{steps}");
    assert_eq!(stage.scene.status()["is_this_build"], true);
    assert_eq!(stage.assert_whole(0), InForce::Policy);
}

#[test]
fn an_upgrade_from_another_abi_that_is_killed_filters_all_the_time() {
    let stage = Stage::attached();
    let age = || stage.shell("cd /sys/fs/bpf/sipwall && if [ -e v3/eth0/link ]; then rm -rf v1 && mv v3 v1; fi");
    age();
    let steps = stage.kill_at_every_step(&["attach", "eth0", "--policy", &stage.policy], |step| {
        assert_eq!(stage.in_force(), InForce::Policy, "step {step}");
        age();
    });
    assert!(steps >= 12, "{steps}");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    stage.scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(stage.in_force(), InForce::Nothing);
}

#[test]
fn confirm_that_is_killed_has_confirmed_or_not() {
    let stage = Stage::attached();
    let state = || stage.scene.status()["confirmation"]["state"].clone();
    for (arguments, after) in [(&["confirm"][..], InForce::Turned), (&["confirm", "--revert"], InForce::Policy)] {
        stage.scene.sipwall(&["apply", &stage.turned, "--confirm", "1h"]).assert_done();
        let steps = stage.kill_at_every_step(arguments, |step| {
            assert_eq!((state(), stage.assert_whole(step)), (Value::from("pending"), InForce::Turned), "step {step}");
        });
        assert!(steps >= 1, "{arguments:?}");
        assert_eq!((state(), stage.assert_whole(0)), (Value::from("confirmed"), after), "{arguments:?}");
        stage.scene.sipwall(&["apply", &stage.policy]).assert_done();
    }
}

#[test]
fn deny_that_is_killed_has_changed_whole_entries() {
    let stage = Stage::attached();
    let prefixes = ["192.0.2.64/32", "192.0.2.65/32", "2001:db8:bad::/48"];
    let listed = || {
        let list = stage.scene.sipwall(&["deny", "list"]);
        list.assert_done();
        prefixes.map(|prefix| list.stdout.contains(prefix.trim_end_matches("/32")))
    };
    for (word, there) in [("add", true), ("remove", false)] {
        let steps = stage.kill_at_every_step(&["deny", word, prefixes[0], prefixes[1], prefixes[2]], |step| {
            // In their order: what was done is a beginning of what was to be done.
            let done = listed().map(|listed| listed == there);
            assert!(done.is_sorted_by(|before, after| before >= after), "{word}, step {step}: {done:?}");
            assert_eq!(stage.in_force(), InForce::Policy, "{word}, step {step}");
            // As it was, so that every step is there the next time.
            let opposite = if there { "remove" } else { "add" };
            for (prefix, listed) in prefixes.iter().zip(listed()) {
                if listed == there {
                    stage.scene.sipwall(&["deny", opposite, prefix]).assert_done();
                }
            }
        });
        assert!(steps >= 3, "{word}: {steps}");
        assert_eq!(listed(), [there; 3], "{word}");
    }
}

#[test]
fn detach_that_is_killed_leaves_nothing_that_the_next_command_minds() {
    let stage = Stage::new();
    stage.scene.attach(&stage.turned);
    let steps = stage.kill_at_every_step(&["detach", "eth0"], |step| {
        assert_ne!(stage.in_force(), InForce::Policy, "step {step}");
        // Either it goes on, or there is nothing that could.
        let again = stage.scene.sipwall(&["detach", "eth0"]);
        assert!(again.code == 0 || again.stderr.contains("no filter is attached"), "step {step}: {again:?}");
        assert_eq!((stage.in_force(), stage.pins()), (InForce::Nothing, String::new()), "step {step}");
        stage.scene.attach(&stage.turned);
        assert_eq!(stage.assert_whole(step), InForce::Turned, "step {step}");
    });
    assert!(steps >= 3, "{steps}");
    assert_eq!(stage.in_force(), InForce::Nothing);
}

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
    let published = status["published_at"].as_u64().expect("a time");
    assert!(published > now + 300 * 86_400, "the command saw another clock: {status}");
    let left = status["confirmation"]["seconds_left"].as_u64().expect("a trial");
    assert!((3000..=3600).contains(&left), "{status}");
    at("-400d", &["confirm"]).assert_done();
    assert_eq!(stage.assert_whole(0), InForce::Turned);
    let denied = at("-400d", &["deny", "list", "--json"]);
    denied.assert_done();
    assert!(denied.stdout.contains("192.0.2.77/32"), "{denied:?}");
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
fn where_bpffs_is_not_mounted_nothing_is_attached_and_attach_mounts_it() {
    let stage = Stage::new();
    stage.shell("test $(stat -f -c %T /sys/fs/bpf) != bpf_fs");
    stage.scene.sipwall(&["stats", "eth0"]).assert_failed(1, "no filter is attached to `eth0`");
    stage.scene.sipwall(&["apply", &stage.policy]).assert_failed(1, "no filter is attached to `eth0`");
    assert_eq!(stage.in_force(), InForce::Nothing);
    stage.scene.attach(&stage.policy);
    stage.shell("test $(stat -f -c %T /sys/fs/bpf) = bpf_fs");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
}

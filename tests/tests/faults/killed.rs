//! Commands that are killed at any step that writes.

use std::fs;

use serde_json::Value;
use tests::{
    pins::{OTHER_PINS, pins},
    scene::{CARRIER, SCANNER},
};

use super::{InForce, Stage, TRACKED, TURNED};

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

/// The other policy remembers flows and has more sources than there is room for: it needs a program with larger maps.
#[test]
fn a_swap_for_larger_maps_that_is_killed_filters_all_the_time() {
    let stage = Stage::attached();
    let sources: Vec<String> =
        (0..1200).map(|number| format!("\"10.{}.{}.0/24\"", number / 256, number % 256)).collect();
    let many = format!("[[allow]]\nname = \"many\"\nfrom = [{}]\nudp = [4000]\n\n[[deny]]", sources.join(", "));
    stage.scene.policy("turned.toml", &[TURNED[0], TURNED[1], TRACKED, ("[[deny]]", &many)]);
    let steps = stage.kill_at_every_step(&["apply", &stage.turned], |step| {
        assert_eq!(stage.scene.status()["running"], true, "step {step}");
        let in_force = stage.assert_whole(step);
        // The program that runs knows what is let in now, whichever maps are those to come.
        if in_force == InForce::Policy {
            stage.scene.sipwall(&["allow", "add", SCANNER, "--udp", "5060"]).assert_done();
            assert_eq!(stage.in_force(), InForce::Nothing, "step {step}");
            stage.scene.sipwall(&["allow", "remove", SCANNER]).assert_done();
        }
        // Whatever was done, the next policy is the one that packets meet.
        let next = if step % 2 == 0 { (&stage.policy, InForce::Policy) } else { (&stage.turned, InForce::Turned) };
        stage.scene.sipwall(&["apply", next.0]).assert_done();
        assert_eq!(stage.assert_whole(step), next.1, "step {step}, after {in_force:?}");
        // Small maps again, so that every step is there the next time.
        stage.scene.sipwall(&["detach", "eth0"]).assert_done();
        stage.scene.attach(&stage.policy);
    });
    assert!(steps >= 16, "{steps}");
    assert_eq!(stage.assert_whole(0), InForce::Turned);
}

#[test]
fn an_upgrade_that_is_killed_filters_all_the_time() {
    let stage = Stage::attached();
    let forget = || stage.shell(&format!("rm -f {}/eth0/build", pins()));
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
    let turn_old = format!("if [ -e {0}/eth0/link ]; then rm -rf {OTHER_PINS} && mv {0} {OTHER_PINS}; fi", pins());
    let age = || stage.shell(&turn_old);
    age();
    let attach = ["attach", "eth0", "--policy", &stage.policy];
    let steps = stage.kill_at_every_step(&attach, |step| {
        assert_eq!(stage.in_force(), InForce::Policy, "step {step}");
        // As soon as the new program runs, every command of this version knows it.
        let status = stage.scene.sipwall(&["status", "eth0"]);
        if status.code == 0 {
            assert!(status.stdout.contains("eth0: running"), "step {step}: {status:?}");
            stage.scene.sipwall(&["deny", "add", "192.0.2.78"]).assert_done();
            stage.scene.sipwall(&attach).assert_done();
        } else {
            status.assert_failed(1, "`sipwall attach eth0 --policy FILE` puts this version's in its place");
        }
        age();
    });
    let whole = stage.scene.sipwall(&["deny", "list"]).stdout.contains("192.0.2.78/32");
    assert!(whole && steps >= 12, "{steps}");
    assert_eq!(stage.assert_whole(0), InForce::Policy);
    // One for each step, and one by each look at what is in force: the two versions count in the same maps.
    assert!(stage.carrier_packets() > u64::from(steps), "{} after {steps} steps", stage.carrier_packets());
    stage.scene.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!(stage.in_force(), InForce::Nothing);
}

#[test]
fn confirm_that_is_killed_has_confirmed_or_not() {
    let stage = Stage::attached();
    let state = || stage.scene.status()["confirmation"]["state"].clone();
    for (arguments, after) in [(&["confirm"][..], InForce::Turned), (&["confirm", "--revert"], InForce::Policy)] {
        let try_turned = || stage.scene.sipwall(&["apply", &stage.turned, "--confirm", "1h"]).assert_done();
        try_turned();
        let steps = stage.kill_at_every_step(arguments, |step| {
            // The last step is about a flag alone that spares packets a look at the trial.
            let expected = if step > 1 { "confirmed" } else { "pending" };
            assert_eq!((state(), stage.assert_whole(step)), (Value::from(expected), InForce::Turned), "step {step}");
            if step > 1 {
                stage.scene.sipwall(&["apply", &stage.policy]).assert_done();
                try_turned();
            }
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
fn allow_that_is_killed_lets_in_as_a_whole_or_not_at_all() {
    let stage = Stage::attached();
    let guest = ["192.0.2.99", "--udp", "5060", "--name", "guest"];
    let add = [&["allow", "add"], &guest[..]].concat();
    let remove = ["allow", "remove", "guest"];
    let is_listed = || stage.scene.sipwall(&["allow", "list"]).stdout.contains("guest");
    // Its rule has a counter from its first time on.
    stage.scene.sipwall(&add).assert_done();
    stage.scene.sipwall(&remove).assert_done();
    for (arguments, opposite, there) in [(&add[..], &remove[..], true), (&remove[..], &add[..], false)] {
        let steps = stage.kill_at_every_step(arguments, |step| {
            let expected = if is_listed() { InForce::Nothing } else { InForce::Policy };
            assert_eq!(stage.in_force(), expected, "{arguments:?}, step {step}");
            if is_listed() == there {
                stage.scene.sipwall(opposite).assert_done();
            }
        });
        assert!(steps >= 4, "{arguments:?}: {steps}");
        assert_eq!(is_listed(), there, "{arguments:?}");
    }
}

#[test]
fn a_list_whose_loading_is_killed_is_finished_by_the_next_one() {
    let stage = Stage::attached();
    let path = stage.scene.path("list.txt");
    fs::write(&path, "192.0.2.66\n198.18.0.0/15\n2001:db8:bad::/48\n").expect("a file");
    let (load, unload) = (["deny", "load", &path], ["deny", "unload", "list"]);
    let listed = || {
        let list = stage.scene.sipwall(&["deny", "list", "--json"]);
        list.assert_done();
        list.stdout.lines().filter(|line| line.contains("\"lists\":[\"list\"]")).count()
    };
    for (arguments, opposite, count) in [(&load[..], &unload[..], 3), (&unload[..], &load[..], 0)] {
        let steps = stage.kill_at_every_step(arguments, |step| {
            assert_eq!(stage.assert_whole(step), InForce::Policy, "{arguments:?}, step {step}");
            // It goes on from what the kernel has; where the list went with its last entry, nothing is left to do.
            let again = stage.scene.sipwall(arguments);
            assert!(again.code == 0 || again.stderr.contains("no list `list.txt` is loaded"), "step {step}: {again:?}");
            assert_eq!(listed(), count, "{arguments:?}, step {step}");
            stage.scene.sipwall(opposite).assert_done();
        });
        assert!(steps >= 6, "{arguments:?}: {steps}");
        assert_eq!(listed(), count, "{arguments:?}");
    }
}

#[test]
fn a_change_that_is_saved_and_killed_leaves_a_policy_that_can_be_put_in_force() {
    let stage = Stage::attached();
    let text = || fs::read_to_string(&stage.policy).expect("the policy");
    let before = text();
    let add = ["deny", "add", "192.0.2.66", "--save", "--policy", &stage.policy];
    let steps = stage.kill_at_every_step(&add, |step| {
        let after = text();
        assert!(
            after == before || after == format!("{before}\n[[deny]]\nname = \"added\"\nfrom = [\"192.0.2.66\"]\n"),
            "{after}"
        );
        stage.scene.sipwall(&["check", &stage.policy]).assert_done();
        assert_eq!(stage.in_force(), InForce::Policy, "step {step}");
        fs::write(&stage.policy, &before).expect("a file");
        // It may not have been added.
        stage.scene.sipwall(&["deny", "remove", "192.0.2.66"]);
    });
    assert!(steps >= 5, "{steps}");
    assert!(text().contains("192.0.2.66"));
}

#[test]
fn a_refresh_that_is_killed_is_made_up_by_the_next_one() {
    let stage = Stage::new();
    let page = |last: u32| {
        let rows: String = [CARRIER.to_owned(), format!("203.0.113.{last}")]
            .map(|host| format!("| SBC | UDP | {host} | 5060 |\n"))
            .concat();
        let head = "# Acme\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n";
        fs::write(stage.scene.path("acme.md"), format!("{head}{rows}")).expect("a file");
    };
    let (policy, state) = (stage.scene.path("sourced.toml"), stage.scene.path("state"));
    let provider = "[[provider]]\nname = \"acme\"\nsource = \"acme.md\"\nmax_shrink = \"100 %\"\n";
    fs::write(&policy, format!("[sbc]\ninterfaces = [\"eth0\"]\n[sbc.listen]\nsip-udp = [5060]\n{provider}"))
        .expect("a file");
    let refresh = ["refresh", "--now", "--policy", &policy, "--state", &state];
    let of_policy = |command: &str| stage.scene.sipwall(&[command, "--policy", &policy, "--state", &state]);
    page(100);
    stage.scene.sipwall(&refresh).assert_done();
    of_policy("attach").assert_done();
    page(101);
    let steps = stage.kill_at_every_step(&refresh, |step| {
        assert_eq!(stage.in_force(), InForce::Policy, "step {step}");
        stage.scene.sipwall(&refresh).assert_done();
        stage.scene.sipwall(&["diff", &policy, "--state", &state]).assert_done();
        assert_eq!(stage.in_force(), InForce::Policy, "step {step}");
        page(101 + step);
    });
    assert!(steps >= 8, "{steps}");
}

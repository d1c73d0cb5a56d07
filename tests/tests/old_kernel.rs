//! The shipped program on the oldest kernel that is supported for certain: Debian's Linux 6.1.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

use std::{path::Path, time::Duration};

use serde_json::Value;
use tests::{
    guest::{Console, Initramfs, Kernel, boot},
    sipwall::{binary, test_program},
};

const VERSION: &str = "6.1";
/// It takes about a minute; a busy machine is given more.
const LIMIT: Duration = Duration::from_mins(8);

/// What is done in the guest, on a pair of veth interfaces.
const SCRIPT: &str = r"
ip link add eth0 type veth
ip link set eth0 up
ip link set veth0 up
ip address add 192.0.2.99/24 dev veth0
step kernel uname -r
step attach sipwall attach eth0 --policy FIXTURES/policy.toml
step again sipwall attach eth0 --policy FIXTURES/policy.toml
step arping arping -I veth0 -c 3 192.0.2.1
step status sipwall status eth0 --json
step stats sipwall stats eth0 --json
sed 's/tunnel/gre/' FIXTURES/policy.toml > /other.toml
cp FIXTURES/carrier.toml /carrier.toml
step apply sipwall apply /other.toml --interface eth0
step deny sipwall deny add 192.0.2.77 --for 1h
step allow sipwall allow add 192.0.2.78 --udp 5070 --name guest
step detach sipwall detach eth0
step detached sipwall status
step verdicts verdicts --test-threads=1
step live live_verdicts --test-threads=1
";

/// What the guest writes to its console.
fn console(kernel: &Kernel) -> Console {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let script = SCRIPT.replace("FIXTURES", fixtures.to_str().expect("a plain path"));
    let disk = Initramfs::new(&script).and_then(|disk| disk.module(kernel, "veth"));
    let disk = disk.and_then(|disk| disk.directory(&fixtures)?.program("sipwall", binary()));
    let tables = |disk: Initramfs, name| disk.program(name, &test_program(name));
    let disk = disk.and_then(|disk| tables(tables(disk, "verdicts")?, "live_verdicts")).expect("a memory disk");
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("disk");
    disk.pack(&file).expect("a memory disk");
    boot(kernel, &file, LIMIT).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What a step printed; it must have succeeded.
fn done(console: &Console, step: &str) -> String {
    match console.step(step) {
        Some((printed, 0)) => printed,
        Some((printed, code)) => panic!("`{step}` ended with {code}:\n{printed}"),
        None => panic!("`{step}` did not end:\n{}", console.0),
    }
}

fn json(console: &Console, step: &str) -> Value {
    let printed = done(console, step);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error} in `{step}`:\n{printed}"))
}

#[test]
fn the_program_loads_attaches_counts_and_judges_on_linux_6_1() {
    let kernel = Kernel::find(VERSION).unwrap_or_else(|error| panic!("{error:#}"));
    let console = console(&kernel);
    assert_eq!(done(&console, "kernel").trim(), kernel.release);
    for (step, told) in
        [("attach", "attached, native XDP, generation 1"), ("again", "policy replaced, native XDP, generation 2")]
    {
        let printed = done(&console, step);
        assert!(printed.starts_with(&format!("`eth0`: {told}\n`eth0`: driver veth, MTU 1500\n")), "{printed}");
    }
    let status = json(&console, "status");
    assert_eq!((&status["running"], &status["attach_mode"]), (&true.into(), &"native".into()), "{status}");
    let stats = json(&console, "stats");
    assert_eq!((&stats["mode"], &stats["generation"]), (&"enforce".into(), &2.into()), "{stats}");
    let counted = stats["reasons"].as_array().expect("an array").iter().find(|count| count["reason"] == "arp");
    assert!(counted.and_then(|count| count["packets"].as_u64()) >= Some(3), "{stats}");
    done(&console, "detach");
    let detached = done(&console, "detached");
    assert!(detached.starts_with("no filter is attached to any interface\n"), "{detached}");
    let applied = done(&console, "apply");
    assert!(applied.contains("`eth0`: generation 3 is in force now"), "{applied}");
    done(&console, "deny");
    done(&console, "allow");
    for tables in ["verdicts", "live"] {
        let judged = done(&console, tables);
        assert!(judged.contains("test result: ok. ") && !judged.contains("ok. 0 passed"), "{judged}");
    }
}

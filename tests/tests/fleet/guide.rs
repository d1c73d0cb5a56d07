//! The guide in `docs/fleet.md` is a script: every command is run where it says, in order, and prints what the guide shows.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tests::{
    guest::unpacked,
    guide::{Part, Shown, assert_shown, exit_code, not_shown, parts},
    service::wait_for,
    sipwall::{Ended, binary},
};

use crate::world::{World, broker_address};

const GUIDE: &str = include_str!("../../../docs/fleet.md");

/// Commands that only look.
const LOOKS: [&str; 3] = ["sipwall fleet status", "sipwall fleet events", "sipwall status"];

/// There is no init on a host of a lab. This stands for what it does with the units.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -e
for unit; do :; done
case "$unit" in
    nats-server) command="nats-server --config /etc/nats-server.conf" ;;
    sipwall) command=$(sed -n 's/^ExecStart=.usr.sbin.//p' /etc/systemd/system/sipwall.service.d/fleet.conf) ;;
esac
start() {
    if [ -e /run/pid ] && kill -0 "$(cat /run/pid)" 2>/dev/null; then return; fi
    setsid $command >>/run/log 2>&1 </dev/null &
    echo $! >/run/pid
    [ "$unit" = nats-server ] || until sipwall status | grep -q '^  fleet:'; do sleep 0.1; done
}
stop() {
    kill "$(cat /run/pid)"
    while kill -0 "$(cat /run/pid)" 2>/dev/null; do sleep 0.1; done
}
case "$1" in
    enable | start) start ;;
    stop) stop ;;
    restart) stop; start ;;
    *) exit 2 ;;
esac
"#;

/// The hosts that the guide means.
fn hosts(whom: &str) -> Vec<String> {
    match whom {
        "every broker" => (1..=3).map(|number| format!("nats{number}")).collect(),
        "every node" => (1..=3).map(|number| format!("sbc{number}")).collect(),
        host => vec![host.to_owned()],
    }
}

/// Gives a host directories of its own where the guide's commands read and write.
fn prepare(world: &World, host: &str) {
    let directory = |name: &str| {
        let path = world.path(&format!("{host}.{name}"));
        fs::create_dir_all(&path).expect("a directory");
        path
    };
    let (etc, programs, _) = (directory("etc"), directory("bin"), directory("home"));
    for file in ["passwd", "group", "ld.so.cache", "nsswitch.conf"] {
        fs::copy(Path::new("/etc").join(file), Path::new(&etc).join(file)).expect("a file of every Linux");
    }
    fs::create_dir_all(format!("{etc}/sipwall")).expect("a directory");
    fs::create_dir_all(format!("{etc}/systemd/system/sipwall.service.d")).expect("a directory");
    let server = unpacked("broker/usr/sbin", "nats-server");
    for (program, name) in [(binary(), "sipwall"), (&server, "nats-server")] {
        if program.is_absolute() {
            std::os::unix::fs::symlink(program, format!("{programs}/{name}")).expect("a link");
        }
    }
    let systemctl = format!("{programs}/systemctl");
    fs::write(&systemctl, SYSTEMCTL).expect("a script");
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).expect("a script");
    let mounts =
        [["--bind", &etc, "/etc"], ["--bind", &directory("run"), "/run"], ["--bind", &directory("lib"), "/var/lib"]];
    for mount in mounts {
        let mounted = world.host(host).command("mount").args(mount).status().expect("`mount` runs");
        assert!(mounted.success(), "{mount:?}");
    }
}

/// Writes a file of the guide on a host; of `sbc1` the guide speaks for every node.
fn write(world: &World, host: &str, name: &str, text: &str) {
    let path = match name.strip_prefix("/etc/") {
        Some(name) => format!("{host}.etc/{name}"),
        None => format!("{host}.home/{name}"),
    };
    let text = text.replace("\"sbc1\"", &format!("\"{host}\""));
    world.write(&path, &text);
}

fn run(world: &World, host: &str, shown: &Shown) -> Ended {
    let number: usize = host.trim_start_matches(char::is_alphabetic).parse().unwrap_or_default();
    let mut shell = world.host(host).command("env");
    shell.arg("-C").arg(world.path(&format!("{host}.home")));
    shell.arg(format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", world.path(&format!("{host}.bin"))));
    shell.arg(format!("NAME={host}")).arg(format!("ADDRESS={}", broker_address(number)));
    shell.args(["sh", "-c", &shown.command]).output().expect("a shell runs").into()
}

/// Runs a command, and checks what it prints. One that only looks is repeated until it sees what the guide shows.
fn check(world: &World, host: &str, shown: &Shown) {
    let is_shown = |ended: &Ended| ended.code == exit_code(&shown.command) && not_shown(shown, ended).is_none();
    let mut ended = run(world, host, shown);
    if !is_shown(&ended) && LOOKS.iter().any(|look| shown.command.starts_with(look)) {
        let found = || Some(run(world, host, shown)).filter(|ended| is_shown(ended));
        ended = wait_for(&format!("`{}` shows {:#?}, not {ended:#?}", shown.command, shown.output), found);
    }
    assert_eq!(ended.code, exit_code(&shown.command), "`{}` on {host}: {ended:?}", shown.command);
    assert_shown(shown, &ended);
}

/// Public keys are carried to the nodes, as the guide says in words.
fn carry_keys(world: &World) {
    for key in ["fleet.key.pub", "next.key.pub"] {
        if let Ok(text) = fs::read_to_string(world.path(&format!("ops.etc/sipwall/{key}"))) {
            for node in hosts("every node") {
                world.write(&format!("{node}.etc/sipwall/{key}"), &text);
            }
        }
    }
}

#[test]
fn every_command_of_the_fleets_guide_does_what_the_guide_shows() {
    let world = World::new(3, 3);
    let all = [hosts("ops"), hosts("every broker"), hosts("every node")].concat();
    for host in &all {
        prepare(&world, host);
    }
    let _traffic = world.traffic();
    let mut parts_run = 0;
    for part in parts(GUIDE) {
        match part {
            Part::File { name, text } => {
                let (name, whom) = name.split_once(" on ").expect("a file is on a host");
                for host in &hosts(whom) {
                    write(&world, host, name, &text);
                }
            }
            Part::Commands { commands, mark } => {
                let whom = mark.strip_prefix("on ").expect("a command runs on a host");
                for host in hosts(whom) {
                    for shown in &commands {
                        check(&world, &host, shown);
                    }
                }
                carry_keys(&world);
                parts_run += 1;
            }
        }
    }
    assert!(parts_run > 15, "{parts_run}");
}

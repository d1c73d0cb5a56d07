//! The operator's guide is a script: every command of `docs/operating.md` is run, in order, on an SBC with a carrier and a
//! scanner, and prints what the guide shows.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tests::ports::bound;

use tests::{
    guide::{Part, Shown, assert_shown, exit_code, parts},
    packaging::packaging,
    scene::{CARRIER, SBC, SCANNER, Scene},
    sipwall::{Ended, binary},
};

const GUIDE: &str = include_str!("../../docs/operating.md");

/// How long between two datagrams of each host, where the guide has traffic.
const PAUSE: Duration = Duration::from_millis(20);

/// There is no init on a host of a lab. These stand for what it does with the unit: they run the unit's own command, and a
/// reload takes until the service has done it, as with `Type=notify-reload`.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -e
start() {
    setsid $(sed -n 's/^ExecStart=.usr.sbin.//p' "$UNIT") >>/run/log 2>&1 </dev/null &
    echo $! >/run/pid
    until sipwall status | grep -qE '^service: process [0-9]+, (keeps|follows) '; do sleep 0.1; done
}
stop() {
    kill "$(cat /run/pid)"
    while kill -0 "$(cat /run/pid)" 2>/dev/null; do sleep 0.1; done
}
case "$1" in
    enable) start ;;
    reload)
        waited=0 lines=$(wc -l < /run/log)
        kill -HUP "$(cat /run/pid)"
        until tail -n "+$((lines + 1))" /run/log | sed -n '/SIGHUP/,$p' | grep -q reloaded; do
            [ $((waited += 1)) -lt 600 ]
            sleep 0.1
        done ;;
    restart) stop; start ;;
    disable) stop ;;
    *) exit 2 ;;
esac
"#;

/// Datagrams from the carrier and the scanner, until it is over; says when the first are on their way.
fn send(scene: &Scene, is_over: &AtomicBool, first: &mpsc::Sender<()>) {
    let socket = |name: &str, address: &str| bound(scene.host(name), || UdpSocket::bind((address, 5060)));
    let sockets = [socket("carrier", CARRIER), socket("scanner", SCANNER)];
    for round in 0.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        if round == 5 {
            first.send(()).expect("somebody waits");
        }
        for socket in &sockets {
            // Nobody listens, which the host may say.
            let _ = socket.send_to(b"OPTIONS", (SBC, 5060));
        }
        thread::sleep(PAUSE);
    }
}

/// Gives the SBC directories of its own where the guide's commands write.
fn prepare(scene: &Scene) {
    let directory = |name: &str| {
        let path = scene.path(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    };
    let (etc, programs) = (directory("etc"), directory("bin"));
    for file in ["passwd", "group", "ld.so.cache", "nsswitch.conf"] {
        fs::copy(Path::new("/etc").join(file), Path::new(&etc).join(file)).expect("a file of every Linux");
    }
    std::os::unix::fs::symlink(binary(), format!("{programs}/sipwall")).expect("a link");
    for (name, text) in [("systemctl", SYSTEMCTL), ("journalctl", "#!/bin/sh\ncat /run/log\n")] {
        let path = format!("{programs}/{name}");
        fs::write(&path, text).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    }
    let mounts =
        [["--bind", &etc, "/etc"], ["--bind", &directory("run"), "/run"], ["--bind", &directory("lib"), "/var/lib"]];
    for mount in mounts {
        let mounted = scene.host("sbc").command("mount").args(mount).status().expect("`mount` runs");
        assert!(mounted.success(), "{mount:?}");
    }
}

fn shell(scene: &Scene, command: &str) -> Command {
    let mut shell = scene.host("sbc").command("env");
    let unit = packaging("sipwall.service");
    shell.arg("-C").arg(scene.path("")).arg(format!("UNIT={}", unit.display()));
    shell.arg(format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", scene.path("bin")));
    shell.args(["sh", "-c", command]);
    shell
}

#[test]
fn every_command_of_the_guide_does_what_the_guide_shows() {
    let scene = Scene::new();
    fs::remove_file(scene.path("carrier.toml")).expect("the guide writes its own");
    prepare(&scene);
    for part in parts(GUIDE) {
        match part {
            Part::File { name, text } => fs::write(scene.path(&name), text).expect("a file"),
            Part::Commands { commands, mark } if mark != "traffic" => run_all(&scene, &commands),
            Part::Commands { commands, .. } => {
                let is_over = Over::default();
                thread::scope(|scope| {
                    let (first, sent) = mpsc::channel();
                    let (scene, is_over) = (&scene, &is_over);
                    scope.spawn(move || send(scene, &is_over.0, &first));
                    // However the commands end, the traffic ends too.
                    let _guard = Guard(is_over);
                    sent.recv().expect("traffic flows");
                    run_all(scene, &commands);
                });
            }
        }
    }
}

/// Whether the traffic is over.
#[derive(Default)]
struct Over(AtomicBool);

/// Ends the traffic when it is dropped.
struct Guard<'a>(&'a Over);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

fn run_all(scene: &Scene, commands: &[Shown]) {
    for shown in commands {
        let ended: Ended = shell(scene, &shown.command).output().expect("a shell runs").into();
        assert_eq!(ended.code, exit_code(&shown.command), "`{}`: {ended:?}", shown.command);
        assert_shown(shown, &ended);
    }
}

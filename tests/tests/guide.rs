//! The operator's guide is a script: every command of `docs/operating.md` is run, in order, on an SBC with a carrier and a
//! scanner, and prints what the guide shows.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on panics")]

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

use tests::{
    scene::{CARRIER, SBC, SCANNER, Scene},
    sipwall::{Ended, binary},
};

const GUIDE: &str = include_str!("../../docs/operating.md");

/// How long between two datagrams of each host, where the guide has traffic.
const PAUSE: Duration = Duration::from_millis(20);

/// There is no init on a host of a lab. These stand for what it does with the unit: they run the unit's own command.
const SYSTEMCTL: &str = r#"#!/bin/sh
set -e
start() {
    setsid $(sed -n 's/^ExecStart=.usr.sbin.//p' "$UNIT") >>/run/log 2>&1 </dev/null &
    echo $! >/run/pid
    until sipwall status | grep -q '^service: process'; do sleep 0.1; done
}
stop() {
    kill "$(cat /run/pid)"
    while kill -0 "$(cat /run/pid)" 2>/dev/null; do sleep 0.1; done
}
case "$1" in
    enable) start ;;
    reload) kill -HUP "$(cat /run/pid)"; until grep -q 'policy in force' /run/log; do sleep 0.1; done ;;
    restart) stop; start ;;
    disable) stop ;;
    *) exit 2 ;;
esac
"#;

/// A part of the guide that does something.
#[derive(Debug)]
enum Part {
    /// A file that the reader writes.
    File { name: String, text: String },
    /// Commands, with what each one prints; traffic while they run.
    Commands { commands: Vec<Shown>, traffic: bool },
}

/// A command and what the guide shows of its output.
#[derive(Debug)]
struct Shown {
    command: String,
    output: Vec<String>,
}

/// The parts of the guide, in order.
fn parts() -> Vec<Part> {
    let (mut parts, mut lines, mut mark) = (Vec::new(), GUIDE.lines(), "");
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ") {
            mark = comment.trim_end_matches(" -->");
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            match (language, mark.strip_prefix("file: ")) {
                ("console", _) => parts.push(Part::Commands { commands: commands(&block), traffic: mark == "traffic" }),
                (_, Some(name)) => parts.push(Part::File { name: name.to_owned(), text: block.join("\n") + "\n" }),
                _ => panic!("a block of the guide that nobody runs: {block:?}"),
            }
            mark = "";
        }
    }
    parts
}

fn commands(block: &[&str]) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(Shown { command: command.to_owned(), output: Vec::new() }),
            (None, Some(last)) => last.output.push((*line).to_owned()),
            (None, None) => panic!("output of no command: {line}"),
        }
    }
    commands
}

/// Whether a line is what the guide shows, where `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let parts: Vec<_> = shown.split('…').collect();
    let [first, middle @ .., last] = &parts[..] else { return line == shown };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Asserts that the lines which the guide shows are printed in their order. A line with nothing but `…` stands for any
/// number of lines, and lines between two that begin or end with `…` may be left out.
fn assert_shown(shown: &Shown, ended: &Ended) {
    let printed = format!("{}{}", ended.stdout, ended.stderr);
    let mut lines = printed.lines();
    for expected in shown.output.iter().filter(|line| *line != "…") {
        let found = lines.by_ref().any(|line| is_like(line, expected));
        assert!(found, "`{}` does not print `{expected}` in its place, but\n{printed}", shown.command);
    }
}

/// Datagrams from the carrier and the scanner, until it is over; says when the first are on their way.
fn send(scene: &Scene, is_over: &AtomicBool, first: &mpsc::Sender<()>) {
    let socket = |name: &str, address: &str| {
        scene.host(name).enter(|| UdpSocket::bind((address, 5060))).expect("a host").expect("a free port")
    };
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
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/sipwall.service");
    shell.arg("-C").arg(scene.path("")).arg(format!("UNIT={}", unit.display()));
    shell.arg(format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", scene.path("bin")));
    shell.args(["sh", "-c", command]);
    shell
}

/// The exit code that the guide says, 0 if it says none.
fn exit_code(command: &str) -> i32 {
    let said = command.split("# exit code ").nth(1).and_then(|text| text.split(':').next());
    said.map_or(0, |code| code.parse().expect("a number"))
}

#[test]
fn every_command_of_the_guide_does_what_the_guide_shows() {
    let scene = Scene::new();
    fs::remove_file(scene.path("carrier.toml")).expect("the guide writes its own");
    prepare(&scene);
    for part in parts() {
        match part {
            Part::File { name, text } => fs::write(scene.path(&name), text).expect("a file"),
            Part::Commands { commands, traffic: false } => run_all(&scene, &commands),
            Part::Commands { commands, traffic: true } => {
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

#[test]
fn a_line_of_the_guide_is_like_what_is_printed() {
    for (line, shown) in [("a b c", "a b c"), ("a b c", "a…c"), ("a b c", "…b…"), ("a b c", "a b…"), ("", "…")]
    {
        assert!(is_like(line, shown), "{line} {shown}");
    }
    for (line, shown) in [("a b c", "a b"), ("a b c", "b…"), ("a b c", "…b"), ("a b c", "a…d…c")] {
        assert!(!is_like(line, shown), "{line} {shown}");
    }
}

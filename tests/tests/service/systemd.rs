//! The unit under a systemd of its own, which is the first process of namespaces that are made for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use lab::Process;
use serde_json::Value;
use tests::{
    packaging::packaging,
    scene::Scene,
    service::wait_for,
    sipwall::{Ended, binary},
};

/// The control group that everything there is in.
struct Group(PathBuf);

impl Group {
    /// Makes one where the groups of the second version are mounted.
    fn new() -> Self {
        let mounts = fs::read_to_string("/proc/mounts").expect("mounts");
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).expect("control groups");
        let path = Path::new(mount.split(' ').nth(1).expect("a place")).join(format!("sipwall-test-{}", process::id()));
        fs::create_dir(&path).expect("a control group");
        Self(path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What is in it ends, and the kernel takes it out, a moment later.
        let remove = ["-depth", "-type", "d", "-exec", "rmdir", "{}", "+"];
        wait_for("the control groups are empty", || {
            // One that is busy still is said by the next round.
            let _ = Command::new("find").arg(&self.0).args(remove).output();
            (!self.0.exists()).then_some(())
        });
    }
}

/// A systemd on the SBC, until it is dropped.
struct System<'a> {
    scene: &'a Scene,
    /// Its process, as it is seen from here.
    process: String,
    _running: Process,
    // Last, for its processes must have ended.
    _group: Group,
}

impl<'a> System<'a> {
    fn boot(scene: &'a Scene, policies: &str) -> Self {
        let group = Group::new();
        let root = scene.path("root");
        fs::create_dir(&root).expect("a directory");
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("sh");
        // The group is entered first, so that systemd sees it as the root of all.
        command.args(["-c", "echo $$ > $0/cgroup.procs && exec \"$@\""]).arg(&group.0).args(scene.host("sbc").entry());
        command.args(["unshare", "--pid", "--fork", "--kill-child", "--mount", "--cgroup", "--uts", "--ipc"]);
        command
            .args(["--propagation", "private", "sh"])
            .arg(here.join("tests/service/init.sh"))
            .arg(&root)
            .arg(binary());
        command.arg(packaging("sipwall.service")).arg(policies);
        let running = Process::start(&mut command).expect("it starts");
        let process = wait_for("the first process is there", || {
            let parent = running.id();
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
            children.split_whitespace().next().map(str::to_owned)
        });
        let system = Self { scene, process, _running: running, _group: group };
        wait_for("systemd has started what it should", || {
            let state = system.run("systemctl", &["is-system-running"]).stdout;
            ["running", "degraded"].contains(&state.trim()).then_some(())
        });
        system
    }

    /// Runs something there.
    fn run(&self, program: &str, arguments: &[&str]) -> Ended {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.process, "--mount", "--pid", "--net", "--root", "--wd=/", "--"]);
        command.arg(program).args(arguments).output().expect("nsenter runs").into()
    }

    fn systemctl(&self, arguments: &[&str]) {
        let ended = self.run("systemctl", arguments);
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}; the log is {}", self.run("cat", &["/run/log"]).stdout);
    }

    /// What systemd knows of the service.
    fn property(&self, name: &str) -> String {
        let shown = self.run("systemctl", &["show", "--value", "--property", name, "sipwall.service"]);
        shown.assert_done();
        shown.stdout.trim().to_owned()
    }

    fn status(&self) -> Value {
        self.run("sipwall", &["status", "eth0", "--json"]).json()
    }

    /// Waits until systemd has started the service so many times once more, and it is ready.
    fn await_restart(&self, count: &str) {
        let what = || format!("restart {count}: {}", self.run("systemctl", &["status", "sipwall"]).stdout);
        wait_for(&what(), || {
            (self.property("NRestarts") == count && self.property("ActiveState") == "active").then_some(())
        });
    }

    /// How many of three datagrams of the carrier and of the scanner arrive.
    fn arriving(&self) -> (usize, usize) {
        (self.scene.datagrams("carrier", 5060), self.scene.datagrams("scanner", 5060))
    }

    fn write_policy(&self, text: &str) {
        let write = format!("cat > /etc/sipwall/policy.toml <<'END'\n{text}END\n");
        self.run("sh", &["-c", &write]).assert_done();
    }
}

#[test]
fn systemd_starts_reloads_and_restarts_the_unit_and_the_filter_is_in_force_all_the_time() {
    let scene = Scene::new();
    let policies = scene.path("policies");
    fs::create_dir(&policies).expect("a directory");
    let policy = fs::read_to_string(scene.policy("policy.toml", &[])).expect("a policy");
    fs::write(format!("{policies}/policy.toml"), &policy).expect("a file");
    fs::copy(scene.path("carrier.toml"), format!("{policies}/carrier.toml")).expect("a file");
    let system = System::boot(&scene, &policies);
    assert_eq!(system.property("ActiveState"), "inactive");
    system.systemctl(&["enable", "--now", "sipwall"]);
    assert_eq!((system.property("ActiveState"), system.arriving()), ("active".to_owned(), (3, 0)));
    wait_for("it says how it is", || {
        system.property("StatusText").contains("1 of 1 interfaces filtered").then_some(())
    });
    // Ready again means that the new policy is in force.
    system.write_policy(&policy.replacen("[sbc]\n", "[sbc]\nmode = \"monitor\"\n", 1));
    system.systemctl(&["reload", "sipwall"]);
    wait_for("monitor mode", || (system.status()["mode"] == "monitor").then_some(()));
    assert_eq!(system.arriving(), (3, 3));
    system.write_policy(&policy);
    system.systemctl(&["reload", "sipwall"]);
    wait_for("enforce mode", || (system.status()["mode"] == "enforce").then_some(()));
    assert_eq!(system.arriving(), (3, 0));
    let (generation, process) = (system.status()["generation"].clone(), system.property("MainPID"));
    // Killed, and started anew.
    system.systemctl(&["kill", "--signal=KILL", "sipwall"]);
    assert_eq!(system.arriving(), (3, 0));
    system.await_restart("1");
    assert_ne!(system.property("MainPID"), process);
    assert_eq!((&system.status()["generation"], system.arriving()), (&generation, (3, 0)));
    // Hanging, so that the watchdog ends it.
    system.systemctl(&["kill", "--signal=STOP", "sipwall"]);
    system.await_restart("2");
    assert_eq!((&system.status()["generation"], system.arriving()), (&generation, (3, 0)));
    system.systemctl(&["disable", "--now", "sipwall"]);
    assert_eq!((system.property("ActiveState"), system.arriving()), ("inactive".to_owned(), (3, 0)));
    system.run("sipwall", &["detach", "--all"]).assert_done();
    assert_eq!(system.arriving(), (3, 3));
}

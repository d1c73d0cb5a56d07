//! `sipwall run` on a host, as a service manager would start it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use lab::Host;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    scene::Scene,
    sipwall::{binary, sipwall_on},
};

/// How long something may take that takes a moment: this machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until `look` finds something.
///
/// # Panics
/// If it does not in a minute.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_or(look, || what.to_owned())
}

/// The same; what was waited for is only said in the end, with what there is instead.
fn wait_or<T>(mut look: impl FnMut() -> Option<T>, what: impl FnOnce() -> String) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {}", what());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The service on the SBC, until it is dropped.
#[derive(Debug)]
pub struct Service<'a> {
    host: &'a Host,
    directory: PathBuf,
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl<'a> Service<'a> {
    /// Starts it with a policy, and waits until it is ready.
    pub fn start(scene: &'a Scene, policy: &str) -> Self {
        Self::start_on(scene.host("sbc"), scene.directory(), policy)
    }

    /// Starts it on this host, with its files in this directory, and waits until it is ready.
    pub fn start_on(host: &'a Host, directory: &Path, policy: &str) -> Self {
        let mut service = Self::launch_on(&[], host, directory, policy, &[], &[]);
        service.await_told("READY=1");
        service
    }

    /// Starts it with these arguments and variables.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn launch(scene: &'a Scene, policy: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::launch_by(&[], scene, policy, arguments, variables)
    }

    /// Starts it by another command, such as one that watches it.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn launch_by(
        by: &[&str],
        scene: &'a Scene,
        policy: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::launch_on(by, scene.host("sbc"), scene.directory(), policy, arguments, variables)
    }

    fn launch_on(
        by: &[&str],
        host: &'a Host,
        directory: &Path,
        policy: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let path = directory.join("notify");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        // All the time: who tells a manager that does not listen waits for it.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let lines = String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned).collect::<Vec<_>>();
                hears.lock().expect("no reader panics").extend(lines);
            }
        });
        let mut command = host.command("env");
        command.args(by).arg(binary()).args(["run", "--policy", policy]);
        command.arg("--state").arg(directory.join("state")).arg("--runtime").arg(directory.join("run"));
        command.args(arguments).env("NOTIFY_SOCKET", &path).env_remove("JOURNAL_STREAM");
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("`sipwall run` starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, written) = (BufReader::new(child.stderr.take().expect("a pipe")), Arc::clone(&log));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                written.lock().expect("no reader panics").push(line);
            }
        });
        Self { host, directory: directory.to_owned(), child, told, log }
    }

    /// Waits until the service manager is told a line that begins so, and returns it; the next one is another.
    ///
    /// # Panics
    /// If it ends, or does not tell it.
    pub fn await_told(&mut self, beginning: &str) -> String {
        wait_for(&format!("the manager is told `{beginning}`; the log is {:#?}", self.log()), || {
            let ended = self.child.try_wait().expect("a child");
            let mut told = self.told.lock().expect("no reader panics");
            assert!(ended.is_none() || !told.is_empty(), "{ended:?}: {:#?}", self.log());
            let place = told.iter().position(|line| line.starts_with(beginning))?;
            told.drain(..=place).next_back()
        })
    }

    /// Waits until it is ready or has ended, and says whether it is ready.
    ///
    /// # Panics
    /// If it does neither.
    pub fn gets_ready(&mut self) -> bool {
        wait_for("it is ready, or ends", || {
            let ready = self.told.lock().expect("no reader panics").iter().any(|line| line == "READY=1");
            if ready { Some(true) } else { self.child.try_wait().expect("a child").map(|_| false) }
        })
    }

    /// Forgets what the service manager was told so far.
    ///
    /// # Panics
    /// If what hears it panicked.
    pub fn forget_told(&mut self) {
        self.told.lock().expect("no reader panics").clear();
    }

    /// Waits until the log has a line with all of these, and returns it.
    pub fn await_log(&self, parts: &[&str]) -> String {
        wait_for(&format!("the log has {parts:?}"), || {
            self.log().into_iter().find(|line| parts.iter().all(|part| line.contains(part)))
        })
    }

    /// The lines of the log so far.
    ///
    /// # Panics
    /// If what reads it panicked.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("no reader panics").clone()
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If it has ended.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// If it does not.
    pub fn end(mut self) -> ExitStatus {
        wait_for("the service ends", || self.child.try_wait().expect("a child"))
    }

    /// Sends a signal that ends it, and waits until it has.
    pub fn end_by(self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.end()
    }

    /// Waits until `status` shows of `eth0` what is looked for.
    pub fn await_status(&self, what: &str, found: impl Fn(&Value) -> bool) -> Value {
        let status = || status_on(self.host, &self.directory);
        wait_or(
            || Some(status()).filter(&found),
            || format!("{what}; the log is {:#?}, and `status` says {}", self.log(), status()),
        )
    }

    /// Waits until this generation is in force.
    pub fn await_generation(&self, generation: u64) -> Value {
        self.await_status(&format!("generation {generation}"), |status| status["generation"] == generation)
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `status` shows of `eth0`, and of the service.
pub fn status(scene: &Scene) -> Value {
    status_on(scene.host("sbc"), scene.directory())
}

fn status_on(host: &Host, directory: &Path) -> Value {
    let runtime = directory.join("run");
    sipwall_on(host, &["status", "eth0", "--json", "--runtime", runtime.to_str().expect("a plain path")]).json()
}

/// What `status` shows people, whether an interface is open, which it ends with 1 for, or none.
///
/// # Panics
/// If it shows nothing.
pub fn status_text(scene: &Scene) -> String {
    let shown = scene.sipwall(&["status", "--runtime", &scene.path("run")]);
    assert!(shown.code <= 1 && shown.stdout.contains("service: "), "{shown:?}");
    shown.stdout
}

//! `cargo xtask pictures`: the pictures of the documentation, of one run with calls and a scan going on.
//!
//! Nothing in them is made up: the demo's calls, relays and scan go on in network namespaces while the service runs there,
//! and what the commands and the dashboard show then is kept.

mod terminal;

use std::{
    fs,
    io::{self, PipeWriter},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Host, Lab, Process, run as run_command};
use tempfile::TempDir;

use self::terminal::Terminal;
use crate::{
    demo::{network, scene},
    privilege, setup, workspace,
};

/// How to make them.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seconds calls and the scan go on before anything is looked at.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// Where the service listens, on the SBC alone.
const LISTENER: &str = "127.0.0.1:9464";
/// The commands whose output is shown, by the names of their pictures.
const COMMANDS: &[(&str, &[&str])] =
    &[("stats", &["stats", "--interval", "5s"]), ("events", &["events"]), ("events-top", &["events", "--top"])];
/// How long the service may take to start.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long all pictures may take.
const EXPOSURE: Duration = Duration::from_mins(5);
/// How long nothing is played between two times.
const PAUSE: Duration = Duration::from_millis(300);
/// What a picture may weigh.
const LARGEST: u64 = 150_000;

/// Makes all of them, in the place of those that were there.
pub(crate) fn run(options: &Options) -> Result<()> {
    privilege::check()?;
    setup::ensure(setup::Purpose::Test)?;
    setup::ensure(setup::Purpose::Pictures)?;
    let Programs { sipwall, browser } = programs()?;
    let lab = Lab::new(&network::plans()?)?;
    let files = tempfile::tempdir()?;
    let sbc = lab.host("sbc")?;
    let _service = service(sbc, &sipwall, &files)?;
    let photographer = Photographer::start(sbc, &browser, files.path())?;
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        let traffic = threads.spawn(|| traffic(&lab, &done));
        let taken = take(sbc, &sipwall, photographer, &files, options);
        done.store(true, Ordering::Relaxed);
        traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))?;
        taken
    })?;
    keep(files.path())
}

/// What is shown, and what takes pictures of pages.
struct Programs {
    sipwall: PathBuf,
    browser: PathBuf,
}

/// Builds both as the tests have them, so that nothing is built twice.
fn programs() -> Result<Programs> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--workspace", "--exclude", "filter-ebpf", "--exclude", "fuzz"]);
    workspace::run(cargo.args(["--bin", "sipwall", "--example", "pictures"]))?;
    let built = workspace::target().join("debug");
    Ok(Programs { sipwall: built.join("sipwall"), browser: built.join("examples/pictures") })
}

/// The service on the SBC, with the demo's policy, once it has attached the filter.
fn service(sbc: &Host, sipwall: &Path, files: &TempDir) -> Result<Process> {
    let path = |name: &str| files.path().join(name);
    fs::write(path("policy.toml"), network::policy())?;
    let mut command = sbc.command(sipwall);
    command.args(["run", "--listen", LISTENER, "--policy"]).arg(path("policy.toml"));
    command.arg("--state").arg(path("state")).arg("--runtime").arg(path("run"));
    let service = Process::start(command.stdin(Stdio::null()).stderr(fs::File::create(path("log"))?))?;
    let end = Instant::now() + PATIENCE;
    while run_command(sbc.command(sipwall).args(["status", "eth0"]), "").is_err() {
        ensure!(Instant::now() < end, "the service does not start: {}", fs::read_to_string(path("log"))?);
        thread::sleep(Duration::from_millis(100));
    }
    Ok(service)
}

/// Calls, relays and a scan, again and again.
fn traffic(lab: &Lab, done: &AtomicBool) {
    thread::scope(|threads| {
        for scene in scene::calls_and_scan() {
            threads.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    // One that fails now and then on a busy machine is in the numbers like any other.
                    let _ = scene.play(lab);
                    thread::sleep(PAUSE);
                }
            });
        }
    });
}

/// Takes pictures of pages when it is told to: it has looked at the traffic since it was started.
struct Photographer {
    process: Process,
    /// What it waits for the end of.
    waits: PipeWriter,
}

impl Photographer {
    fn start(sbc: &Host, program: &Path, directory: &Path) -> Result<Self> {
        let (end, waits) = io::pipe()?;
        let process = Process::start(sbc.command(program).arg(directory).arg(LISTENER).stdin(end))?;
        Ok(Self { process, waits })
    }

    fn take(mut self) -> Result<()> {
        drop(self.waits);
        match self.process.wait(EXPOSURE)? {
            Some(ended) => ensure!(ended.success(), "no pictures were taken ({ended})"),
            None => bail!("the pictures take more than {} s", EXPOSURE.as_secs()),
        }
        Ok(())
    }
}

/// Waits until there is something to see, and takes the pictures into the directory.
fn take(sbc: &Host, sipwall: &Path, photographer: Photographer, files: &TempDir, options: &Options) -> Result<()> {
    let top = Terminal::start(sbc, files.path(), &format!("{} top", sipwall.display()))?;
    eprintln!("calls and a scan go on for {} seconds", options.seconds);
    thread::sleep(Duration::from_secs(options.seconds));
    terminal::picture(&files.path().join("top.html"), &top.screen()?)?;
    for (name, arguments) in COMMANDS {
        let shown = run_command(sbc.command(sipwall).args(*arguments), "")?;
        let shown = format!("# sipwall {}\n{}", arguments.join(" "), terminal::last_lines(&shown));
        terminal::picture(&files.path().join(format!("{name}.html")), &shown)?;
    }
    photographer.take()
}

/// Makes the pictures small, and puts them where the documentation has them.
fn keep(directory: &Path) -> Result<()> {
    let kept = workspace::root().join("docs/pictures");
    fs::create_dir_all(&kept)?;
    for entry in fs::read_dir(directory)? {
        let from = entry?.path();
        let Some(name) = from.file_name().filter(|_| from.extension().is_some_and(|kind| kind == "png")) else {
            continue;
        };
        let to = kept.join(name);
        let mut quantize = Command::new("pngquant");
        quantize.args(["--force", "--strip", "--speed", "1", "--quality", "0-90", "--output"]).arg(&to).arg(&from);
        workspace::run(&mut quantize)?;
        let size = fs::metadata(&to).with_context(|| format!("cannot read `{}`", to.display()))?.len();
        if size > LARGEST {
            bail!("`{}` has {size} bytes, and no picture should have more than {LARGEST}", to.display());
        }
    }
    Ok(())
}

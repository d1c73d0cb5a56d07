//! The file in which the service says how it is, for `status`.
//!
//! What is enforced is in bpffs alone; here is what only a process can know. A lock that the service holds as long as it
//! lives tells whether it does, and a time whether it still gets on.

use std::{
    fs::{self, File, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    log::one_line,
    manager,
    snapshot::{InterfaceState, Snapshot, now},
};
use crate::instant;

/// Where the service says how it is, unless another place is named.
pub const DEFAULT_RUNTIME: &str = "/run/sipwall";

/// How often the file is written even if nothing changed.
const BEAT: Duration = Duration::from_secs(10);
/// How old it may be before the service is taken to hang.
const OLDEST: u64 = 60;

/// What `status` finds of the service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Whether it lives.
    pub liveness: Liveness,
    /// What it last knew of itself.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// When it said so.
    #[serde(with = "instant")]
    pub said_at: u64,
}

/// Whether the service lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    /// It does.
    Running,
    /// Its process is there, but said nothing for a minute.
    Stalled,
    /// Its process ended without taking leave.
    Dead,
}

#[derive(Deserialize, Serialize)]
struct Written {
    /// By the wall clock, for people.
    #[serde(with = "instant")]
    said_at: u64,
    /// When the controller last got on, by the time since boot, which nobody sets.
    uptime: u64,
    snapshot: Snapshot,
}

/// What the service last said in this directory, and whether it lives; nothing if none runs or it was stopped.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(runtime: &Path) -> Result<Option<Record>> {
    let path = file(runtime);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    let Written { said_at, uptime, snapshot } = serde_json::from_slice(&text)
        .with_context(|| format!("`{}` is not what this version writes", path.display()))?;
    let liveness = match is_locked(runtime) {
        false => Liveness::Dead,
        true if self::uptime().saturating_sub(uptime) > OLDEST => Liveness::Stalled,
        true => Liveness::Running,
    };
    Ok(Some(Record { liveness, snapshot, said_at }))
}

fn is_locked(runtime: &Path) -> bool {
    File::open(lock(runtime)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Seconds since boot.
fn uptime() -> u64 {
    clock_gettime(ClockId::Boottime).tv_sec.unsigned_abs()
}

fn file(runtime: &Path) -> PathBuf {
    runtime.join("service.json")
}

fn lock(runtime: &Path) -> PathBuf {
    runtime.join("service.lock")
}

/// When the controller last got on. A service whose controller hangs is stalled, even if it can still say so.
#[derive(Clone, Debug)]
pub(super) struct Beat(Arc<AtomicU64>);

impl Beat {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(uptime())))
    }

    /// It gets on.
    pub(super) fn again(&self) {
        self.0.store(uptime(), Ordering::Relaxed);
    }
}

/// The right to be the service of a runtime directory, until the process ends.
#[derive(Debug)]
pub(super) struct Claim {
    runtime: PathBuf,
    _lock: File,
}

impl Claim {
    /// Takes the right, and makes the directory.
    pub(super) fn take(runtime: &Path) -> Result<Self> {
        fs::create_dir_all(runtime).with_context(|| format!("cannot make the directory `{}`", runtime.display()))?;
        let path = lock(runtime);
        let file = File::create(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { runtime: runtime.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another `sipwall run` is at work\nhint: `sipwall status` says which process it is; `--runtime DIR` \
                 is for a second one"
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock `{}`", path.display())),
        }
    }

    fn write(&self, snapshot: &Snapshot, beat: &Beat) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.runtime)?;
        file.write_all(&serde_json::to_vec(&Written {
            said_at: now(),
            uptime: beat.0.load(Ordering::Relaxed),
            snapshot: snapshot.clone(),
        })?)?;
        file.persist(self::file(&self.runtime))?;
        Ok(())
    }
}

impl Drop for Claim {
    /// Takes leave. A process that is killed does not come here.
    fn drop(&mut self) {
        let _ = fs::remove_file(file(&self.runtime));
    }
}

/// Writes what the service knows of itself whenever it changes, and now and then; `written` has what it wrote.
pub(super) async fn keep(
    claim: Claim,
    beat: Beat,
    mut snapshot: watch::Receiver<Snapshot>,
    written: watch::Sender<Option<Snapshot>>,
) {
    loop {
        let current = snapshot.borrow_and_update().clone();
        manager::status(&line(&current));
        if let Err(error) = claim.write(&current, &beat) {
            tracing::warn!(error = format!("{error:#}"), "cannot say how the service is: `status` shows what is old");
        }
        written.send_replace(Some(current));
        if let Ok(Err(_)) = timeout(BEAT, snapshot.changed()).await {
            break;
        }
    }
}

/// Waits until the file says how the interfaces are.
pub(super) async fn said(written: &mut watch::Receiver<Option<Snapshot>>, snapshot: &watch::Sender<Snapshot>) {
    let is_said = |written: &Option<Snapshot>| {
        written.as_ref().is_some_and(|written| written.interfaces == snapshot.borrow().interfaces)
    };
    // Who writes no more has said that.
    let _ = written.wait_for(is_said).await;
}

/// Waits until the file is gone.
pub(super) async fn forget(recorder: JoinHandle<()>) {
    let _ = recorder.await;
}

/// The service in one line.
fn line(snapshot: &Snapshot) -> String {
    let states = snapshot.interfaces.values().map(|interface| interface.state);
    let in_force = states.filter(|state| *state == InterfaceState::Enforced).count();
    let mut parts =
        vec![format!("{in_force} of {} interfaces filtered by {}", snapshot.interfaces.len(), snapshot.policy)];
    parts.extend(snapshot.interfaces.iter().filter_map(|(name, interface)| {
        let title = if interface.is_open() { "NOT FILTERED" } else { interface.state.title()? };
        let why = interface.message.as_deref().map(|message| format!(" ({})", one_line(message)));
        Some(format!("{name} {title}{}", why.unwrap_or_default()))
    }));
    if snapshot.refused.is_some() {
        parts.push("THE POLICY FILE IS REFUSED, the one before stays".to_owned());
    }
    let failing = snapshot.sources.values().filter(|source| source.why.is_some()).count();
    if failing > 0 {
        parts.push(format!("{failing} sources failing"));
    }
    parts.join("; ")
}

//! The service: keeps a policy in force, follows its file, its sources and its interfaces, and says how it is.
//!
//! One task, the controller, changes things, one at a time. The others wake it or read the [`Snapshot`], which is all that
//! the service knows of itself: whoever shows it to others subscribes to it.

mod control;
mod enforce;
mod files;
mod links;
mod log;
mod manager;
mod onlooker;
mod orders;
mod privileges;
mod record;
mod refreshing;
mod shown;
mod snapshot;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::interval,
};

use self::{
    control::{Controller, Wake},
    orders::Order,
    shown::Shown,
};
pub use self::{
    log::{Limits, LogFormat, one_line, start_logging},
    orders::Desk,
    record::{DEFAULT_RUNTIME, Liveness, Record, read as read_record},
    snapshot::{
        EventsSnapshot, Failure, FleetSnapshot, InterfaceSnapshot, InterfaceState, Snapshot, SourceSnapshot, now,
    },
};
use crate::{
    kernel::{self, AttachMode},
    listener::{self, ListenError, Ready},
    policy::Refusals,
    refresh::Refresher,
};

/// How often the service looks after everything even if nothing woke it.
const TICK: Duration = Duration::from_secs(5);

/// What the service is to do.
#[derive(Debug)]
pub struct Settings {
    /// The policy file.
    pub policy: PathBuf,
    /// The interfaces; those of the policy if none is named.
    pub interfaces: Vec<String>,
    /// Which way of attaching is acceptable.
    pub mode: AttachMode,
    /// Whether the policy is put in force even if it cuts what this host is in the middle of.
    pub allow_lockout: bool,
    /// What refreshes the policy's sources.
    pub refresher: Refresher,
    /// Where the service says how it is.
    pub runtime: PathBuf,
    /// Where it shows what happens; nothing if it does not.
    pub listen: Option<listener::Settings>,
    /// Who supplies another policy than the one in the file; nobody, if nothing.
    pub supplier: Option<Arc<dyn Supply>>,
}

/// Somebody who supplies policies.
pub trait Supply: fmt::Debug + Send + Sync {
    /// The file that is in force in place of the node's own policy file; that one as long as nothing was supplied.
    ///
    /// # Errors
    /// If what was supplied cannot be used with the node's own file.
    fn policy(&self, own: &Path) -> Result<PathBuf, Refusals>;

    /// Goes on beside the service, and asks it for changes, until it ends.
    fn attend(&self, desk: Desk) -> BoxFuture<'static, ()>;
}

impl Settings {
    /// The file of the policy that is wanted now.
    ///
    /// # Errors
    /// If what was supplied cannot be used.
    pub fn policy_file(&self) -> Result<PathBuf, Refusals> {
        self.supplier.as_ref().map_or_else(|| Ok(self.policy.clone()), |supplier| supplier.policy(&self.policy))
    }
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policy is refused, and no filter is there to be kept.
    #[error("the policy is refused, and no filter is in force\n{0}")]
    Refused(Refusals),
    /// Nothing says where the policy is to be in force.
    #[error("no interface is named\nhint: name one, or set `interfaces` in the policy's `[sbc]`")]
    NoInterface,
    /// It cannot listen where it should.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

/// Runs the service until SIGTERM or SIGINT, which leave the filter in force.
///
/// # Errors
/// If it cannot start: another one runs, or the policy cannot be put in force and no interface is filtered. Once it runs, what
/// fails is said, and tried again.
pub fn run(settings: Settings, limits: &Limits) -> Result<(), StartError> {
    // Before anything is changed, and while low ports can still be had.
    let listen = settings.listen.as_ref().map(listener::Settings::ready).transpose()?;
    let claim = record::Claim::take(&settings.runtime)?;
    kernel::ensure_bpffs()?;
    // Before the first thread: capabilities are each thread's own, and a new one has those of its maker.
    privileges::keep_what_is_needed().context("cannot give up capabilities")?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.context("cannot start the service's threads")?;
    let ended = runtime.block_on(serve(settings, claim, listen, limits));
    // A request that is under way is of no use any more.
    runtime.shutdown_background();
    ended
}

async fn serve(
    settings: Settings,
    claim: record::Claim,
    listen: Option<Ready>,
    limits: &Limits,
) -> Result<(), StartError> {
    let settings = Arc::new(settings);
    let (snapshot, reader) = watch::channel(Snapshot::new(&settings.policy));
    let (waker, mut wakes) = mpsc::channel(16);
    // Before the policy is read: nothing that comes meanwhile is lost.
    let mut signals = Signals::new()?;
    let files = files::Watcher::new(waker.clone()).context("cannot watch files")?;
    links::follow(waker.clone())?;
    let beat = record::Beat::new();
    let (writing, mut written) = watch::channel(None);
    let recorder = tokio::spawn(record::keep(claim, beat.clone(), reader, writing));
    let nudge = refreshing::start(Arc::clone(&settings), snapshot.clone(), waker);
    let mut controller = Controller::new(Arc::clone(&settings), snapshot.clone(), files, nudge);
    let (desk, mut orders) = Desk::new(snapshot.clone());
    let started = controller.start().await;
    if started.is_ok() {
        // Who asks meanwhile waits, and is not told that nothing is filtered.
        let mut shown = listen.map(|ready| shown::start(ready, &settings, &snapshot)).transpose()?;
        // Who waited for that and asks for `status` is told how it is.
        record::said(&mut written, &snapshot).await;
        manager::ready();
        let attendant = settings.supplier.as_ref().map(|supplier| tokio::spawn(supplier.attend(desk)));
        follow(&mut controller, shown.as_mut(), &mut signals, (&mut wakes, &mut orders), limits, &beat).await;
        manager::stopping();
        if let Some(attendant) = attendant {
            attendant.abort();
            // What it holds of the snapshot goes with it.
            let _ = attendant.await;
        }
        tracing::info!("stopping: the filter stays in force");
        drop(shown);
    }
    // The last reader writes no more once nobody can tell it anything, and its file goes with it.
    drop((controller, snapshot));
    recorder.abort();
    record::forget(recorder).await;
    started
}

/// Does what is asked for, until the end is.
async fn follow(
    controller: &mut Controller,
    mut shown: Option<&mut Shown>,
    signals: &mut Signals,
    (wakes, orders): (&mut mpsc::Receiver<Wake>, &mut mpsc::Receiver<Order>),
    limits: &Limits,
    beat: &record::Beat,
) {
    let mut tick = interval(manager::watchdog().map_or(TICK, |limit| TICK.min(limit / 2)));
    loop {
        let wake = tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break,
                Wish::Reload => Wake::Reload,
            },
            Some(wake) = wakes.recv() => wake,
            Some(order) = orders.recv() => {
                controller.carry_out(order).await;
                continue;
            }
            _ = tick.tick() => Wake::Tick,
        };
        if let Some(shown) = &mut shown {
            shown.renew(wake == Wake::Reload);
        }
        controller.handle(wake).await;
        limits.report();
        beat.again();
        manager::alive();
    }
}

/// What a signal asks for.
enum Wish {
    End,
    Reload,
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.interrupt.recv() => Wish::End,
            _ = self.terminate.recv() => Wish::End,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

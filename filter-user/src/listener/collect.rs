//! Taking a snapshot every second, on a thread of its own.

use std::{
    collections::HashMap,
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use filter_common::{
    RULE_COUNTERS,
    tables::{DENY_PREFIXES, PREFIXES},
};
use tokio::sync::watch;

use super::{
    history::History,
    slow::{self, Slow},
    snapshot::{Fill, InterfaceSnapshot, Snapshot, Unreadable},
};
use crate::{
    kernel::{self, Status},
    refresh::Store,
    telemetry::{Refused, SAMPLES_WAIT},
};

/// How often a snapshot is taken.
const EVERY: Duration = Duration::from_secs(1);

/// What is watched, besides the filters that are attached.
pub struct Watched {
    /// The policy file that should be in force.
    pub policy: Option<PathBuf>,
    /// Where what was accepted of its sources is kept.
    pub store: Store,
    /// What others know.
    pub contributors: Vec<Box<dyn Contribute>>,
}

/// Somebody who knows what the kernel does not: the service, who reads the samples.
pub trait Contribute: Send {
    /// Looks at what does not wait for the next snapshot.
    fn watch(&mut self) {}

    /// Fills in what it knows. It must not wait for anything.
    fn contribute(&mut self, snapshot: &mut Snapshot);
}

/// A thread that takes snapshots until this is dropped.
pub struct Collection {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    // The thread ends when nobody can send it anything any more.
    _stop: mpsc::Sender<()>,
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").finish_non_exhaustive()
    }
}

impl Collection {
    /// Where the newest snapshot is.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}

/// Takes a snapshot now, and then one every second.
///
/// # Errors
/// If the threads cannot be started.
pub fn collect(watched: Watched) -> io::Result<Collection> {
    let slow = Arc::new(Mutex::new(Slow::default()));
    let (stop_slow, slow_stopped) = mpsc::channel();
    let (policy, store, found) = (watched.policy.clone(), watched.store.clone(), Arc::clone(&slow));
    spawn("collector-slow", move || slow::watch(&found, policy.as_deref(), &store, &slow_stopped))?;
    let mut collector = Collector { slow, histories: HashMap::new(), watched };
    let (sender, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let (stop, stopped) = mpsc::channel::<()>();
    let (taken, first) = mpsc::channel();
    spawn("collector", move || {
        // It ends with this thread.
        let _stop_slow: mpsc::Sender<()> = stop_slow;
        loop {
            sender.send_replace(Arc::new(collector.take()));
            // Only the first time does somebody wait for it.
            let _ = taken.send(());
            let due = Instant::now() + EVERY;
            while Instant::now() < due {
                let wait = due.saturating_duration_since(Instant::now()).min(SAMPLES_WAIT);
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                collector.watched.contributors.iter_mut().for_each(|contributor| contributor.watch());
            }
        }
    })?;
    // Nobody is shown a snapshot of nothing. It is taken on that thread, as netlink is not asked where a runtime is.
    let _ = first.recv();
    Ok(Collection { snapshots, _stop: stop })
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

struct Collector {
    watched: Watched,
    slow: Arc<Mutex<Slow>>,
    histories: HashMap<String, History>,
}

impl Collector {
    fn take(&mut self) -> Snapshot {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut snapshot =
            Snapshot { taken_at: milliseconds_since_epoch(), sources: slow.sources(), ..Snapshot::default() };
        let names = kernel::attached_interfaces().unwrap_or_else(|error| {
            snapshot.service.errors.push(format!("{error:#}"));
            Vec::new()
        });
        self.histories.retain(|name, _| names.contains(name));
        for name in names {
            match self.interface(&name, &slow) {
                Ok(interface) => snapshot.interfaces.push(interface),
                Err(why) => snapshot.unreadable.push(unreadable(name, &why)),
            }
        }
        for contributor in &mut self.watched.contributors {
            contributor.contribute(&mut snapshot);
        }
        snapshot
    }

    fn interface(&mut self, name: &str, slow: &Slow) -> anyhow::Result<InterfaceSnapshot> {
        let (status, stats) = (kernel::status(name)?, kernel::stats(name)?);
        let now = Instant::now();
        let history = self.histories.entry(name.to_owned()).or_default();
        history.record(&stats, now);
        let samples = history.samples(&stats);
        let slow = slow.interfaces.get(name).copied().unwrap_or_default();
        Ok(InterfaceSnapshot {
            rules: history.rules(&stats.rules, now),
            traffic: history.traffic(),
            fill: fill(&status, stats.rules.len(), slow.denied),
            reasons: history.reasons(&stats.reasons),
            status,
            drift: slow.drift,
            samples: Some(samples),
            refused: Refused::default(),
            knocking: None,
            drops: None,
        })
    }
}

fn unreadable(interface: String, why: &anyhow::Error) -> Unreadable {
    // What follows the first line is a hint.
    let why = format!("{why:#}").lines().next().unwrap_or_default().to_owned();
    Unreadable { interface, why }
}

fn fill(status: &Status, rule_counters: usize, denied: Option<[u64; 2]>) -> Vec<Fill> {
    let counters = u64::try_from(rule_counters).unwrap_or(u64::MAX);
    let mut fill = vec![
        Fill { map: "sources_v4", entries: status.prefixes_v4.into(), capacity: PREFIXES.into() },
        Fill { map: "sources_v6", entries: status.prefixes_v6.into(), capacity: PREFIXES.into() },
        Fill { map: "rule_counters", entries: counters, capacity: RULE_COUNTERS.into() },
    ];
    if let Some([v4, v6]) = denied {
        fill.push(Fill { map: "deny_v4", entries: v4, capacity: DENY_PREFIXES.into() });
        fill.push(Fill { map: "deny_v6", entries: v6, capacity: DENY_PREFIXES.into() });
    }
    fill
}

fn milliseconds_since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

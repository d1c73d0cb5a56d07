//! `--watch`: each source when it is due, until a signal.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use filter_user::{
    policy::file::PolicyFile,
    refresh::{Asking, Moment, Outcome, Refresher, Schedule, Step},
};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

use super::{Refresh, round};

/// How often at the most names are asked and graces ended between two documents, and a broken policy read again.
const SHORTEST_REST: Duration = Duration::from_secs(30);

/// Refreshes again and again; ends with success on SIGINT and SIGTERM.
pub(super) fn run(command: &Refresh, refresher: Refresher) -> Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the timer")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut watch = Watch { command, refresher: Arc::new(refresher), turns: BTreeMap::new() };
        while let Some(pause) = watch.round(&mut signals).await? {
            tokio::select! {
                () = signals.any() => break,
                () = sleep(pause) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    // A request that is under way is of no use any more.
    runtime.shutdown_background();
    ended
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// When a provider's source is asked next.
struct Turn {
    schedule: Schedule,
    at: Instant,
}

struct Watch<'a> {
    command: &'a Refresh,
    refresher: Arc<Refresher>,
    turns: BTreeMap<String, Turn>,
}

impl Watch<'_> {
    /// Asks those whose turn it is, and returns the pause until the next turn; nothing if a signal came in between.
    ///
    /// The policy file is read anew each time; while it is refused, what is in force stays.
    async fn round(&mut self, signals: &mut Signals) -> Result<Option<Duration>> {
        let file = match PolicyFile::read(&self.command.policy) {
            Ok(file) => file,
            Err(refusals) => {
                eprintln!("error: the policy is refused, what is in force stays\n{refusals}");
                return Ok(Some(SHORTEST_REST));
            }
        };
        let lock = match self.refresher.store.lock() {
            Ok(lock) => lock,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(Some(SHORTEST_REST));
            }
        };
        let now = Moment::now().context("cannot tell the time")?;
        let asked = tokio::select! {
            () = signals.any() => return Ok(None),
            steps = self.ask(&file, &now) => steps?,
        };
        if let Err(error) = round::settle(self.command, &self.refresher, file, &asked) {
            eprintln!("error: {error:#}");
        }
        drop(lock);
        Ok(Some(self.plan(&asked, &now)))
    }

    /// Asks on a thread of its own, so that a signal need not wait for a server.
    async fn ask(&self, file: &PolicyFile, now: &Moment) -> Result<Vec<Step>> {
        let (refresher, file, now) = (Arc::clone(&self.refresher), file.clone(), now.clone());
        let (folder, asking) = (self.command.folder().to_owned(), self.asking(&file));
        let asked = spawn_blocking(move || refresher.refresh(&file, &folder, &now, &asking));
        asked.await.context("the refresh broke off")
    }

    fn asking(&self, file: &PolicyFile) -> Asking {
        if self.turns.is_empty() {
            return Asking::Due;
        }
        let now = Instant::now();
        let names = file.providers.iter().map(|provider| &provider.name.value);
        let due = names.filter(|name| self.turns.get(*name).is_none_or(|turn| turn.at <= now));
        Asking::Only(due.cloned().collect::<BTreeSet<_>>())
    }

    /// Plans the next turn of each provider, and returns the pause until the first.
    fn plan(&mut self, steps: &[Step], now: &Moment) -> Duration {
        let present: BTreeSet<_> = steps.iter().map(|step| &step.report.provider).collect();
        self.turns.retain(|provider, _| present.contains(provider));
        for step in steps {
            self.plan_turn(step, now);
        }
        let turns = self.turns.values().map(|turn| turn.at.saturating_duration_since(Instant::now()));
        let rests = steps.iter().filter_map(|step| step.rests_for(now)).map(|rest| rest.max(SHORTEST_REST));
        turns.chain(rests).min().unwrap_or(SHORTEST_REST)
    }

    fn plan_turn(&mut self, step: &Step, now: &Moment) {
        let known = self.turns.get(&step.report.provider).map(|turn| turn.schedule);
        let mut schedule = known.unwrap_or_default();
        let pause = match step.report.outcome {
            Outcome::NotDue if known.is_some() => return,
            Outcome::NotDue => step.holds_for(now),
            outcome => schedule.pause(outcome == Outcome::Failed, step.refresh, fastrand::f64()),
        };
        self.turns.insert(step.report.provider.clone(), Turn { schedule, at: Instant::now() + pause });
    }
}

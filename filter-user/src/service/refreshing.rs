//! Sources, each asked when it is due; what is accepted wakes the controller.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::spawn_blocking,
    time::timeout,
};

use super::{
    Settings,
    control::Wake,
    log::one_line,
    snapshot::{Failure, Snapshot, SourceSnapshot, now},
};
use crate::{
    policy::file::PolicyFile,
    refresh::{Moment, Outcome, Report, Settled, Step, Turns},
};

/// Starts to refresh; what is returned lets it look at the policy file and at sources that are files at once.
pub(super) fn start(
    settings: Arc<Settings>,
    snapshot: watch::Sender<Snapshot>,
    waker: mpsc::Sender<Wake>,
) -> Arc<Notify> {
    let nudge = Arc::new(Notify::new());
    let mut refreshing = Refreshing { settings, snapshot, waker, turns: Turns::default(), ask_files: false };
    let nudged = Arc::clone(&nudge);
    tokio::spawn(async move {
        loop {
            let pause = match refreshing.round().await {
                Ok(pause) => refreshing.went(None, pause),
                Err(error) => refreshing.went(Some(format!("{error:#}")), Turns::SHORTEST_REST),
            };
            // Whether it was nudged or its time came: files are asked when they may have changed.
            let was_nudged = timeout(pause, nudged.notified()).await.is_ok();
            refreshing.ask_files = was_nudged;
        }
    });
    nudge
}

struct Refreshing {
    settings: Arc<Settings>,
    snapshot: watch::Sender<Snapshot>,
    waker: mpsc::Sender<Wake>,
    turns: Turns,
    ask_files: bool,
}

impl Refreshing {
    /// Asks those whose turn it is, and returns the pause until the next turn.
    async fn round(&mut self) -> Result<Duration> {
        let settings = Arc::clone(&self.settings);
        // The controller says what is wrong with it.
        let Ok(file) = spawn_blocking(move || PolicyFile::read(&settings.policy_file()?)).await? else {
            return Ok(Turns::SHORTEST_REST);
        };
        if file.providers.iter().all(|provider| provider.source.is_none()) {
            self.snapshot.send_if_modified(|snapshot| !std::mem::take(&mut snapshot.sources).is_empty());
            return Ok(Turns::SHORTEST_REST);
        }
        if self.ask_files {
            self.turns.ask_files(&file);
        }
        let now = Moment::now().context("cannot tell the time")?;
        let steps = self.ask(file, now.clone()).await?;
        let pause = self.turns.plan(&steps, &now);
        self.note(&steps);
        if steps.iter().any(Step::changes_policy) {
            // The controller takes it from where it is kept.
            let _ = self.waker.send(Wake::Accepted).await;
        }
        Ok(pause)
    }

    /// Asks, and keeps what is accepted.
    async fn ask(&self, file: PolicyFile, now: Moment) -> Result<Vec<Step>> {
        let (settings, asking) = (Arc::clone(&self.settings), self.turns.asking(&file));
        let asked = spawn_blocking(move || {
            let refresher = &settings.refresher;
            let _lock = refresher.store.lock()?;
            let steps = refresher.refresh(&file, file.folder(), &now, &asking);
            for step in &steps {
                say(step);
            }
            if let Settled::Refused(refusals) = refresher.settle(file, &steps)? {
                let why = one_line(&refusals.to_string());
                tracing::error!(why, "what the sources state now is not kept: the policy would be refused with it");
            }
            Ok(steps)
        });
        asked.await.context("the refresh broke off")?
    }

    fn note(&self, steps: &[Step]) {
        self.snapshot.send_modify(|snapshot| {
            let mut before = std::mem::take(&mut snapshot.sources);
            let sources = steps.iter().map(|step| {
                let provider = step.report.provider.clone();
                let next_at = now() + self.turns.time_until(&provider).unwrap_or_default().as_secs();
                let source = describe(step, before.remove(&provider), next_at);
                (provider, source)
            });
            snapshot.sources = sources.collect::<BTreeMap<_, _>>();
        });
    }

    /// Notes whether sources are refreshed at all, and says so when that changes.
    fn went(&self, failure: Option<String>, pause: Duration) -> Duration {
        self.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.refresh_failure.take();
            snapshot.refresh_failure = failure.map(|message| Failure::continuing(before.as_ref(), message));
            match &snapshot.refresh_failure {
                Some(failure) if before.as_ref() != Some(failure) => {
                    tracing::error!(why = one_line(&failure.message), "sources are not refreshed");
                }
                _ => {}
            }
            before != snapshot.refresh_failure
        });
        pause
    }
}

fn describe(step: &Step, before: Option<SourceSnapshot>, next_at: u64) -> SourceSnapshot {
    let Report { source, outcome, why, .. } = &step.report;
    let failed = matches!(outcome, Outcome::Refused | Outcome::Failed);
    let known = before.filter(|before| before.source == *source);
    // What is not due says nothing new of how it went last.
    let last = known.as_ref().filter(|_| *outcome == Outcome::NotDue);
    SourceSnapshot {
        source: source.clone(),
        outcome: last.map_or(*outcome, |last| last.outcome),
        why: last.map_or(why.as_ref(), |last| last.why.as_ref()).map(|why| one_line(why)),
        good_at: step.after.as_ref().map(|after| after.checked.wall),
        next_at,
        failures: known.map_or(0, |known| known.failures) + u64::from(failed),
    }
}

/// One line for a source that was asked.
fn say(step: &Step) {
    let Report { provider, source, outcome, due_in_seconds: _, why, notes, added, removed, departing } = &step.report;
    for note in notes {
        tracing::warn!(provider, note = one_line(note), "a source needs a look");
    }
    let why = why.as_deref().map(one_line).unwrap_or_default();
    let is_known = step.after.is_some();
    match outcome {
        Outcome::Refused => {
            tracing::error!(provider, source, why, is_known, "a document is refused, the last accepted one stays");
        }
        Outcome::Failed => {
            tracing::warn!(provider, source, why, is_known, "a source could not be had, the last accepted one stays");
        }
        Outcome::Updated => {
            let (added, removed, in_grace) = (added.len(), removed.len(), departing.len());
            tracing::info!(
                provider,
                source,
                added,
                removed,
                in_grace,
                "a source states something else, which is accepted"
            );
        }
        Outcome::NotDue | Outcome::Unchanged => {
            if !removed.is_empty() || !added.is_empty() {
                tracing::info!(provider, added = added.len(), removed = removed.len(), "names or graces changed");
            }
        }
    }
}

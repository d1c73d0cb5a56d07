//! The controller: the one task that changes what is in force.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
};

use super::{
    Settings, StartError,
    enforce::{Insistence, Outcome, Wanted},
    files::Watcher,
    log::one_line,
    manager,
    onlooker::Onlooker,
    snapshot::{Failure, InterfaceSnapshot, InterfaceState, Snapshot, now},
};
use crate::{
    kernel::{self, Confirmation},
    policy::{Code, Refusals, file::PolicyFile},
    refresh,
};

/// How often the counters are looked at: a note of them is kept every few minutes.
const NOTE_EVERY: Duration = Duration::from_secs(30);

/// What the controller is woken by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wake {
    /// The operator wants the policy file to be read.
    Reload,
    /// Something happened where the policy's files are.
    Files,
    /// A network interface changed.
    Links,
    /// A source's document was accepted.
    Accepted,
    /// Time passed.
    Tick,
}

/// Changes what is in force, one thing at a time.
pub(super) struct Controller {
    pub(super) settings: Arc<Settings>,
    snapshot: watch::Sender<Snapshot>,
    files: Watcher,
    /// Lets the sources be looked at.
    nudge: Arc<Notify>,
    /// The policy that was last read and could be used.
    pub(super) wanted: Option<Arc<Wanted>>,
    /// The policy that somebody asked to try.
    pub(super) tried: Option<Arc<Wanted>>,
    /// Where the policy was in force once since the start.
    begun: BTreeSet<String>,
    /// Where it was asked for while another one was on trial.
    owed: BTreeSet<String>,
    noted: Option<Instant>,
    onlooker: Onlooker,
}

impl Controller {
    pub(super) fn new(
        settings: Arc<Settings>,
        snapshot: watch::Sender<Snapshot>,
        files: Watcher,
        nudge: Arc<Notify>,
    ) -> Self {
        Self {
            settings,
            snapshot,
            files,
            nudge,
            wanted: None,
            tried: None,
            begun: BTreeSet::new(),
            owed: BTreeSet::new(),
            noted: None,
            onlooker: Onlooker::default(),
        }
    }

    /// Puts the policy in force for the first time.
    ///
    /// # Errors
    /// If that cannot be done, and no filter is there that goes on instead.
    pub(super) async fn start(&mut self) -> Result<(), StartError> {
        tracing::info!(policy = %self.settings.policy.display(), version = env!("CARGO_PKG_VERSION"), "starting");
        let attached = spawn_blocking(kernel::attached_interfaces).await.context("bpffs cannot be looked at")??;
        let must_succeed = attached.is_empty();
        match self.load().await? {
            Err(refusals) if must_succeed && !lacks_only_documents(&refusals) => {
                return Err(StartError::Refused(refusals));
            }
            Err(_) => return Ok(()),
            Ok(()) => {}
        }
        if self.wanted.as_ref().is_some_and(|wanted| wanted.interfaces.is_empty()) {
            return Err(StartError::Failed(anyhow::anyhow!(
                "no interface is named\nhint: name one, or set `interfaces` in the policy's `[sbc]`"
            )));
        }
        let failure = self.enforce(Insistence::Hold).await;
        match failure {
            Some(failure) if must_succeed => Err(StartError::Failed(anyhow::anyhow!(failure))),
            _ => Ok(()),
        }
    }

    /// Does what one is woken for. What fails is said, and tried again at the next occasion.
    pub(super) async fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Reload => self.reload("SIGHUP").await,
            // A file system that tells nothing of its changes is looked at all the same.
            Wake::Files | Wake::Tick if self.files.has_changed() => self.reload("a file changed").await,
            Wake::Files => {}
            Wake::Accepted => {
                if let Ok(Ok(())) = self.load().await {
                    self.enforce(Insistence::Hold).await;
                    self.owe();
                }
            }
            Wake::Links => self.look_at_interfaces().await,
            Wake::Tick => {
                self.look_at_interfaces().await;
                self.take_snapshots().await;
            }
        }
    }

    async fn reload(&mut self, cause: &'static str) {
        manager::reloading();
        tracing::info!(cause, "reading the policy");
        self.nudge.notify_one();
        match self.load().await {
            Ok(Ok(())) => {
                self.enforce(Insistence::Replace).await;
                self.owe();
            }
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(error = one_line(&format!("{error:#}")), "the policy cannot be read"),
        }
        manager::ready();
    }

    /// Reads the policy; if it is refused, the one before stays the one that is wanted.
    pub(super) async fn load(&mut self) -> Result<Result<(), Refusals>> {
        let settings = Arc::clone(&self.settings);
        let loaded = spawn_blocking(move || load(&settings)).await.context("reading the policy broke off")?;
        match loaded {
            Ok((wanted, files)) => {
                self.files.watch(files);
                self.wanted = Some(Arc::new(wanted));
                self.snapshot.send_modify(|snapshot| {
                    snapshot.loaded_at = Some(now());
                    snapshot.refused = None;
                });
                Ok(Ok(()))
            }
            Err(refusals) => {
                if self.wanted.is_none() {
                    self.files.watch(vec![self.settings.policy.clone()]);
                }
                let why = one_line(&refusals.to_string());
                tracing::error!(why, "the policy is refused, what is in force stays");
                self.snapshot.send_modify(|snapshot| {
                    snapshot.refused = Some(Failure::continuing(snapshot.refused.as_ref(), refusals.to_string()));
                });
                Ok(Err(refusals))
            }
        }
    }

    /// Puts the wanted policy in force on every interface; returns the first failure.
    pub(super) async fn enforce(&mut self, insistence: Insistence) -> Option<String> {
        let wanted = Arc::clone(self.wanted.as_ref()?);
        let mut first_failure = None;
        for interface in &wanted.interfaces {
            let failure = self.enforce_on(&wanted, interface, insistence).await;
            first_failure = first_failure.or(failure);
        }
        self.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.interfaces.len();
            snapshot.interfaces.retain(|interface, _| {
                let is_wanted = wanted.interfaces.contains(interface);
                if !is_wanted {
                    tracing::warn!(interface, "no longer named: its filter stays as it is until `sipwall detach`");
                }
                is_wanted
            });
            before != snapshot.interfaces.len()
        });
        first_failure
    }

    /// The guard looks at what begins by itself, and not at what an operator asks for while the service runs.
    async fn enforce_on(&mut self, wanted: &Arc<Wanted>, interface: &str, insistence: Insistence) -> Option<String> {
        let guard =
            !self.settings.allow_lockout && insistence != Insistence::Replace && !self.begun.contains(interface);
        let (task, name) = (Arc::clone(wanted), interface.to_owned());
        let enforced = spawn_blocking(move || {
            let before = kernel::status(&name).ok();
            let outcome = task.enforce(&name, insistence, guard);
            (before, outcome, kernel::status(&name).ok())
        });
        let outcome = match enforced.await.context("putting the policy in force broke off") {
            Ok((before, outcome, after)) => {
                if let Some(status) = before {
                    self.onlooker.look(&status);
                }
                if let Some(status) = after {
                    self.onlooker.note(&status);
                }
                outcome
            }
            Err(error) => Err(error),
        };
        let (outcome, failure) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                let message = format!("{error:#}");
                (Outcome { state: InterfaceState::Failed, message: Some(message.clone()) }, Some(message))
            }
        };
        if outcome.state == InterfaceState::Enforced {
            self.begun.insert(interface.to_owned());
            self.owed.remove(interface);
        }
        self.note(interface, outcome);
        failure
    }

    /// Notes how an interface is, and says so if that is news.
    pub(super) fn note(&self, interface: &str, Outcome { state, message }: Outcome) {
        self.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.interfaces.get(interface);
            let since = before.filter(|before| before.state == state).map_or_else(now, |before| before.since);
            let after = InterfaceSnapshot { state, since, message };
            if before == Some(&after) {
                return false;
            }
            if before.is_none_or(|before| before.state != state) {
                say(interface, &after);
            }
            snapshot.interfaces.insert(interface.to_owned(), after);
            true
        });
    }

    /// Notes where what was asked for has to wait for the end of a trial.
    fn owe(&mut self) {
        let snapshot = self.snapshot.borrow();
        let held = snapshot.interfaces.iter().filter(|(_, interface)| interface.state == InterfaceState::Held);
        self.owed.extend(held.map(|(name, _)| name.clone()));
    }

    /// Attaches where an interface came back, and puts in force what had to wait.
    async fn look_at_interfaces(&mut self) {
        let Some(wanted) = self.wanted.as_ref().map(Arc::clone) else { return };
        for interface in &wanted.interfaces {
            let name = interface.clone();
            let state = self.snapshot.borrow().interfaces.get(interface).map(|interface| interface.state);
            let status = spawn_blocking(move || kernel::status(&name).ok()).await.ok().flatten();
            if let Some(status) = &status {
                self.onlooker.look(status);
            }
            let enforced = status.as_ref().is_some_and(|status| status.running);
            if status.is_some_and(|status| matches!(status.confirmation, Confirmation::RolledBack { .. })) {
                // It may be the very policy that locked somebody out: it is asked for anew, or not put in force.
                self.owed.remove(interface);
            }
            if !(enforced && state == Some(InterfaceState::Enforced)) {
                // What somebody tries out is not taken away behind his back.
                let held = state == Some(InterfaceState::Held) && !self.owed.contains(interface);
                let insistence = if held { Insistence::Look } else { Insistence::Hold };
                self.enforce_on(&wanted, interface, insistence).await;
            }
        }
    }

    /// Takes note of what the rules have passed, which `diff` tells later.
    async fn take_snapshots(&mut self) {
        if self.noted.is_some_and(|noted| noted.elapsed() < NOTE_EVERY) {
            return;
        }
        self.noted = Some(Instant::now());
        let Some(wanted) = self.wanted.as_ref().map(Arc::clone) else { return };
        let taken = spawn_blocking(move || {
            for interface in wanted.interfaces.iter().filter(|interface| is_filtered(interface)) {
                if let Err(error) = kernel::take_snapshot(interface) {
                    let error = one_line(&format!("{error:#}"));
                    tracing::warn!(interface = interface.as_str(), error, "no note is taken of the counters");
                }
            }
        });
        // What broke off is taken at the next tick.
        let _ = taken.await;
    }
}

/// Reads and compiles the policy, with what was last accepted of its sources; also says which files it is made from.
fn load(settings: &Settings) -> Result<(Wanted, Vec<PathBuf>), Refusals> {
    let path = settings.policy_file()?;
    let (wanted, mut files) = load_file(settings, &path)?;
    if path != settings.policy {
        files.push(settings.policy.clone());
    }
    Ok((wanted, files))
}

/// The same of the policy in a file.
pub(super) fn load_file(settings: &Settings, path: &Path) -> Result<(Wanted, Vec<PathBuf>), Refusals> {
    let policy = refresh::load(path, &settings.refresher.store)?;
    let compiled = policy.compile()?;
    let file: &PolicyFile = policy.file();
    let interfaces =
        if settings.interfaces.is_empty() { file.sbc.interfaces.clone() } else { settings.interfaces.clone() };
    let files = file.files();
    let name = file.title();
    Ok((Wanted { policy: compiled, stated: policy, name, interfaces, mode: settings.mode }, files))
}

/// Whether the interface runs the filter.
fn is_filtered(interface: &str) -> bool {
    kernel::status(interface).is_ok_and(|status| status.running)
}

fn lacks_only_documents(refusals: &Refusals) -> bool {
    refusals.iter().all(|refusal| refusal.code == Code::NotFetched)
}

/// One line for an interface whose state is another one.
fn say(interface: &str, InterfaceSnapshot { state, message, .. }: &InterfaceSnapshot) {
    let why = message.as_deref().map(one_line).unwrap_or_default();
    match state {
        InterfaceState::Enforced => tracing::info!(interface, "the policy is in force"),
        InterfaceState::Held => tracing::warn!(interface, why, "the policy waits"),
        InterfaceState::Guarded => tracing::error!(interface, why, "the policy waits, what was in force stays"),
        InterfaceState::Absent => tracing::warn!(interface, "there is no such interface: it is filtered when it comes"),
        InterfaceState::Failed => tracing::error!(interface, why, "the policy could not be put in force"),
    }
}

//! The controller: the one task that changes what is in force.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
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
    kernel::{self, Confirmation, Status},
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

/// Why the policy is read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The operator asked for it.
    Signal,
    /// One of its files changed.
    File,
}

impl Cause {
    const fn name(self) -> &'static str {
        match self {
            Self::Signal => "SIGHUP",
            Self::File => "a file changed",
        }
    }
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
            noted: None,
            onlooker: Onlooker::default(),
        }
    }

    /// Puts the policy in force for the first time.
    ///
    /// # Errors
    /// If that cannot be done, and no interface is filtered.
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
            return Err(StartError::NoInterface);
        }
        let failure = self.enforce(Insistence::Hold).await;
        let filtered = self.snapshot.borrow().interfaces.values().any(|interface| interface.filtered);
        match failure {
            Some(failure) if !filtered => Err(StartError::Failed(anyhow::anyhow!(failure))),
            _ => Ok(()),
        }
    }

    /// Does what one is woken for. What fails is said, and tried again at the next occasion.
    pub(super) async fn handle(&mut self, wake: Wake) {
        match wake {
            Wake::Reload => self.reload(Cause::Signal).await,
            // A file system that tells nothing of its changes is looked at all the same.
            Wake::Files | Wake::Links | Wake::Tick if self.files.has_changed() => self.reload(Cause::File).await,
            Wake::Files => {}
            Wake::Accepted => self.catch_up().await,
            Wake::Links => self.look_at_interfaces().await,
            Wake::Tick => {
                self.look_at_interfaces().await;
                self.take_snapshots().await;
            }
        }
    }

    async fn reload(&mut self, cause: Cause) {
        manager::reloading();
        tracing::info!(cause = cause.name(), "reading the policy");
        self.nudge.notify_one();
        match self.load().await {
            Ok(Ok(())) => {
                if cause == Cause::Signal {
                    self.insist().await;
                }
                if self.enforce(Insistence::Replace).await.is_none() {
                    tracing::info!("reloaded");
                }
            }
            Ok(Err(_)) => {}
            Err(error) => tracing::error!(error = one_line(&format!("{error:#}")), "the policy cannot be read"),
        }
        manager::ready();
    }

    /// Ends what somebody did by hand.
    async fn insist(&self) {
        let Some(wanted) = self.wanted.as_ref().map(Arc::clone) else { return };
        let insisted = spawn_blocking(move || {
            for interface in &wanted.interfaces {
                if let Err(error) = kernel::insist(interface) {
                    let error = one_line(&format!("{error:#}"));
                    tracing::error!(interface = interface.as_str(), error, "what was done by hand stays");
                }
            }
        });
        // What broke off can be asked for again.
        let _ = insisted.await;
    }

    /// Puts in force what the policy comes to by now.
    async fn catch_up(&mut self) {
        if let Ok(Ok(())) = self.load().await {
            self.enforce(Insistence::Hold).await;
        }
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
        let (outcome, status) = match enforced.await.context("putting the policy in force broke off") {
            Ok((before, outcome, after)) => {
                if let Some(status) = before {
                    self.onlooker.look(&status);
                }
                let done = matches!(&outcome, Ok(outcome) if outcome.state == InterfaceState::Enforced);
                match &after {
                    Some(status) if done => self.onlooker.note(status),
                    Some(status) => self.onlooker.look(status),
                    None => {}
                }
                (outcome, after)
            }
            Err(error) => (Err(error), None),
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
        }
        self.note(interface, outcome, status.as_ref());
        failure
    }

    /// Notes how an interface is, and says so if that is news.
    pub(super) fn note(&self, interface: &str, Outcome { state, message }: Outcome, status: Option<&Status>) {
        self.snapshot.send_if_modified(|snapshot| {
            let before = snapshot.interfaces.get(interface);
            let since = before.filter(|before| before.state == state).map_or_else(now, |before| before.since);
            let filtered = status.is_some_and(|status| status.running);
            let generation = status.map(|status| status.generation);
            let after = InterfaceSnapshot { state, since, filtered, generation, message };
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

    /// Attaches where an interface came back, and looks at what others did.
    async fn look_at_interfaces(&mut self) {
        let Some(wanted) = self.wanted.as_ref().map(Arc::clone) else { return };
        let mut unsettled = Vec::new();
        for interface in &wanted.interfaces {
            let name = interface.clone();
            let status = spawn_blocking(move || kernel::status(&name).ok()).await.ok().flatten();
            if let Some(status) = &status {
                self.onlooker.look(status);
            }
            let known = self.snapshot.borrow().interfaces.get(interface).cloned();
            let generation = status.as_ref().map(|status| status.generation);
            if known.as_ref().is_some_and(|known| known.generation.is_some() && known.generation != generation) {
                // Somebody may have put in force what the policy comes to by now.
                return self.catch_up().await;
            }
            if !known.zip(status).is_some_and(|(known, status)| is_settled(&known, &status)) {
                unsettled.push(interface);
            }
        }
        for interface in unsettled {
            self.enforce_on(&wanted, interface, Insistence::Hold).await;
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

/// Whether there is nothing to do on an interface of which this is known, and this runs.
fn is_settled(known: &InterfaceSnapshot, status: &Status) -> bool {
    matches!(known.state, InterfaceState::Enforced | InterfaceState::ByHand)
        && status.running
        && status.confirmation == Confirmation::Confirmed
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
    // Of what it comes to, not of its text: that may be written in another way, and sources change without it.
    let fingerprint = Sha256::digest(format!("{:?}", compiled.outline())).into();
    Ok((Wanted { policy: compiled, stated: policy, name, interfaces, mode: settings.mode, fingerprint }, files))
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
        InterfaceState::ByHand => tracing::warn!(interface, why, "another policy is in force by hand, and stays"),
        InterfaceState::Detached => tracing::warn!(interface, why, "not filtered"),
        InterfaceState::Absent => {
            tracing::warn!(interface, why, "there is no such interface: it is filtered when it comes");
        }
        InterfaceState::Failed => tracing::error!(interface, why, "the policy could not be put in force"),
    }
}

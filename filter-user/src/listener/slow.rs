//! What costs too much to look at every second: the deny list's length, the policy file, the sources' states.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::snapshot::SourceSnapshot;
use crate::{
    kernel,
    policy::{CompiledPolicy, Policy},
    refresh::{self, Moment, Place, Store},
};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(30);
/// How long a policy that was just written may wait to be put in force.
const SETTLES: Duration = Duration::from_secs(2);
/// How many times as long as a look the pause after it is at least.
const PAUSES: u32 = 50;

/// What was found when it was last looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Slow {
    looked_at: Option<Instant>,
    /// By interface.
    pub(super) interfaces: BTreeMap<String, SlowInterface>,
    sources: Vec<SourceSnapshot>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlowInterface {
    /// How many entries the deny list has, IPv4 and IPv6.
    pub(super) denied: Option<[u64; 2]>,
    /// Whether the policy file says something else than what runs.
    pub(super) drift: Option<bool>,
}

impl Slow {
    /// The sources, as old as they are now.
    pub(super) fn sources(&self) -> Vec<SourceSnapshot> {
        let since = self.looked_at.map_or(0, |then| then.elapsed().as_secs());
        let now = |source: &SourceSnapshot| SourceSnapshot { age: source.age.map(|age| age + since), ..source.clone() };
        self.sources.iter().map(now).collect()
    }
}

/// Looks again and again, until nobody can say any more that it should end.
pub(super) fn watch(slow: &Mutex<Slow>, policy: Option<&Path>, store: &Store, stopped: &Receiver<()>) {
    loop {
        let start = Instant::now();
        let found = look(policy, store);
        *slow.lock().unwrap_or_else(PoisonError::into_inner) = found;
        if stopped.recv_timeout(EVERY.max(start.elapsed() * PAUSES)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

fn look(path: Option<&Path>, store: &Store) -> Slow {
    let mut slow = Slow { looked_at: Some(Instant::now()), ..Slow::default() };
    // Of a policy that is refused nothing is known here: the service says so.
    let loaded = path.and_then(|path| load(path, store));
    if let Some((policy, _)) = &loaded {
        slow.sources = sources(policy, store);
    }
    let compiled = loaded.map(|(_, compiled)| compiled);
    for interface in kernel::attached_interfaces().unwrap_or_default() {
        let found = look_at(&interface, compiled.as_ref());
        slow.interfaces.insert(interface, found);
    }
    slow
}

fn load(path: &Path, store: &Store) -> Option<(Policy, CompiledPolicy)> {
    let policy = refresh::load(path, store).ok()?;
    let compiled = policy.compile().ok()?;
    Some((policy, compiled))
}

fn look_at(interface: &str, policy: Option<&CompiledPolicy>) -> SlowInterface {
    let denied = kernel::deny_entries(interface).ok();
    SlowInterface { denied, drift: policy.and_then(|policy| drift(interface, policy)) }
}

/// Whether the policy is another one than what runs, and stays so for a moment: a service may be about to apply it.
fn drift(interface: &str, policy: &CompiledPolicy) -> Option<bool> {
    let differs = || Some(!kernel::compare(interface, policy).ok()?.same);
    if differs()? {
        thread::sleep(SETTLES);
        return differs();
    }
    Some(false)
}

fn sources(policy: &Policy, store: &Store) -> Vec<SourceSnapshot> {
    let now = Moment::now().ok();
    let with_source = policy.file().providers.iter().filter_map(|provider| Some((provider, provider.source.as_ref()?)));
    with_source
        .map(|(provider, source)| {
            let place = provider.allowlist.as_ref().map(|name| Place::of(&name.value, policy.file().folder()));
            let state = place.and_then(|place| store.load(&provider.name.value, &place).ok()?);
            SourceSnapshot {
                provider: provider.name.value.clone(),
                age: state.and_then(|state| Some(now.as_ref()?.since(&state.checked)?.as_secs())),
                every: source.refresh.as_secs(),
                failures: None,
            }
        })
        .collect()
}

//! What a source no longer states stays allowed for a while.

use std::{collections::HashSet, time::Duration};

use ipnet::IpNet;

use super::state::Departed;
use crate::{
    allowlist::{Entry, Protocol, Service},
    ports::PortRange,
};

/// A rule, whichever row states it.
type Key<'a> = (IpNet, Service, Protocol, &'a [PortRange]);

fn key(entry: &Entry, prefix: IpNet) -> Key<'_> {
    (prefix, entry.service, entry.protocol, &entry.remote_ports)
}

/// The rules of a list of entries.
pub(super) struct Rules<'a>(HashSet<Key<'a>>);

impl<'a> Rules<'a> {
    pub(super) fn of(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let entries = entries.into_iter();
        Self(entries.flat_map(|entry| entry.remote.iter().map(move |prefix| key(entry, *prefix))).collect())
    }

    /// The part of the entry that these rules do not have; nothing if they have it all.
    pub(super) fn missing(&self, entry: &Entry) -> Option<Entry> {
        let remote: Vec<_> =
            entry.remote.iter().copied().filter(|prefix| !self.0.contains(&key(entry, *prefix))).collect();
        (!remote.is_empty()).then(|| Entry { remote, ..entry.clone() })
    }
}

/// Who waits for the end of the grace: what has waited already and is still missing, and what `now` has no more.
pub(super) fn depart(before: &[Entry], waiting: &[Departed], now: &[Entry]) -> Vec<Departed> {
    let stated = Rules::of(now);
    let still = waiting.iter().filter_map(|departed| {
        let entry = stated.missing(&departed.entry)?;
        Some(Departed { entry, waited: departed.waited })
    });
    let newly = before.iter().filter_map(|entry| stated.missing(entry));
    still.chain(newly.map(|entry| Departed { entry, waited: 0 })).collect()
}

/// Lets `elapsed` pass; those whose grace is over wait no more.
pub(super) fn wait(waiting: &[Departed], elapsed: Duration, grace: Duration) -> Vec<Departed> {
    let waited = waiting.iter().map(|departed| {
        let waited = departed.waited.saturating_add(elapsed.as_secs());
        Departed { entry: departed.entry.clone(), waited }
    });
    waited.filter(|departed| departed.waited < grace.as_secs()).collect()
}

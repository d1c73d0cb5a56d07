//! The deny list: one trie for each family, which outlives generations and is changed entry by entry.
//!
//! A prefix is denied by the policy in a slot, or because it was added while the filter ran: an entry says by which of
//! these, so that what one lets go the others still hold.

use std::{collections::HashSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use filter_common::{
    live::{DenyEntry, Expiry, NESTED_DENIES},
    tables::lists,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    readback, standing,
    trie::{self, Denied},
};
use crate::policy::outermost;

/// A denied prefix.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeniedPrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Whether the policy in force denies it.
    pub policy: bool,
    /// Whether it was added while the filter ran, and that holds.
    pub added: bool,
    /// Seconds until what was added ends, rounded up; nothing if it never does.
    pub expires_in: Option<u64>,
}

/// Denies prefixes on `interface`, for so long or for ever, and returns how many were not added before.
///
/// # Errors
/// If no filter is attached there, or the deny list has no room for them: then nothing is added.
pub fn deny_add(interface: &str, prefixes: &[IpNet], lasting: Option<Duration>) -> Result<usize> {
    let _lock = WriteLock::take()?;
    let mut maps = Maps::open(Pins::attached(interface)?.directory())?;
    maps.collect_expired()?;
    maps.check_nesting(prefixes)?;
    maps.use_list(lists::DENY, true)?;
    let until = match lasting {
        None => Expiry::NEVER,
        Some(length) => Expiry::at(standing::now().saturating_add(u64::try_from(length.as_nanos())?)),
    };
    let add = |entry: DenyEntry| DenyEntry { holders: entry.holders | DenyEntry::ADDED, expiry: until, ..entry };
    change(&mut maps, prefixes, |entry| Some(add(entry)).filter(|new| *new != entry))
        .map(|changed| changed.iter().filter(|before| before.holders & DenyEntry::ADDED == 0).count())
}

/// Removes prefixes that were added, and returns those of them that were not.
///
/// # Errors
/// If no filter is attached to `interface`, or its maps cannot be written.
pub fn deny_remove(interface: &str, prefixes: &[IpNet]) -> Result<Vec<IpNet>> {
    let _lock = WriteLock::take()?;
    let mut maps = Maps::open(Pins::attached(interface)?.directory())?;
    maps.collect_expired()?;
    let added: HashSet<IpNet> =
        maps.denied()?.into_iter().filter(|denied| denied.added).map(|denied| denied.prefix).collect();
    change(&mut maps, prefixes, |entry| (entry.holders & DenyEntry::ADDED != 0).then(|| without_added(entry)))?;
    maps.forget_empty_list()?;
    Ok(prefixes.iter().filter(|prefix| !added.contains(*prefix)).copied().collect())
}

/// What is denied on `interface`, in ascending order.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_list(interface: &str) -> Result<Vec<DeniedPrefix>> {
    Maps::open(Pins::attached(interface)?.directory())?.denied()
}

impl Maps {
    /// Makes the policy in `slot` deny these prefixes, which ascend, and no others. Packets see nothing of it until the
    /// slot is in force.
    pub(super) fn deny_by_policy(&mut self, slot: u32, prefixes: &[IpNet]) -> Result<()> {
        self.collect_expired()?;
        // A wider prefix that holds covers what is inside it: entries need not nest for one policy's sake.
        let prefixes = outermost(prefixes);
        self.check_nesting(&prefixes)?;
        if !prefixes.is_empty() {
            self.use_list(lists::DENY, true)?;
        }
        deny_by_policy(&mut self.deny_v4, slot, &prefixes)?;
        deny_by_policy(&mut self.deny_v6, slot, &prefixes)?;
        self.forget_empty_list()
    }

    /// Refuses prefixes with which entries would lie inside each other deeper than the data plane looks.
    fn check_nesting(&self, new: &[IpNet]) -> Result<()> {
        let mut all: Vec<IpNet> = new.to_vec();
        all.extend(prefixes(&self.deny_v4)?);
        all.extend(prefixes(&self.deny_v6)?);
        all.sort_unstable();
        all.dedup();
        let (depth, limit) = (deepest(&all), usize::try_from(NESTED_DENIES)?);
        ensure!(
            depth <= limit,
            "the deny list would have {depth} prefixes inside each other, and the data plane looks through {limit}\n\
             hint: remove those that a wider one covers: `sipwall deny list` shows them"
        );
        Ok(())
    }

    /// Removes what was added and is over.
    fn collect_expired(&mut self) -> Result<()> {
        collect_expired(&mut self.deny_v4)?;
        collect_expired(&mut self.deny_v6)
    }

    /// Spares packets the lookup in a list without entries.
    fn forget_empty_list(&mut self) -> Result<()> {
        if trie::is_empty(&self.deny_v4)? && trie::is_empty(&self.deny_v6)? {
            self.use_list(lists::DENY, false)?;
        }
        Ok(())
    }

    /// What is denied by the policy in force or was added, in ascending order.
    fn denied(&self) -> Result<Vec<DeniedPrefix>> {
        let slot = self.standing()?.slot();
        let mut denied = in_words(&self.deny_v4, slot)?;
        denied.extend(in_words(&self.deny_v6, slot)?);
        denied.sort_unstable_by_key(|denied| denied.prefix);
        Ok(denied)
    }
}

/// Changes the entries of these prefixes, and returns what those were before that changed.
fn change(maps: &mut Maps, prefixes: &[IpNet], new: impl Fn(DenyEntry) -> Option<DenyEntry>) -> Result<Vec<DenyEntry>> {
    let mut changed = Vec::new();
    for prefix in prefixes {
        let before = match prefix {
            IpNet::V4(_) => change_one(&mut maps.deny_v4, *prefix, &new)?,
            IpNet::V6(_) => change_one(&mut maps.deny_v6, *prefix, &new)?,
        };
        changed.extend(before);
    }
    Ok(changed)
}

fn change_one<const N: usize>(
    denied: &mut Denied<N>,
    prefix: IpNet,
    new: impl Fn(DenyEntry) -> Option<DenyEntry>,
) -> Result<Option<DenyEntry>> {
    let Some(key) = trie::key(prefix) else { return Ok(None) };
    let before = entry(denied, key)?;
    let Some(after) = new(before) else { return Ok(None) };
    write(denied, key, after)?;
    Ok(Some(before))
}

fn deny_by_policy<const N: usize>(denied: &mut Denied<N>, slot: u32, prefixes: &[IpNet]) -> Result<()> {
    let holder = DenyEntry::policy(slot);
    let wanted: HashSet<_> = prefixes.iter().filter_map(|prefix| trie::key(*prefix).map(trie::identity)).collect();
    for (key, entry) in trie::entries(denied)? {
        let wanted = wanted.contains(&trie::identity(key));
        if !wanted && entry.holders & holder != 0 {
            write(denied, key, DenyEntry { holders: entry.holders & !holder, ..entry })?;
        }
    }
    for key in prefixes.iter().filter_map(|prefix| trie::key(*prefix)) {
        let entry = entry(denied, key)?;
        if entry.holders & holder == 0 {
            write(denied, key, DenyEntry { holders: entry.holders | holder, ..entry })?;
        }
    }
    Ok(())
}

fn collect_expired<const N: usize>(denied: &mut Denied<N>) -> Result<()> {
    let now = standing::now();
    for (key, entry) in trie::entries(denied)? {
        if entry.holders & DenyEntry::ADDED != 0 && entry.expiry.is_over(now) {
            write(denied, key, without_added(entry))?;
        }
    }
    Ok(())
}

const fn without_added(entry: DenyEntry) -> DenyEntry {
    DenyEntry { holders: entry.holders & !DenyEntry::ADDED, expiry: Expiry::NEVER, ..entry }
}

fn in_words<const N: usize>(denied: &Denied<N>, slot: u32) -> Result<Vec<DeniedPrefix>> {
    let now = standing::now();
    let mut found = Vec::new();
    for (key, entry) in trie::entries(denied)? {
        let policy = entry.holders & DenyEntry::policy(slot) != 0;
        let added = entry.holders & DenyEntry::ADDED != 0 && !entry.expiry.is_over(now);
        if policy || added {
            let left = Duration::from_nanos(entry.expiry.nanoseconds().saturating_sub(now));
            let expires_in =
                (added && entry.expiry != Expiry::NEVER).then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0));
            found.push(DeniedPrefix { prefix: readback::prefix(key)?, policy, added, expires_in });
        }
    }
    Ok(found)
}

fn prefixes<const N: usize>(denied: &Denied<N>) -> Result<Vec<IpNet>> {
    trie::entries(denied)?.into_iter().map(|(key, _)| readback::prefix(key)).collect()
}

/// How many of the prefixes, which ascend, lie inside each other at most.
fn deepest(prefixes: &[IpNet]) -> usize {
    let mut around: Vec<IpNet> = Vec::new();
    let mut deepest = 0;
    for prefix in prefixes {
        while around.last().is_some_and(|last| !last.contains(prefix)) {
            around.pop();
        }
        around.push(*prefix);
        deepest = deepest.max(around.len());
    }
    deepest
}

/// The entry of exactly this prefix; one that nothing holds if there is none.
fn entry<const N: usize>(denied: &Denied<N>, key: trie::Key<N>) -> Result<DenyEntry> {
    let longest = trie::longest(denied, &key)?;
    let prefix_length = key.prefix_len();
    let exact = longest.filter(|entry| entry.prefix_length == prefix_length);
    Ok(exact.unwrap_or(DenyEntry { prefix_length, ..DenyEntry::default() }))
}

/// Writes an entry, or removes it if nothing holds it any more.
fn write<const N: usize>(denied: &mut Denied<N>, key: trie::Key<N>, entry: DenyEntry) -> Result<()> {
    if entry.holders == 0 {
        return denied.remove(&key).context("cannot remove a prefix from the deny list");
    }
    denied.insert(&key, Value(entry), 0).context("cannot write the deny list: it may be full")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_inside_each_other_are_counted() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        for (texts, depth) in [
            (&[][..], 0),
            (&["10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32"], 1),
            (&["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "10.1.1.0/24", "12.0.0.0/8"], 3),
        ] {
            assert_eq!(deepest(&nets(texts)), depth, "{texts:?}");
        }
    }
}

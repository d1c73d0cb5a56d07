//! The deny list: one trie for each family, which outlives generations and is changed entry by entry.
//!
//! A prefix is denied by the policy in a slot, because it was added while the filter ran, or by a list that was loaded: an
//! entry says by which of these, so that what one lets go the others still hold.

use std::{
    collections::{HashMap, HashSet},
    io, thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::MapError;
use filter_common::{
    Address,
    live::{DENY_LISTS, DenyEntry, DenyList, Expiry, NESTED_DENIES, REMARKS, Remark, RemarkedPrefix, lists_that_hold},
    tables::lists,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    fault,
    live::{seconds_left, until},
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    readback, standing,
    trie::{self, Denied},
};
use crate::policy::outermost;

/// How long to wait for memory, and how many times.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 400;

/// A denied prefix.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeniedPrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Whether the policy in force denies it.
    pub policy: bool,
    /// Whether it was added while the filter ran, and that holds.
    pub added: bool,
    /// The lists that were loaded, hold, and have it.
    pub lists: Vec<String>,
    /// Seconds until what was added ends, rounded up; nothing if it never does.
    pub expires_in: Option<u64>,
    /// What was remarked when it was added.
    pub comment: Option<String>,
}

/// Denies prefixes on `interface`, for so long or for ever, and returns how many were not added before. An empty comment
/// leaves what was remarked before.
///
/// # Errors
/// If no filter is attached there, or the deny list has no room for them: then nothing is added.
pub fn deny_add(interface: &str, prefixes: &[IpNet], lasting: Option<Duration>, comment: &str) -> Result<usize> {
    let _lock = WriteLock::take()?;
    let mut maps = Maps::open(Pins::attached(interface)?.directory())?;
    maps.collect_expired()?;
    maps.check_nesting(prefixes)?;
    maps.use_list(lists::DENY, true)?;
    maps.remark(prefixes, comment)?;
    let until = until(lasting)?;
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
    let mut unknown = Vec::new();
    for prefix in prefixes {
        let remove = |entry: DenyEntry| (entry.holders & DenyEntry::ADDED != 0).then(|| without_added(entry));
        if change(&mut maps, &[*prefix], remove)?.is_empty() {
            unknown.push(*prefix);
        }
        maps.forget_remark(*prefix)?;
    }
    maps.forget_empty_list()?;
    Ok(unknown)
}

/// What is denied on `interface`, in ascending order.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_list(interface: &str) -> Result<Vec<DeniedPrefix>> {
    Maps::open(Pins::attached(interface)?.directory())?.denied()
}

/// How many entries the deny list of `interface` has, IPv4 and IPv6: those that are over and not removed yet too, as
/// they take up room.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_entries(interface: &str) -> Result<[u64; 2]> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    Ok([entry_count(&maps.deny_v4)?, entry_count(&maps.deny_v6)?])
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
    pub(super) fn check_nesting(&self, new: &[IpNet]) -> Result<()> {
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

    /// Removes what was added and is over, with what was remarked of it.
    fn collect_expired(&mut self) -> Result<()> {
        let mut over = collect_expired(&mut self.deny_v4)?;
        over.extend(collect_expired(&mut self.deny_v6)?);
        over.into_iter().try_for_each(|prefix| self.forget_remark(prefix))
    }

    /// Notes a comment for each of these prefixes; an empty one changes nothing.
    fn remark(&mut self, prefixes: &[IpNet], comment: &str) -> Result<()> {
        if comment.is_empty() {
            return Ok(());
        }
        let remark = remark(comment)?;
        let mut known: HashSet<IpNet> = self.remarks()?.into_keys().collect();
        known.extend(prefixes);
        ensure!(
            known.len() <= usize::try_from(REMARKS)?,
            "with these, {} denied prefixes would have a comment, and there is room for {REMARKS}\nhint: add them without \
             one, or load a list: `sipwall deny load`",
            known.len()
        );
        for prefix in prefixes {
            self.deny_comments.insert(remarked(*prefix), Value(remark), 0).context("cannot write a comment")?;
        }
        Ok(())
    }

    /// Forgets what was remarked of a prefix, if anything.
    fn forget_remark(&mut self, prefix: IpNet) -> Result<()> {
        match self.deny_comments.remove(&remarked(prefix)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).context("cannot remove a comment"),
        }
    }

    /// What was remarked of prefixes.
    fn remarks(&self) -> Result<HashMap<IpNet, String>> {
        let mut remarks = HashMap::new();
        for entry in &self.deny_comments {
            let (Value(RemarkedPrefix { address, length }), Value(remark)) = entry.context("cannot read a comment")?;
            let prefix = IpNet::new(Address::from_words(address).into(), u8::try_from(length)?)?;
            remarks.insert(prefix, remark.as_str().unwrap_or_default().to_owned());
        }
        Ok(remarks)
    }

    /// The lists that were loaded.
    pub(super) fn lists(&self) -> Result<[DenyList; DENY_LISTS as usize]> {
        Ok(self.deny_lists.get(&0, 0).context("cannot read the loaded lists")?.0)
    }

    /// Spares packets the lookup in a list without entries.
    pub(super) fn forget_empty_list(&mut self) -> Result<()> {
        if trie::is_empty(&self.deny_v4)? && trie::is_empty(&self.deny_v6)? {
            self.use_list(lists::DENY, false)?;
        }
        Ok(())
    }

    /// A denied prefix as it is shown, if it holds.
    pub(super) fn describe_denied(&self, prefix: IpNet) -> Result<Option<DeniedPrefix>> {
        let words = self.words()?;
        let entry = match prefix {
            IpNet::V4(_) => trie::lookup(&self.deny_v4, prefix)?,
            IpNet::V6(_) => trie::lookup(&self.deny_v6, prefix)?,
        };
        Ok(entry.filter(|entry| words.holds(entry)).map(|entry| words.describe(prefix, entry)))
    }

    fn words(&self) -> Result<Words> {
        let (lists, now) = (self.lists()?, standing::now());
        let holding = lists_that_hold(&lists, now);
        Ok(Words { slot: self.standing()?.slot(), now, lists, holding, remarks: self.remarks()? })
    }

    /// What is denied by the policy in force or was added, in ascending order.
    pub(super) fn denied(&self) -> Result<Vec<DeniedPrefix>> {
        let words = self.words()?;
        let mut denied = in_words(&self.deny_v4, &words)?;
        denied.extend(in_words(&self.deny_v6, &words)?);
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

fn collect_expired<const N: usize>(denied: &mut Denied<N>) -> Result<Vec<IpNet>> {
    let now = standing::now();
    let mut over = Vec::new();
    for (key, entry) in trie::entries(denied)? {
        if entry.holders & DenyEntry::ADDED != 0 && entry.expiry.is_over(now) {
            write(denied, key, without_added(entry))?;
            over.push(readback::prefix(key)?);
        }
    }
    Ok(over)
}

/// The comment as the maps keep it.
pub(super) fn remark(comment: &str) -> Result<Remark> {
    Remark::new(comment).context("the comment is longer than 127 octets or contains NUL")
}

/// The key that a prefix's comment is kept under.
fn remarked(prefix: IpNet) -> Value<RemarkedPrefix> {
    Value(RemarkedPrefix { address: Address::from(prefix.network()).words(), length: prefix.prefix_len().into() })
}

pub(super) const fn without_added(entry: DenyEntry) -> DenyEntry {
    DenyEntry { holders: entry.holders & !DenyEntry::ADDED, expiry: Expiry::NEVER, ..entry }
}

/// What entries are put into words by.
struct Words {
    slot: u32,
    now: u64,
    lists: [DenyList; DENY_LISTS as usize],
    /// The holders of the lists that hold.
    holding: u32,
    remarks: HashMap<IpNet, String>,
}

impl Words {
    fn holds(&self, entry: &DenyEntry) -> bool {
        entry.holds(self.slot, || self.now, || self.holding)
    }

    fn describe(&self, prefix: IpNet, entry: DenyEntry) -> DeniedPrefix {
        let added = entry.holders & DenyEntry::ADDED != 0 && !entry.expiry.is_over(self.now);
        DeniedPrefix {
            prefix,
            policy: entry.holders & DenyEntry::policy(self.slot) != 0,
            added,
            lists: names_of(&self.lists, entry.holders & self.holding),
            expires_in: if added { seconds_left(entry.expiry, self.now) } else { None },
            comment: if added { self.remarks.get(&prefix).cloned() } else { None },
        }
    }
}

fn in_words<const N: usize>(denied: &Denied<N>, words: &Words) -> Result<Vec<DeniedPrefix>> {
    let held = trie::entries(denied)?.into_iter().filter(|(_, entry)| words.holds(entry));
    held.map(|(key, entry)| Ok(words.describe(readback::prefix(key)?, entry))).collect()
}

/// The names of the lists that are among these holders.
fn names_of(lists: &[DenyList], holders: u32) -> Vec<String> {
    let held = (0..).zip(lists).filter(|(place, _)| holders & DenyEntry::list(*place) != 0);
    held.filter_map(|(_, list)| list.name.as_str().map(str::to_owned)).collect()
}

fn prefixes<const N: usize>(denied: &Denied<N>) -> Result<Vec<IpNet>> {
    trie::entries(denied)?.into_iter().map(|(key, _)| readback::prefix(key)).collect()
}

fn entry_count<const N: usize>(denied: &Denied<N>) -> Result<u64> {
    denied.keys().try_fold(0, |count, key| Ok(key.map(|_| count + 1)?))
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
pub(super) fn write<const N: usize>(denied: &mut Denied<N>, key: trie::Key<N>, entry: DenyEntry) -> Result<()> {
    fault::step();
    if entry.holders == 0 {
        return denied.remove(&key).context("cannot remove a prefix from the deny list");
    }
    let mut patience = PATIENCE;
    loop {
        match denied.insert(&key, Value(entry), 0) {
            Err(error) if patience > 0 && is_out_of_memory(&error) => thread::sleep(PAUSE),
            written => return written.context("cannot write the deny list: it may be full"),
        }
        patience -= 1;
    }
}

/// The kernel makes an entry without waiting for memory, which on a busy machine may be there a moment later.
fn is_out_of_memory(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error) if error.io_error.kind() == io::ErrorKind::OutOfMemory)
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

//! The deny list: one trie for each family, which outlives generations and is changed entry by entry.
//!
//! A prefix is denied by the policy in a slot, because it was added while the filter ran, or by a list that was loaded: an
//! entry says by which of these, so that what one lets go the others still hold.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use filter_common::{
    Address,
    live::{DENY_LISTS, DenyEntry, DenyList, Expiry, REMARKS, Remark, RemarkedPrefix, lists_that_hold},
    tables::lists,
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    batch,
    deny_change::Change,
    deny_notes::ENDING,
    live::{remaining_seconds, until},
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    readback, standing,
    trie::{self, Denied},
    upgrade,
};
use crate::{fault, policy::outermost};

/// A denied prefix.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct DeniedPrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Whether the policy in force denies it.
    pub by_policy: bool,
    /// Whether it was added while the filter ran, and that holds.
    pub by_hand: bool,
    /// The lists that were loaded, hold, and have it.
    pub lists: Vec<String>,
    /// Seconds until what was added ends, rounded up; nothing if it never does.
    pub expires_in_seconds: Option<u64>,
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
    let mut maps = upgrade::maps_to_change(interface)?;
    let Added { all, over } = maps.added()?;
    let prefixes = &ascending(prefixes);
    let new = difference(prefixes, &difference(&all, &over));
    let removed = difference(&over, prefixes);
    maps.check_remarks(prefixes, comment)?;
    let change = Change { holder: DenyEntry::ADDED, added: prefixes, removed: &removed, expiry: until(lasting)? };
    maps.change_denied(&all, &change, |_, _| {})?;
    maps.forget_remarks(removed.iter().chain(&new))?;
    maps.remark(prefixes, comment)?;
    Ok(new.len())
}

/// Removes prefixes that were added, and returns those of them that were not.
///
/// # Errors
/// If no filter is attached to `interface`, or its maps cannot be written.
pub fn deny_remove(interface: &str, prefixes: &[IpNet]) -> Result<Vec<IpNet>> {
    let _lock = WriteLock::take()?;
    let mut maps = upgrade::maps_to_change(interface)?;
    let Added { all, over } = maps.added()?;
    let prefixes = &ascending(prefixes);
    let unknown = difference(prefixes, &difference(&all, &over));
    // What is over goes with them.
    let mut removed = difference(prefixes, &unknown);
    removed.extend(&over);
    let change = Change { holder: DenyEntry::ADDED, added: &[], removed: &removed, expiry: Expiry::NEVER };
    maps.change_denied(&all, &change, |_, _| {})?;
    maps.forget_remarks(&removed)?;
    Ok(unknown)
}

/// What is denied on `interface`, in ascending order.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_list(interface: &str) -> Result<Vec<DeniedPrefix>> {
    Maps::open(Pins::attached(interface)?.directory())?.denied()
}

/// How a prefix is denied on `interface`; nothing if it is not as such, though a wider one may be.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn denied(interface: &str, prefix: IpNet) -> Result<Option<DeniedPrefix>> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let words = maps.words()?;
    let entry = maps.denied_entry(prefix)?;
    Ok(words.holds(&entry).then(|| words.describe(prefix, entry)))
}

/// How many entries the deny list of `interface` has, IPv4 and IPv6: those that are over and not removed yet too, as
/// they take up room.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_entries(interface: &str) -> Result<[u64; 2]> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    match maps.noted_summary()? {
        Some(summary) => Ok(summary.entries()),
        None => Ok([trie::count(&maps.deny_v4)?, trie::count(&maps.deny_v6)?]),
    }
}

impl Maps {
    /// Makes the policy in `slot` deny these prefixes, which ascend, and no others. Packets see nothing of it until the
    /// slot is in force.
    pub(super) fn deny_by_policy(&mut self, slot: u32, prefixes: &[IpNet]) -> Result<()> {
        // A wider prefix that holds covers what is inside it: entries need not nest for one policy's sake.
        let wanted = outermost(prefixes);
        let holder = DenyEntry::policy(slot);
        let [before] = self.held_by([holder])?;
        let (added, removed) = (difference(&wanted, &before), difference(&before, &wanted));
        self.change_denied(
            &before,
            &Change { holder, added: &added, removed: &removed, expiry: Expiry::NEVER },
            |_, _| {},
        )
    }

    /// What was added while the filter ran.
    fn added(&self) -> Result<Added> {
        let now = standing::now();
        let [all, ending] = self.held_by([DenyEntry::ADDED, ENDING])?;
        let mut over = Vec::new();
        for prefix in ending {
            if self.denied_entry(prefix)?.expiry.is_over(now) {
                over.push(prefix);
            }
        }
        Ok(Added { all, over })
    }

    /// Refuses more comments than there is room for.
    fn check_remarks(&self, prefixes: &[IpNet], comment: &str) -> Result<()> {
        if comment.is_empty() {
            return Ok(());
        }
        remark(comment)?;
        let mut known: HashSet<IpNet> = self.remarks()?.into_keys().collect();
        known.extend(prefixes);
        ensure!(
            known.len() <= usize::try_from(REMARKS)?,
            "with these, {} denied prefixes would have a comment, and there is room for {REMARKS}\nhint: add them without \
             one, or load a list: `sipwall deny load`",
            known.len()
        );
        Ok(())
    }

    /// Notes a comment for each of these prefixes; an empty one changes nothing.
    fn remark(&mut self, prefixes: &[IpNet], comment: &str) -> Result<()> {
        if comment.is_empty() {
            return Ok(());
        }
        let remark = remark(comment)?;
        for prefix in prefixes {
            fault::step();
            self.deny_comments.insert(remarked(*prefix), Value(remark), 0).context("cannot write a comment")?;
        }
        Ok(())
    }

    /// Forgets what was remarked of these prefixes, if anything.
    fn forget_remarks<'a>(&mut self, prefixes: impl IntoIterator<Item = &'a IpNet>) -> Result<()> {
        let remarks = self.remarks()?;
        for prefix in prefixes.into_iter().filter(|prefix| remarks.contains_key(prefix)) {
            fault::step();
            self.deny_comments.remove(&remarked(*prefix)).context("cannot remove a comment")?;
        }
        Ok(())
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
            self.deny_filter.clear()?;
        }
        Ok(())
    }

    /// Lets packets be looked up in a deny list that was taken over from a filter without this one's filter in front of it.
    pub(super) fn refill_deny_filter(&mut self) -> Result<()> {
        let denied = self.denied_prefixes()?;
        if !denied.is_empty() {
            self.use_list(lists::DENY, true)?;
        }
        denied.into_iter().try_for_each(|prefix| self.deny_filter.set(prefix))
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

/// Prefixes that were added while the filter ran, ascending.
struct Added {
    all: Vec<IpNet>,
    /// Those of them whose time is over.
    over: Vec<IpNet>,
}

/// Those of the prefixes that are not among the others, which ascend.
pub(super) fn difference(prefixes: &[IpNet], others: &[IpNet]) -> Vec<IpNet> {
    prefixes.iter().filter(|prefix| others.binary_search(prefix).is_err()).copied().collect()
}

/// Each prefix once, ascending.
fn ascending(prefixes: &[IpNet]) -> Vec<IpNet> {
    let mut ascending = prefixes.to_vec();
    ascending.sort_unstable();
    ascending.dedup();
    ascending
}

/// The comment as the maps keep it.
pub(super) fn remark(comment: &str) -> Result<Remark> {
    Remark::new(comment).context("the comment is longer than 127 octets or contains NUL")
}

/// The key that a prefix's comment is kept under.
fn remarked(prefix: IpNet) -> Value<RemarkedPrefix> {
    Value(RemarkedPrefix { address: Address::from(prefix.network()).words(), length: prefix.prefix_len().into() })
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
            by_policy: entry.holders & DenyEntry::policy(self.slot) != 0,
            by_hand: added,
            lists: names_of(&self.lists, entry.holders & self.holding),
            expires_in_seconds: if added { remaining_seconds(entry.expiry, self.now) } else { None },
            comment: if added { self.remarks.get(&prefix).cloned() } else { None },
        }
    }
}

fn in_words<const N: usize>(denied: &Denied<N>, words: &Words) -> Result<Vec<DeniedPrefix>> {
    let held = batch::entries(denied)?.into_iter().filter(|(_, entry)| words.holds(entry));
    held.map(|(key, entry)| Ok(words.describe(readback::prefix(key)?, entry))).collect()
}

/// The names of the lists that are among these holders.
fn names_of(lists: &[DenyList], holders: u32) -> Vec<String> {
    let held = (0..).zip(lists).filter(|(place, _)| holders & DenyEntry::list(*place) != 0);
    held.filter_map(|(_, list)| list.name.as_str().map(str::to_owned)).collect()
}

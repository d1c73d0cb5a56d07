//! Changing what a holder of the deny list holds: as a whole, or not at all.

use std::{collections::HashSet, io, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use filter_common::{
    live::{DenyEntry, Expiry, NESTED_DENIES},
    tables::{DENY_PREFIXES, lists},
};
use ipnet::IpNet;

use super::{
    batch,
    deny::difference,
    deny_notes::{ENDING, Summary},
    maps::Maps,
    readback,
    trie::{self, Denied},
};
use crate::fault;

/// How long to wait for memory, and how many times.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 400;
/// So many new prefixes are looked at one by one; where there are more, all that is denied is.
const FEW: usize = 64;

/// What a holder comes to hold, and what it lets go.
pub(super) struct Change<'a> {
    pub(super) holder: u32,
    pub(super) added: &'a [IpNet],
    pub(super) removed: &'a [IpNet],
    /// When what is added ends; a policy and a list have no end of each prefix.
    pub(super) expiry: Expiry,
}

impl Change<'_> {
    fn holds(&self, entry: DenyEntry) -> DenyEntry {
        let expiry = if self.holder == DenyEntry::ADDED { self.expiry } else { entry.expiry };
        DenyEntry { holders: entry.holders | self.holder, expiry, ..entry }
    }

    fn lets_go(&self, entry: DenyEntry) -> DenyEntry {
        let expiry = if self.holder == DenyEntry::ADDED { Expiry::NEVER } else { entry.expiry };
        DenyEntry { holders: entry.holders & !self.holder, expiry, ..entry }
    }

    /// What was added to end at some time, when the change is made; `before`: the same as it was.
    fn ending(&self, before: &[IpNet]) -> Vec<IpNet> {
        let added = if self.expiry == Expiry::NEVER { &[] } else { self.added };
        after(before, added, &[self.added, self.removed].concat())
    }

    /// What is denied in numbers when the change is made; `before`: the entries that it wrote, as they were, in its order.
    fn counted(&self, summary: Summary, before: &[(IpNet, DenyEntry)]) -> Summary {
        let (added, removed) = before.split_at(self.added.len());
        let new = added.iter().filter(|(_, entry)| entry.holders == 0);
        let gone = removed.iter().filter(|(_, entry)| entry.holders == self.holder);
        // The last one that goes takes the lengths with it: what comes comes first.
        let with_new = new.fold(summary, |summary, (prefix, _)| summary.with(prefix));
        gone.fold(with_new, |summary, (prefix, _)| summary.without(prefix))
    }
}

impl Maps {
    /// Changes what a holder holds, which was `before`; `progress` is told how many entries are written, and of how many. If
    /// one cannot be written, those before it are as they were.
    ///
    /// What is new is written first: what both the old list and the new one deny is denied all the time.
    pub(super) fn change_denied(
        &mut self,
        before: &[IpNet],
        change: &Change<'_>,
        progress: impl FnMut(u64, u64),
    ) -> Result<()> {
        let summary = self.deny_summary()?;
        let entries = self.entries(change)?;
        check_room(&entries[..change.added.len()], &summary)?;
        self.check_nesting(change.added, &summary)?;
        if entries.is_empty() {
            return Ok(());
        }
        if !change.added.is_empty() {
            self.use_list(lists::DENY, true)?;
        }
        let [ending] = if change.holder == DenyEntry::ADDED { self.held_by([ENDING])? } else { [Vec::new()] };
        self.distrust_notes()?;
        let mut written = 0;
        if let Err(error) = self.write_entries(change, &entries, &mut written, progress) {
            self.write_all(&entries[..written])?;
            self.trust_notes(summary)?;
            return Err(error);
        }
        self.note_held(change.holder, before, &after(before, change.added, change.removed))?;
        self.note_held(ENDING, &ending, &change.ending(&ending))?;
        self.trust_notes(change.counted(summary, &entries))?;
        self.forget_empty_list()
    }

    /// The entries that a change is about, as they are before it: those of what comes, then those of what goes.
    fn entries(&self, change: &Change<'_>) -> Result<Vec<(IpNet, DenyEntry)>> {
        let is_empty = trie::is_empty(&self.deny_v4)? && trie::is_empty(&self.deny_v6)?;
        let entry = |prefix: &IpNet| {
            let entry = if is_empty { nothing(*prefix) } else { self.denied_entry(*prefix)? };
            Ok((*prefix, entry))
        };
        change.added.iter().chain(change.removed).map(entry).collect()
    }

    /// Writes a change of these entries; `written`: how many may be.
    fn write_entries(
        &mut self,
        change: &Change<'_>,
        before: &[(IpNet, DenyEntry)],
        written: &mut usize,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<()> {
        let total = u64::try_from(before.len())?;
        for part in before.chunks(batch::AT_ONCE) {
            let after = (*written..).zip(part).map(|(place, (prefix, entry))| {
                let comes = place < change.added.len();
                (*prefix, if comes { change.holds(*entry) } else { change.lets_go(*entry) })
            });
            let after: Vec<_> = after.collect();
            *written += part.len();
            self.write_all(&after)?;
            progress(u64::try_from(*written)?, total);
        }
        Ok(())
    }

    /// Every prefix of which there is an entry, whoever holds it.
    pub(super) fn denied_prefixes(&self) -> Result<Vec<IpNet>> {
        Ok([prefixes(&self.deny_v4)?, prefixes(&self.deny_v6)?].concat())
    }

    /// The entry of exactly this prefix; one that nothing holds if there is none.
    pub(super) fn denied_entry(&self, prefix: IpNet) -> Result<DenyEntry> {
        let longest = match prefix {
            IpNet::V4(_) => trie::lookup(&self.deny_v4, prefix)?,
            IpNet::V6(_) => trie::lookup(&self.deny_v6, prefix)?,
        };
        let nothing = nothing(prefix);
        Ok(longest.filter(|entry| entry.prefix_length == nothing.prefix_length).unwrap_or(nothing))
    }

    fn write_all(&mut self, entries: &[(IpNet, DenyEntry)]) -> Result<()> {
        for (prefix, _) in entries.iter().filter(|(_, entry)| entry.holders != 0) {
            self.deny_filter.set(*prefix)?;
        }
        for part in entries.chunks(batch::AT_ONCE) {
            write(&self.deny_v4, part)?;
            write(&self.deny_v6, part)?;
        }
        Ok(())
    }

    /// Refuses prefixes with which entries would lie inside each other deeper than the data plane looks.
    fn check_nesting(&self, new: &[IpNet], summary: &Summary) -> Result<()> {
        let with_new = new.iter().fold(*summary, Summary::with);
        // No prefix lies inside another one of its length.
        if with_new.lengths() <= NESTED_DENIES {
            return Ok(());
        }
        if new.len() <= FEW {
            let mut deepest = 0;
            for prefix in new {
                deepest = deepest.max(self.around(*prefix, new)? + with_new.lengths_from(prefix));
            }
            if deepest <= NESTED_DENIES {
                return Ok(());
            }
        }
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

    /// How many denied prefixes, these new ones among them, are wider than this one and cover it.
    fn around(&self, prefix: IpNet, new: &[IpNet]) -> Result<u32> {
        let mut around: HashSet<u8> =
            new.iter().filter(|other| **other != prefix && other.contains(&prefix)).map(IpNet::prefix_len).collect();
        let mut inside = prefix;
        while let Some(wider) = inside.supernet() {
            let longest = match wider {
                IpNet::V4(_) => trie::lookup(&self.deny_v4, wider)?,
                IpNet::V6(_) => trie::lookup(&self.deny_v6, wider)?,
            };
            let Some(entry) = longest else { break };
            let length = u8::try_from(entry.prefix_length)?;
            around.insert(length);
            inside = IpNet::new(prefix.addr(), length)?.trunc();
        }
        Ok(u32::try_from(around.len())?)
    }
}

/// Refuses more prefixes than there is room for; `added`: their entries as they are. What is let go makes room only when what
/// is new is written.
fn check_room(added: &[(IpNet, DenyEntry)], summary: &Summary) -> Result<()> {
    let limit = u64::from(DENY_PREFIXES);
    for (is_v4, there) in [true, false].into_iter().zip(summary.entries()) {
        // What somebody else holds takes up no more room.
        let new = added.iter().filter(|(prefix, entry)| prefix.addr().is_ipv4() == is_v4 && entry.holders == 0).count();
        let needed = there + u64::try_from(new)?;
        ensure!(
            new == 0 || needed <= limit,
            "the deny list would need {needed} {} prefixes, and there is room for {limit}\nhint: `sipwall deny list \
             --lists` shows what takes it up",
            if is_v4 { "IPv4" } else { "IPv6" }
        );
    }
    Ok(())
}

/// What is held after a change, ascending.
fn after(before: &[IpNet], added: &[IpNet], removed: &[IpNet]) -> Vec<IpNet> {
    let mut removed = removed.to_vec();
    removed.sort_unstable();
    let mut after = difference(before, &removed);
    after.extend(added);
    after.sort_unstable();
    after.dedup();
    after
}

fn prefixes<const N: usize>(denied: &Denied<N>) -> Result<Vec<IpNet>> {
    batch::entries(denied)?.into_iter().map(|(key, _)| readback::prefix(key)).collect()
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

/// The entry of a prefix that nothing holds.
fn nothing(prefix: IpNet) -> DenyEntry {
    DenyEntry { prefix_length: prefix.prefix_len().into(), ..DenyEntry::default() }
}

/// Writes those of the entries that are of the trie's family, and removes what nothing holds any more.
fn write<const N: usize>(denied: &Denied<N>, entries: &[(IpNet, DenyEntry)]) -> Result<()> {
    let of_family = entries.iter().filter_map(|(prefix, entry)| Some((trie::key(*prefix)?, *entry)));
    let (held, gone): (Vec<_>, Vec<_>) = of_family.partition(|(_, entry)| entry.holders != 0);
    let (keys, values): (Vec<_>, Vec<_>) = held.into_iter().unzip();
    let mut written = 0;
    let mut patience = PATIENCE;
    while written < keys.len() {
        fault::step();
        match batch::update(denied, &keys[written..], &values[written..]) {
            Ok(()) => break,
            // The kernel makes an entry without waiting for memory, which on a busy machine may be there a moment later.
            Err((done, error)) if patience > 0 && error.kind() == io::ErrorKind::OutOfMemory => {
                written += done;
                patience = if done > 0 { PATIENCE } else { patience - 1 };
                thread::sleep(PAUSE);
            }
            Err((_, error)) => return Err(error).context("cannot write the deny list: it may be full"),
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    fault::step();
    let gone: Vec<_> = gone.into_iter().map(|(key, _)| key).collect();
    trie::remove(denied, &gone).context("cannot remove prefixes from the deny list")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Changes of three holders: of each prefix whether it comes or goes, or nothing.
    fn changes() -> impl Strategy<Value = Vec<(u32, Vec<Option<bool>>)>> {
        let holders = prop_oneof![Just(DenyEntry::policy(0)), Just(DenyEntry::ADDED), Just(DenyEntry::list(3))];
        vec((holders, vec(any::<Option<bool>>(), 8)), 0..12)
    }

    proptest! {
        #[test]
        fn entries_are_counted_once_whoever_holds_them(changes in changes()) {
            let nets = (0..8_u8).map(|number| match number % 2 {
                0 => IpNet::new([192, 0, 2, number].into(), 32 - number % 4),
                _ => IpNet::new([0x2001, 0xdb8, 0, number.into(), 0, 0, 0, 0].into(), 64),
            });
            let nets: Vec<IpNet> = nets.collect::<Result<_, _>>()?;
            let mut entries: BTreeMap<IpNet, DenyEntry> = nets.iter().map(|net| (*net, nothing(*net))).collect();
            let mut summary = Summary::default();
            for (holder, wanted) in changes {
                let of = |comes| nets.iter().zip(&wanted).filter(move |(_, it)| **it == Some(comes)).map(|(net, _)| *net);
                let (added, removed): (Vec<_>, Vec<_>) = (of(true).collect(), of(false).collect());
                let change = Change { holder, added: &added, removed: &removed, expiry: Expiry::NEVER };
                let before: Vec<_> = added.iter().chain(&removed).map(|net| (*net, entries[net])).collect();
                summary = change.counted(summary, &before);
                for (place, (net, entry)) in before.into_iter().enumerate() {
                    let entry = if place < added.len() { change.holds(entry) } else { change.lets_go(entry) };
                    entries.insert(net, entry);
                }
                let there: BTreeSet<&IpNet> =
                    entries.iter().filter(|(_, entry)| entry.holders != 0).map(|(net, _)| net).collect();
                for is_v4 in [true, false] {
                    let of_family = there.iter().filter(|net| net.addr().is_ipv4() == is_v4);
                    prop_assert_eq!(summary.entries()[usize::from(!is_v4)], u64::try_from(of_family.count())?);
                }
                prop_assert!(there.iter().all(|net| summary.lengths_from(net) > 0));
            }
        }
    }

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

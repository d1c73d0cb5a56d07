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
    deny_notes::Summary,
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
        self.check_room(change.added, &summary)?;
        self.check_nesting(change.added, &summary)?;
        if change.added.is_empty() && change.removed.is_empty() {
            return Ok(());
        }
        if !change.added.is_empty() {
            self.use_list(lists::DENY, true)?;
        }
        self.distrust_notes()?;
        let mut undo = Vec::new();
        if let Err(error) = self.write_entries(change, &mut undo, progress) {
            self.write_all(&undo)?;
            self.note_held(change.holder, before, before, summary)?;
            return Err(error);
        }
        self.note_held(change.holder, before, &after(before, change), summary)?;
        self.forget_empty_list()
    }

    fn write_entries(
        &mut self,
        change: &Change<'_>,
        undo: &mut Vec<(IpNet, DenyEntry)>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<()> {
        let added = change.added.iter().map(|prefix| (*prefix, true));
        let all: Vec<_> = added.chain(change.removed.iter().map(|prefix| (*prefix, false))).collect();
        let total = u64::try_from(all.len())?;
        let is_empty = trie::is_empty(&self.deny_v4)? && trie::is_empty(&self.deny_v6)?;
        for part in all.chunks(batch::AT_ONCE) {
            let mut entries = Vec::with_capacity(part.len());
            for (prefix, comes) in part {
                let entry = if is_empty { nothing(*prefix) } else { self.denied_entry(*prefix)? };
                undo.push((*prefix, entry));
                entries.push((*prefix, if *comes { change.holds(entry) } else { change.lets_go(entry) }));
            }
            self.write_all(&entries)?;
            progress(u64::try_from(undo.len())?, total);
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

    /// Refuses more prefixes than there is room for.
    fn check_room(&self, new: &[IpNet], summary: &Summary) -> Result<()> {
        let limit = u64::from(DENY_PREFIXES);
        for is_v4 in [true, false] {
            let of_family: Vec<IpNet> = new.iter().copied().filter(|prefix| prefix.addr().is_ipv4() == is_v4).collect();
            let Some(first) = of_family.first() else { continue };
            let most = summary.most_entries(first);
            if most + u64::try_from(of_family.len())? <= limit {
                continue;
            }
            let mut added = 0;
            for prefix in of_family {
                added += u64::from(self.denied_entry(prefix)?.holders == 0);
            }
            if most + added <= limit {
                continue;
            }
            // Several may hold the same: what is there is counted.
            let there = if is_v4 { trie::count(&self.deny_v4)? } else { trie::count(&self.deny_v6)? };
            let needed = there + added;
            // What is let go makes room only when what is new is written.
            ensure!(
                needed <= limit,
                "the deny list would need {needed} {} prefixes, and there is room for {limit}\nhint: `sipwall deny list \
                 --lists` shows what takes it up",
                if is_v4 { "IPv4" } else { "IPv6" }
            );
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

/// What a holder holds after a change, ascending.
fn after(before: &[IpNet], change: &Change<'_>) -> Vec<IpNet> {
    let mut removed = change.removed.to_vec();
    removed.sort_unstable();
    let mut after = difference(before, &removed);
    after.extend(change.added);
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

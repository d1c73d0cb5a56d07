//! Lists that are loaded into the deny list as a whole: what a list had before and has no more, it lets go.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use filter_common::{
    Name,
    live::{DENY_LISTS, DenyEntry, DenyList, Expiry, Remark},
    tables::{DENY_PREFIXES, lists},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    deny::{remark, write},
    live::{seconds_left, until},
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    standing,
    trie::{self, Denied},
};
use crate::policy::outermost;

/// A place without a list.
const NO_LIST: DenyList = DenyList { expiry: Expiry::NEVER, name: Name::EMPTY, comment: Remark::EMPTY };

/// A list that is to be loaded.
#[derive(Clone, Debug)]
pub struct LoadedList<'a> {
    /// Its name: what is loaded under it takes the place of what was.
    pub name: &'a str,
    /// Its prefixes, in any order.
    pub prefixes: &'a [IpNet],
    /// How long it lasts; for ever, if nothing.
    pub lasting: Option<Duration>,
    /// What is remarked of it.
    pub comment: &'a str,
}

/// What loading or unloading a list did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct ListChange {
    /// Prefixes that it has and had not.
    pub added: usize,
    /// Prefixes that it had and has no more.
    pub removed: usize,
    /// How long it took to find out what is there, in milliseconds.
    pub compare_ms: u64,
    /// How long it took to write the difference, in milliseconds.
    pub transfer_ms: u64,
}

/// A list as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DenyListInfo {
    /// Its name.
    pub name: String,
    /// How many prefixes it has; those inside others do not count.
    pub prefixes: usize,
    /// Seconds until it ends, rounded up; nothing if it never does.
    pub expires_in: Option<u64>,
    /// What was remarked of it.
    pub comment: Option<String>,
}

/// Makes the list of a name deny these prefixes on `interface`, and no others; `progress` is told of every one that is
/// written, and how many there are.
///
/// # Errors
/// If no filter is attached there, or there is no room for the list: then nothing changes.
pub fn deny_load(interface: &str, list: &LoadedList<'_>, progress: impl FnMut(u64, u64)) -> Result<ListChange> {
    let _lock = WriteLock::take()?;
    let mut maps = Maps::open(Pins::attached(interface)?.directory())?;
    let begun = Instant::now();
    let mut prefixes = list.prefixes.to_vec();
    prefixes.sort_unstable();
    prefixes.dedup();
    // A wider prefix covers what is inside it: entries need not nest for one list's sake.
    let prefixes = outermost(&prefixes);
    let mut all = maps.lists()?;
    let place = place(&all, list.name)?;
    let wanted = DenyList {
        expiry: until(list.lasting)?,
        name: Name::new(list.name).with_context(|| format!("`{}` cannot name a list", list.name))?,
        comment: remark(list.comment)?,
    };
    maps.check_nesting(&prefixes)?;
    let change = Difference::new(&maps, place, &prefixes)?;
    maps.use_list(lists::DENY, true)?;
    let compare_ms = milliseconds(begun);
    let begun = Instant::now();
    all[usize::try_from(place)?] = wanted;
    maps.deny_lists.set(0, Value(all), 0).context("cannot write the loaded lists")?;
    change.write(&mut maps, place, progress)?;
    Ok(ListChange { compare_ms, transfer_ms: milliseconds(begun), ..change.counts() })
}

/// Forgets a list, with all that only it denies.
///
/// # Errors
/// If no filter is attached to `interface`, it has no list of that name, or its maps cannot be written.
pub fn deny_unload(interface: &str, name: &str) -> Result<ListChange> {
    let _lock = WriteLock::take()?;
    let mut maps = Maps::open(Pins::attached(interface)?.directory())?;
    let mut all = maps.lists()?;
    let Some(place) = (0..).zip(&all).find(|(_, list)| list.name.as_str() == Some(name)).map(|(place, _)| place) else {
        bail!("no list `{name}` is loaded on `{interface}`\nhint: `sipwall deny list --lists` shows those that are");
    };
    let change = Difference::new(&maps, place, &[])?;
    change.write(&mut maps, place, |_, _| {})?;
    all[usize::try_from(place)?] = NO_LIST;
    maps.deny_lists.set(0, Value(all), 0).context("cannot write the loaded lists")?;
    maps.forget_empty_list()?;
    Ok(change.counts())
}

/// The lists that were loaded on `interface`.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_lists(interface: &str) -> Result<Vec<DenyListInfo>> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let (lists, now) = (maps.lists()?, standing::now());
    let mut counts = [0; DENY_LISTS as usize];
    count(&maps.deny_v4, &mut counts)?;
    count(&maps.deny_v6, &mut counts)?;
    let shown = lists.iter().zip(counts).filter(|(list, _)| !list.expiry.is_over(now));
    Ok(shown
        .filter_map(|(list, prefixes)| {
            Some(DenyListInfo {
                name: list.name.as_str()?.to_owned(),
                prefixes,
                expires_in: seconds_left(list.expiry, now),
                comment: list.comment.as_str().map(str::to_owned),
            })
        })
        .collect())
}

fn count<const N: usize>(denied: &Denied<N>, counts: &mut [usize]) -> Result<()> {
    for (_, entry) in trie::entries(denied)? {
        for (place, count) in (0..).zip(counts.iter_mut()) {
            *count += usize::from(entry.holders & DenyEntry::list(place) != 0);
        }
    }
    Ok(())
}

/// The place of the list of this name, or a free one. Its bits are free: what was in it was let go before its name was.
fn place(lists: &[DenyList], name: &str) -> Result<u32> {
    let find = |name| (0..).zip(lists).find(|(_, list)| list.name.as_str() == name).map(|(place, _)| place);
    find(Some(name)).or_else(|| find(None)).with_context(|| {
        format!("{DENY_LISTS} lists are loaded, and there is room for no other\nhint: `sipwall deny unload NAME` forgets one")
    })
}

/// What has to be written for a list to have other prefixes.
struct Difference {
    v4: FamilyDifference<4>,
    v6: FamilyDifference<16>,
}

/// Entries as they are to be: those that the list comes to hold, and those that it lets go.
struct FamilyDifference<const N: usize> {
    added: Vec<(trie::Key<N>, DenyEntry)>,
    removed: Vec<(trie::Key<N>, DenyEntry)>,
}

impl Difference {
    fn new(maps: &Maps, place: u32, prefixes: &[IpNet]) -> Result<Self> {
        let holder = DenyEntry::list(place);
        Ok(Self {
            v4: FamilyDifference::new(&maps.deny_v4, holder, prefixes).context("IPv4")?,
            v6: FamilyDifference::new(&maps.deny_v6, holder, prefixes).context("IPv6")?,
        })
    }

    /// Writes what is new first: what both the old list and the new one deny is denied all the time.
    fn write(&self, maps: &mut Maps, place: u32, mut progress: impl FnMut(u64, u64)) -> Result<()> {
        let counts = self.counts();
        let total = u64::try_from(counts.added + counts.removed)?;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(done, total);
        };
        let holder = DenyEntry::list(place);
        for (key, entry) in &self.v4.added {
            write(&mut maps.deny_v4, *key, DenyEntry { holders: entry.holders | holder, ..*entry })?;
            step();
        }
        for (key, entry) in &self.v6.added {
            write(&mut maps.deny_v6, *key, DenyEntry { holders: entry.holders | holder, ..*entry })?;
            step();
        }
        for (key, entry) in &self.v4.removed {
            write(&mut maps.deny_v4, *key, DenyEntry { holders: entry.holders & !holder, ..*entry })?;
            step();
        }
        for (key, entry) in &self.v6.removed {
            write(&mut maps.deny_v6, *key, DenyEntry { holders: entry.holders & !holder, ..*entry })?;
            step();
        }
        Ok(())
    }

    fn counts(&self) -> ListChange {
        ListChange {
            added: self.v4.added.len() + self.v6.added.len(),
            removed: self.v4.removed.len() + self.v6.removed.len(),
            ..ListChange::default()
        }
    }
}

impl<const N: usize> FamilyDifference<N> {
    fn new(denied: &Denied<N>, holder: u32, prefixes: &[IpNet]) -> Result<Self> {
        let mut missing: HashSet<(u32, [u8; N])> =
            prefixes.iter().filter_map(|prefix| trie::key(*prefix).map(trie::identity)).collect();
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        let mut entries = 0;
        for (key, entry) in trie::entries(denied)? {
            entries += 1;
            match (missing.remove(&trie::identity(key)), entry.holders & holder != 0) {
                (true, false) => added.push((key, entry)),
                (false, true) => removed.push((key, entry)),
                _ => {}
            }
        }
        let (needed, limit) = (entries + missing.len(), usize::try_from(DENY_PREFIXES)?);
        // What is let go makes room only when what is new is written.
        ensure!(needed <= limit, "the deny list would need {needed} prefixes, and there is room for {limit}");
        added.extend(missing.into_iter().map(|(prefix_length, octets)| {
            (trie::Key::new(prefix_length, octets), DenyEntry { prefix_length, ..DenyEntry::default() })
        }));
        Ok(Self { added, removed })
    }
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

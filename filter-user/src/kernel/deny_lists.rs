//! Lists that are loaded into the deny list as a whole: what a list had before and has no more, it lets go.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use filter_common::{
    Name,
    live::{DENY_LISTS, DenyEntry, DenyList, Expiry, Remark},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    deny::{difference, remark},
    deny_change::Change,
    deny_notes::LISTS,
    live::{remaining_seconds, until},
    lock::WriteLock,
    maps::{Maps, Value},
    pins::Pins,
    standing, upgrade,
};
use crate::{fault, policy::outermost};

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
    #[serde(rename = "added_count")]
    pub added: usize,
    /// Prefixes that it had and has no more.
    #[serde(rename = "removed_count")]
    pub removed: usize,
    /// How long it took to find out what is there, in milliseconds.
    pub compare_milliseconds: u64,
    /// How long it took to write the difference, in milliseconds.
    pub transfer_milliseconds: u64,
}

/// A list as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct DenyListInfo {
    /// Its name.
    pub name: String,
    /// How many prefixes it has; those inside others do not count.
    pub prefixes: usize,
    /// Seconds until it ends, rounded up; nothing if it never does.
    pub expires_in_seconds: Option<u64>,
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
    let mut maps = upgrade::maps_to_change(interface)?;
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
    let holder = DenyEntry::list(place);
    let [before] = maps.held_by([holder])?;
    let (added, removed) = (difference(&prefixes, &before), difference(&before, &prefixes));
    let compare_milliseconds = milliseconds(begun);
    let begun = Instant::now();
    let change = Change { holder, added: &added, removed: &removed, expiry: Expiry::NEVER };
    let old = all[usize::try_from(place)?];
    all[usize::try_from(place)?] = wanted;
    maps.write_lists(&all)?;
    if let Err(error) = maps.change_denied(&before, &change, progress) {
        all[usize::try_from(place)?] = old;
        maps.write_lists(&all)?;
        return Err(error);
    }
    Ok(ListChange {
        added: added.len(),
        removed: removed.len(),
        compare_milliseconds,
        transfer_milliseconds: milliseconds(begun),
    })
}

/// Forgets a list, with all that only it denies.
///
/// # Errors
/// If no filter is attached to `interface`, it has no list of that name, or its maps cannot be written.
pub fn deny_unload(interface: &str, name: &str) -> Result<ListChange> {
    let _lock = WriteLock::take()?;
    let mut maps = upgrade::maps_to_change(interface)?;
    let mut all = maps.lists()?;
    let Some(place) = (0..).zip(&all).find(|(_, list)| list.name.as_str() == Some(name)).map(|(place, _)| place) else {
        bail!("no list `{name}` is loaded on `{interface}`\nhint: `sipwall deny list --lists` shows those that are");
    };
    let begun = Instant::now();
    let holder = DenyEntry::list(place);
    let [before] = maps.held_by([holder])?;
    let change = Change { holder, added: &[], removed: &before, expiry: Expiry::NEVER };
    maps.change_denied(&before, &change, |_, _| {})?;
    all[usize::try_from(place)?] = NO_LIST;
    maps.write_lists(&all)?;
    Ok(ListChange { removed: before.len(), transfer_milliseconds: milliseconds(begun), ..ListChange::default() })
}

/// The lists that were loaded on `interface`.
///
/// # Errors
/// If no filter is attached there, or its maps cannot be read.
pub fn deny_lists(interface: &str) -> Result<Vec<DenyListInfo>> {
    let maps = Maps::open(Pins::attached(interface)?.directory())?;
    let (lists, now) = (maps.lists()?, standing::now());
    let counts = maps.held_by(LISTS)?.map(|prefixes| prefixes.len());
    let shown = lists.iter().zip(counts).filter(|(list, _)| !list.expiry.is_over(now));
    Ok(shown
        .filter_map(|(list, prefixes)| {
            Some(DenyListInfo {
                name: list.name.as_str()?.to_owned(),
                prefixes,
                expires_in_seconds: remaining_seconds(list.expiry, now),
                comment: list.comment.as_str().map(str::to_owned),
            })
        })
        .collect())
}

impl Maps {
    fn write_lists(&mut self, lists: &[DenyList; DENY_LISTS as usize]) -> Result<()> {
        fault::step();
        self.deny_lists.set(0, Value(*lists), 0).context("cannot write the loaded lists")
    }
}

/// The place of the list of this name, or a free one. Its bits are free: what was in it was let go before its name was.
fn place(lists: &[DenyList], name: &str) -> Result<u32> {
    let find = |name| (0..).zip(lists).find(|(_, list)| list.name.as_str() == name).map(|(place, _)| place);
    find(Some(name)).or_else(|| find(None)).with_context(|| {
        format!("{DENY_LISTS} lists are loaded, and there is room for no other\nhint: `sipwall deny unload NAME` forgets one")
    })
}

fn milliseconds(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

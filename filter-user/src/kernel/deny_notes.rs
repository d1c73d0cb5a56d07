//! What each holder of the deny list denies, noted beside it.
//!
//! The tries say of a prefix who holds it; what one holder holds, only a walk over all of them says. They can have a million
//! entries where a change is about one, so it is noted. While the summary is not among the pins the notes hold nothing: it is
//! removed before entries are changed and written when they are, so notes that are there say what the tries do.

use std::{
    collections::HashMap as Collected,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData};
use bytemuck::{Pod, Zeroable};
use filter_common::{
    Address,
    live::{DENY_LISTS, DenyEntry, Expiry},
    tables::GENERATIONS,
};
use ipnet::IpNet;

use super::{
    batch,
    maps::{Maps, Value},
    pins, readback,
    trie::Denied,
};
use crate::fault;

/// How many prefixes are read and written by one system call.
const AT_A_TIME: usize = 256;

/// A prefix as it is noted; all zero behind the last one.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Noted {
    address: [u64; 2],
    length: u32,
    is_there: u32,
}

type Notes = Array<MapData, Value<[Noted; AT_A_TIME]>>;

/// What is denied, in numbers: by family, IPv4 first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Summary {
    /// Entries of the tries, one that several hold once.
    entries: [u64; 2],
    /// The lengths of prefixes that are there, and perhaps of some that were: a bit for each.
    lengths: [[u64; 3]; 2],
}

impl Summary {
    /// How many entries there are, by family.
    pub(super) const fn entries(&self) -> [u64; 2] {
        self.entries
    }

    /// How many lengths are there, in the family that has more.
    pub(super) fn lengths(&self) -> u32 {
        let count = |lengths: &[u64; 3]| lengths.iter().map(|part| part.count_ones()).sum();
        self.lengths.iter().map(count).max().unwrap_or_default()
    }

    /// How many lengths are there from the prefix's own on, in its family.
    pub(super) fn lengths_from(&self, prefix: &IpNet) -> u32 {
        let lengths = &self.lengths[family(prefix)];
        (prefix.prefix_len()..=prefix.max_prefix_len()).map(|length| u32::from(has(lengths, length))).sum()
    }

    /// The same with an entry of this prefix, which had none.
    #[must_use]
    pub(super) fn with(mut self, prefix: &IpNet) -> Self {
        let (family, length) = (family(prefix), prefix.prefix_len());
        self.entries[family] += 1;
        self.lengths[family][usize::from(length / 64)] |= 1 << (length % 64);
        self
    }

    /// The same without the entry of this prefix.
    #[must_use]
    pub(super) fn without(mut self, prefix: &IpNet) -> Self {
        let family = family(prefix);
        self.entries[family] = self.entries[family].saturating_sub(1);
        if self.entries[family] == 0 {
            self.lengths[family] = [0; 3];
        }
        self
    }
}

fn family(prefix: &IpNet) -> usize {
    usize::from(matches!(prefix, IpNet::V6(_)))
}

const fn has(lengths: &[u64; 3], length: u8) -> bool {
    lengths[(length / 64) as usize] >> (length % 64) & 1 == 1
}

/// The holders that lists are, by their places.
pub(super) const LISTS: [u32; DENY_LISTS as usize] = {
    let mut lists = [0; DENY_LISTS as usize];
    let mut place = 0;
    while place < DENY_LISTS {
        lists[place as usize] = DenyEntry::list(place);
        place += 1;
    }
    lists
};

/// Stands for what was added to end at some time, which is noted by itself as if somebody else held it: who asks what has ended
/// looks at no other entries.
pub(super) const ENDING: u32 = 1 << 31;

/// Every holder that there can be.
fn holders() -> impl Iterator<Item = u32> {
    (0..GENERATIONS).map(DenyEntry::policy).chain([DenyEntry::ADDED]).chain(LISTS)
}

impl Maps {
    /// What these holders hold, ascending.
    pub(super) fn held_by<const N: usize>(&self, holders: [u32; N]) -> Result<[Vec<IpNet>; N]> {
        let mut held = [const { Vec::new() }; N];
        match self.directory.as_deref().filter(|directory| pins::deny_summary(directory).exists()) {
            Some(directory) => {
                for (holder, held) in holders.iter().zip(&mut held) {
                    *held = read(&pins::held_by(directory, *holder))?;
                }
            }
            None => {
                let mut walked = self.walk()?.held;
                for (holder, held) in holders.iter().zip(&mut held) {
                    *held = walked.remove(holder).unwrap_or_default();
                }
            }
        }
        Ok(held)
    }

    /// What is denied, in numbers. Where it is not noted, the tries are walked once, and it is from then on.
    pub(super) fn deny_summary(&mut self) -> Result<Summary> {
        if let Some(noted) = self.noted_summary()? {
            return Ok(noted);
        }
        let Walked { mut held, summary } = self.walk()?;
        if let Some(directory) = self.directory.as_deref() {
            fault::step();
            for holder in holders().chain([ENDING]) {
                write(&pins::held_by(directory, holder), &held.remove(&holder).unwrap_or_default())?;
            }
            write_summary(directory, summary)?;
        }
        Ok(summary)
    }

    /// The same where it is noted.
    pub(super) fn noted_summary(&self) -> Result<Option<Summary>> {
        let noted = self.directory.as_deref().map(pins::deny_summary).filter(|summary| summary.exists());
        let Some(path) = noted else { return Ok(None) };
        let summary: Array<MapData, Value<Summary>> = open(&path)?.try_into()?;
        Ok(Some(summary.get(&0, 0)?.0))
    }

    /// Lets the notes hold no more, until they are written anew.
    pub(super) fn distrust_notes(&mut self) -> Result<()> {
        let Some(directory) = self.directory.as_deref() else { return Ok(()) };
        let summary = pins::deny_summary(directory);
        fault::step();
        pins::unless_missing(fs::remove_file(&summary))
            .with_context(|| format!("cannot remove `{}`", summary.display()))
    }

    /// Notes what a holder holds now, ascending, which held something else before.
    pub(super) fn note_held(&self, holder: u32, before: &[IpNet], now: &[IpNet]) -> Result<()> {
        let Some(directory) = self.directory.as_deref().filter(|_| before != now) else { return Ok(()) };
        fault::step();
        write(&pins::held_by(directory, holder), now)
    }

    /// Lets the notes hold again, and notes what all of it comes to.
    pub(super) fn trust_notes(&self, summary: Summary) -> Result<()> {
        let Some(directory) = self.directory.as_deref() else { return Ok(()) };
        fault::step();
        write_summary(directory, summary)
    }

    /// What is denied, as the tries say it.
    fn walk(&self) -> Result<Walked> {
        let mut walked = Walked::default();
        walked.walk(&self.deny_v4)?;
        walked.walk(&self.deny_v6)?;
        for prefixes in walked.held.values_mut() {
            prefixes.sort_unstable();
        }
        Ok(walked)
    }
}

/// What a walk over the tries found.
#[derive(Default)]
struct Walked {
    /// What each holder holds, ascending.
    held: Collected<u32, Vec<IpNet>>,
    summary: Summary,
}

impl Walked {
    fn walk<const N: usize>(&mut self, denied: &Denied<N>) -> Result<()> {
        for (key, entry) in batch::entries(denied)? {
            let prefix = readback::prefix(key)?;
            self.summary = self.summary.with(&prefix);
            let ending = (entry.expiry != Expiry::NEVER).then_some(ENDING);
            for holder in holders().filter(|holder| entry.holders & holder != 0).chain(ending) {
                self.held.entry(holder).or_default().push(prefix);
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Map> {
    let data = MapData::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok(Map::from_map_data(data)?)
}

/// What is noted there; nothing where there is no note.
fn read(path: &Path) -> Result<Vec<IpNet>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let notes: Notes = open(path)?.try_into()?;
    let mut prefixes = Vec::new();
    for place in 0..notes.len() {
        let Value(part) = notes.get(&place, 0).context("cannot read what is denied")?;
        for Noted { address, length, .. } in part.into_iter().take_while(|noted| noted.is_there != 0) {
            prefixes.push(IpNet::new(Address::from_words(address).into(), u8::try_from(length)?)?);
        }
    }
    Ok(prefixes)
}

/// Notes prefixes there, in the place of what was; nothing is there where there are none.
fn write(path: &Path, prefixes: &[IpNet]) -> Result<()> {
    pins::unless_missing(fs::remove_file(path)).with_context(|| format!("cannot remove `{}`", path.display()))?;
    if prefixes.is_empty() {
        return Ok(());
    }
    let parts = prefixes.chunks(AT_A_TIME);
    let mut notes = Notes::create(u32::try_from(parts.len())?, 0).context("cannot create a map")?;
    for (place, part) in (0..).zip(parts) {
        let mut noted = [Noted::default(); AT_A_TIME];
        for (noted, prefix) in noted.iter_mut().zip(part) {
            let address = Address::from(prefix.network()).words();
            *noted = Noted { address, length: prefix.prefix_len().into(), is_there: 1 };
        }
        notes.set(place, Value(noted), 0).context("cannot note what is denied")?;
    }
    notes.pin(path).with_context(|| format!("cannot pin `{}`", path.display()))
}

fn write_summary(directory: &Path, summary: Summary) -> Result<()> {
    let mut map = Array::<MapData, Value<Summary>>::create(1, 0).context("cannot create a map")?;
    map.set(0, Value(summary), 0)?;
    let path: PathBuf = pins::deny_summary(directory);
    map.pin(&path).with_context(|| format!("cannot pin `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_by_family_and_forgets_no_length_before_the_last_entry_is_gone() {
        let nets = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32"].map(|text| text.parse().unwrap());
        let [wide, middle, host, other]: [IpNet; 4] = nets;
        let summary = nets.iter().fold(Summary::default(), Summary::with);
        assert_eq!(summary.entries(), [3, 1]);
        assert_eq!(nets.iter().fold(summary, Summary::without), Summary::default());
        let lengths = [wide, middle, host, other].map(|prefix| summary.without(&middle).lengths_from(&prefix));
        assert_eq!(lengths, [3, 2, 1, 1]);
    }

    #[test]
    fn every_holder_has_a_bit_of_its_own() {
        let all: Vec<u32> = holders().chain([ENDING]).collect();
        assert_eq!(all.iter().fold(0, |bits, holder| bits | holder).count_ones() as usize, all.len());
    }
}

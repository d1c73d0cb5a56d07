//! Tries: prefixes as the kernel's longest-prefix-match tries hold them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::maps::{ArrayOfMaps, LpmTrie, Map, MapData, MapError, lpm_trie};
use filter_common::live::{DenyEntry, LiveSet};
use ipnet::IpNet;

use super::{maps::Value, pins};

/// A trie over addresses of `N` octets: 4 or 16.
pub(super) type Trie<const N: usize, V> = LpmTrie<MapData, [u8; N], Value<V>>;
/// The key of a prefix.
pub(super) type Key<const N: usize> = lpm_trie::Key<[u8; N]>;
/// The sources of a generation, by the index of their source set.
pub(super) type Sources<const N: usize> = Trie<N, u32>;
/// The sources of live allows, by the terms that cover them.
pub(super) type LiveSources<const N: usize> = Trie<N, LiveSet>;
/// Denied prefixes.
pub(super) type Denied<const N: usize> = Trie<N, DenyEntry>;

/// `BPF_F_NO_PREALLOC`, which the kernel demands of a trie.
const NO_PREALLOC: u32 = 1;

/// The key of a prefix, if it is of the family whose addresses have `N` octets.
pub(super) fn key<const N: usize>(prefix: IpNet) -> Option<Key<N>> {
    let octets: [u8; N] = match prefix {
        IpNet::V4(net) => net.network().octets().as_slice().try_into().ok()?,
        IpNet::V6(net) => net.network().octets().as_slice().try_into().ok()?,
    };
    Some(Key::new(prefix.prefix_len().into(), octets))
}

/// A new trie with those of the prefixes that are of its family.
pub(super) fn create<const N: usize, V: bytemuck::Pod>(capacity: u32, prefixes: &[(IpNet, V)]) -> Result<Trie<N, V>> {
    let mut trie = Trie::create(capacity, NO_PREALLOC).context("cannot create a trie")?;
    for (prefix, value) in prefixes {
        if let Some(key) = key(*prefix) {
            trie.insert(&key, Value(*value), 0).with_context(|| format!("cannot write the prefix {prefix}"))?;
        }
    }
    Ok(trie)
}

/// The place of a trie among those of its kind.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    of: &'static str,
    slot: u32,
    /// Where its pin is; nothing where nothing is pinned.
    directory: Option<&'a Path>,
}

impl<'a> Place<'a> {
    /// Of the sources of a policy.
    pub(super) const fn sources(slot: u32, directory: Option<&'a Path>) -> Self {
        Self { of: "sources", slot, directory }
    }

    /// Of the sources of live allows.
    pub(super) const fn live(slot: u32, directory: Option<&'a Path>) -> Self {
        Self { of: "live", slot, directory }
    }

    fn pin<const N: usize>(self) -> Option<PathBuf> {
        self.directory.map(|directory| pins::trie(directory, self.of, N, self.slot))
    }
}

/// Puts a trie in its slot, and its pin in the place of that of the one before.
pub(super) fn place<const N: usize, V: bytemuck::Pod>(
    tries: &mut ArrayOfMaps<MapData, Trie<N, V>>,
    place: Place<'_>,
    trie: Trie<N, V>,
) -> Result<()> {
    let pin = place.pin::<N>();
    if let Some(pin) = &pin {
        // First: a pin that is left must not be that of another trie.
        pins::unless_missing(fs::remove_file(pin)).with_context(|| format!("cannot remove `{}`", pin.display()))?;
    }
    // This waits until no packet is left that saw the trie that stood there before.
    tries.set(place.slot, &trie, 0).with_context(|| format!("cannot write a trie of {} prefixes", place.of))?;
    if let Some(pin) = &pin {
        trie.pin(pin).with_context(|| format!("cannot pin `{}`", pin.display()))?;
    }
    Ok(())
}

/// The trie in a slot; nothing where none was ever written.
pub(super) fn in_slot<const N: usize, V: bytemuck::Pod>(
    tries: &ArrayOfMaps<MapData, Trie<N, V>>,
    place: Place<'_>,
) -> Result<Option<Trie<N, V>>> {
    if let Some(pin) = place.pin::<N>().filter(|pin| pin.exists()) {
        let data = MapData::from_pin(&pin).with_context(|| format!("cannot open `{}`", pin.display()))?;
        return Ok(Some(Map::from_map_data(data)?.try_into()?));
    }
    match tries.get(&place.slot, 0) {
        Err(MapError::KeyNotFound) => Ok(None),
        trie => Ok(Some(trie.with_context(|| format!("cannot open a trie of {} prefixes", place.of))?)),
    }
}

/// Every entry.
pub(super) fn entries<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<Vec<(Key<N>, V)>> {
    let entries = trie.iter().map(|entry| entry.map(|(key, Value(value))| (key, value)));
    entries.collect::<Result<_, _>>().context("cannot read a trie")
}

/// The value of the longest prefix that covers this one, or is it.
pub(super) fn longest<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>, key: &Key<N>) -> Result<Option<V>> {
    match trie.get(key, 0) {
        Ok(Value(value)) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error).context("cannot read a trie"),
    }
}

/// The value of the longest prefix that covers this one, if it is of the trie's family.
pub(super) fn lookup<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>, prefix: IpNet) -> Result<Option<V>> {
    key(prefix).map_or(Ok(None), |key| longest(trie, &key))
}

/// How many entries there are.
pub(super) fn count<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<u64> {
    trie.keys().try_fold(0, |count, key| Ok(key.map(|_| count + 1)?))
}

/// Removes an entry, if it is there.
pub(super) fn remove<const N: usize, V: bytemuck::Pod>(trie: &mut Trie<N, V>, key: &Key<N>) -> Result<()> {
    match trie.remove(key) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is no entry.
pub(super) fn is_empty<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<bool> {
    Ok(trie.keys().next().transpose().context("cannot read a trie")?.is_none())
}

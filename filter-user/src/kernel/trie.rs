//! Tries: prefixes as the kernel's longest-prefix-match tries hold them.

use std::io;

use anyhow::{Context as _, Result};
use aya::maps::{LpmTrie, MapData, MapError, lpm_trie};
use filter_common::live::DenyEntry;
use ipnet::IpNet;

use super::{batch, maps::Value};

/// A trie over addresses of `N` octets: 4 or 16.
pub(super) type Trie<const N: usize, V> = LpmTrie<MapData, [u8; N], Value<V>>;
/// The key of a prefix.
pub(super) type Key<const N: usize> = lpm_trie::Key<[u8; N]>;
/// Denied prefixes.
pub(super) type Denied<const N: usize> = Trie<N, DenyEntry>;

/// The key of a prefix, if it is of the family whose addresses have `N` octets.
pub(super) fn key<const N: usize>(prefix: IpNet) -> Option<Key<N>> {
    let octets: [u8; N] = match prefix {
        IpNet::V4(net) => net.network().octets().as_slice().try_into().ok()?,
        IpNet::V6(net) => net.network().octets().as_slice().try_into().ok()?,
    };
    Some(Key::new(prefix.prefix_len().into(), octets))
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
    Ok(u64::try_from(batch::entries(trie)?.len())?)
}

/// Removes entries, as far as they are there.
pub(super) fn remove<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>, mut keys: &[Key<N>]) -> Result<()> {
    while !keys.is_empty() {
        match batch::delete(trie, keys) {
            Ok(()) => return Ok(()),
            Err((done, error)) if error.kind() == io::ErrorKind::NotFound => {
                keys = keys.get(done + 1..).unwrap_or_default();
            }
            Err((_, error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether there is no entry.
pub(super) fn is_empty<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<bool> {
    Ok(trie.keys().next().transpose().context("cannot read a trie")?.is_none())
}

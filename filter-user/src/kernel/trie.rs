//! Source tries: prefixes as the kernel's longest-prefix-match tries hold them.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use aya::maps::{LpmTrie, MapData, lpm_trie::Key};
use filter_common::tables::DenyEntry;
use ipnet::IpNet;

use super::maps::Value;

/// A trie over addresses of `N` octets: 4 or 16.
pub(super) type Trie<const N: usize, V> = LpmTrie<MapData, [u8; N], Value<V>>;
/// The sources of a generation, by the index of their source set.
pub(super) type Sources<const N: usize> = Trie<N, u32>;
/// Denied prefixes.
pub(super) type Denied<const N: usize> = Trie<N, DenyEntry>;

/// `BPF_F_NO_PREALLOC`, which the kernel demands of a trie.
const NO_PREALLOC: u32 = 1;

/// The key of a prefix, if it is of the family whose addresses have `N` octets.
fn key<const N: usize>(prefix: IpNet) -> Option<Key<[u8; N]>> {
    let octets: [u8; N] = match prefix {
        IpNet::V4(net) => net.network().octets().as_slice().try_into().ok()?,
        IpNet::V6(net) => net.network().octets().as_slice().try_into().ok()?,
    };
    Some(Key::new(prefix.prefix_len().into(), octets))
}

/// A new trie with those of the prefixes that are of its family.
pub(super) fn create<const N: usize>(capacity: u32, prefixes: &[(IpNet, u32)]) -> Result<Sources<N>> {
    let mut trie = Sources::create(capacity, NO_PREALLOC).context("cannot create a trie")?;
    insert(&mut trie, prefixes.iter().copied())?;
    Ok(trie)
}

/// Adds those of the prefixes that are of the trie's family.
fn insert<const N: usize, V: bytemuck::Pod>(
    trie: &mut Trie<N, V>,
    prefixes: impl Iterator<Item = (IpNet, V)>,
) -> Result<()> {
    for (prefix, value) in prefixes {
        if let Some(key) = key(prefix) {
            trie.insert(&key, Value(value), 0).with_context(|| format!("cannot write the prefix {prefix}"))?;
        }
    }
    Ok(())
}

/// Makes a deny list hold those of the prefixes that are of its family, for ever, and no others, entry by entry:
/// what stays is never missing.
pub(super) fn replace<const N: usize>(trie: &mut Denied<N>, prefixes: &[IpNet]) -> Result<()> {
    insert(trie, prefixes.iter().map(|prefix| (*prefix, DenyEntry::new(prefix.prefix_len().into(), 0))))?;
    let identity = |key: Key<[u8; N]>| (key.prefix_len(), key.data());
    let wanted: HashSet<_> = prefixes.iter().filter_map(|prefix| key(*prefix).map(identity)).collect();
    let present: Vec<_> = trie.keys().collect::<Result<_, _>>().context("cannot read a trie")?;
    for key in present.into_iter().filter(|key| !wanted.contains(&identity(*key))) {
        trie.remove(&key).context("cannot remove a prefix from a trie")?;
    }
    Ok(())
}

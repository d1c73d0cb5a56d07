//! Source tries: prefixes as the kernel's longest-prefix-match tries hold them.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use aya::maps::{LpmTrie, MapData, lpm_trie::Key};
use ipnet::IpNet;

/// A trie over addresses of `N` octets: 4 or 16.
pub(super) type Trie<const N: usize> = LpmTrie<MapData, [u8; N], u32>;

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
pub(super) fn create<const N: usize>(capacity: u32, prefixes: &[(IpNet, u32)]) -> Result<Trie<N>> {
    let mut trie = Trie::create(capacity, NO_PREALLOC).context("cannot create a trie")?;
    insert(&mut trie, prefixes.iter().copied())?;
    Ok(trie)
}

/// Adds those of the prefixes that are of the trie's family.
fn insert<const N: usize>(trie: &mut Trie<N>, prefixes: impl Iterator<Item = (IpNet, u32)>) -> Result<()> {
    for (prefix, value) in prefixes {
        if let Some(key) = key(prefix) {
            trie.insert(&key, value, 0).with_context(|| format!("cannot write the prefix {prefix}"))?;
        }
    }
    Ok(())
}

/// Makes the trie hold those of the prefixes that are of its family, and no others, entry by entry:
/// what stays is never missing.
pub(super) fn replace<const N: usize>(trie: &mut Trie<N>, prefixes: &[IpNet]) -> Result<()> {
    insert(trie, prefixes.iter().map(|prefix| (*prefix, 1)))?;
    let identity = |key: Key<[u8; N]>| (key.prefix_len(), key.data());
    let wanted: HashSet<_> = prefixes.iter().filter_map(|prefix| key(*prefix).map(identity)).collect();
    let present: Vec<_> = trie.keys().collect::<Result<_, _>>().context("cannot read a trie")?;
    for key in present.into_iter().filter(|key| !wanted.contains(&identity(*key))) {
        trie.remove(&key).context("cannot remove a prefix from a trie")?;
    }
    Ok(())
}

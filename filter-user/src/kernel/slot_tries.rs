//! The tries of slots, which packets look at: written in place, by what is different.

use std::{cmp::Ordering, net::IpAddr};

use anyhow::{Context as _, Result};
use aya::maps::Map;
use filter_common::tables::GENERATIONS;
use ipnet::IpNet;

use super::{
    batch,
    trie::{self, Key, Trie},
};
use crate::fault;

/// The names of the tries of each slot, of IPv4 and of IPv6.
pub(super) type Names = [[&'static str; GENERATIONS as usize]; 2];

/// A trie for each slot and family.
pub(super) struct SlotTries<V> {
    v4: Vec<Trie<4, V>>,
    v6: Vec<Trie<16, V>>,
}

impl<V: bytemuck::Pod + PartialEq> SlotTries<V> {
    pub(super) fn collect([v4, v6]: Names, mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            v4: v4.iter().map(|name| Ok(map(name)?.try_into()?)).collect::<Result<_>>()?,
            v6: v6.iter().map(|name| Ok(map(name)?.try_into()?)).collect::<Result<_>>()?,
        })
    }

    /// Makes these the prefixes of a slot that no packet looks at. Both ascend. `known`: those that it has; nothing where that is
    /// not known.
    pub(super) fn write(
        &self,
        slot: u32,
        known: Option<impl Iterator<Item = (IpNet, V)>>,
        wanted: impl Iterator<Item = (IpNet, V)>,
    ) -> Result<()> {
        let (v4, v6) = self.of(slot)?;
        if known.is_none() {
            empty(v4)?;
            empty(v6)?;
        }
        let difference = Difference::of(known.into_iter().flatten(), wanted);
        change(v4, &difference)?;
        change(v6, &difference)
    }

    pub(super) fn find(&self, slot: u32, host: IpAddr) -> Result<Option<V>> {
        let (v4, v6) = self.of(slot)?;
        if host.is_ipv4() { trie::lookup(v4, host.into()) } else { trie::lookup(v6, host.into()) }
    }

    /// The tries of a slot.
    fn of(&self, slot: u32) -> Result<(&Trie<4, V>, &Trie<16, V>)> {
        let slot = usize::try_from(slot)?;
        self.v4.get(slot).zip(self.v6.get(slot)).context("there is no such slot")
    }
}

/// What has to be removed, and what has to be written.
struct Difference<V> {
    gone: Vec<IpNet>,
    new: Vec<(IpNet, V)>,
}

impl<V: Copy + PartialEq> Difference<V> {
    /// The difference between prefixes that ascend.
    fn of(known: impl Iterator<Item = (IpNet, V)>, wanted: impl Iterator<Item = (IpNet, V)>) -> Self {
        let mut difference = Self { gone: Vec::new(), new: Vec::new() };
        let (mut known, mut wanted) = (known.peekable(), wanted.peekable());
        loop {
            let order = match (known.peek(), wanted.peek()) {
                (None, None) => return difference,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let gone = known.next_if(|_| order != Ordering::Greater);
            let new = wanted.next_if(|_| order != Ordering::Less);
            match (gone, new) {
                (Some((prefix, _)), None) => difference.gone.push(prefix),
                (Some(one), Some(other)) if one == other => {}
                (_, new) => difference.new.extend(new),
            }
        }
    }
}

/// Writes what is different into the trie of one family.
fn change<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>, Difference { gone, new }: &Difference<V>) -> Result<()> {
    let gone: Vec<Key<N>> = gone.iter().filter_map(|prefix| trie::key(*prefix)).collect();
    for keys in gone.chunks(batch::AT_ONCE) {
        fault::step();
        trie::remove(trie, keys).context("cannot remove prefixes from a trie")?;
    }
    let (keys, values): (Vec<Key<N>>, Vec<V>) =
        new.iter().filter_map(|(prefix, value)| Some((trie::key(*prefix)?, *value))).unzip();
    for (keys, values) in keys.chunks(batch::AT_ONCE).zip(values.chunks(batch::AT_ONCE)) {
        fault::step();
        batch::update(trie, keys, values).map_err(|(_, error)| error).context("cannot write prefixes into a trie")?;
    }
    Ok(())
}

/// Removes whatever there is.
fn empty<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<()> {
    let keys: Vec<Key<N>> = batch::entries(trie)?.into_iter().map(|(key, _)| key).collect();
    for keys in keys.chunks(batch::AT_ONCE) {
        fault::step();
        trie::remove(trie, keys).context("cannot empty a trie")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn prefixes() -> impl Strategy<Value = BTreeMap<IpNet, u32>> {
        let prefix = (any::<bool>(), 0..6_u8).prop_map(|(v4, number)| {
            let text = if v4 { format!("192.0.2.{number}/32") } else { format!("2001:db8::{number}/128") };
            text.parse::<IpNet>().expect("a prefix")
        });
        btree_map(prefix, 0..3_u32, 0..12)
    }

    proptest! {
        #[test]
        fn what_is_gone_and_what_is_new_make_the_one_of_the_other(known in prefixes(), wanted in prefixes()) {
            let Difference { gone, new } = Difference::of(known.clone().into_iter(), wanted.clone().into_iter());
            prop_assert!(gone.iter().all(|prefix| known.contains_key(prefix) && !wanted.contains_key(prefix)));
            prop_assert!(new.iter().all(|(prefix, value)| known.get(prefix) != Some(value)));
            let mut made = known;
            made.retain(|prefix, _| !gone.contains(prefix));
            made.extend(new);
            prop_assert_eq!(made, wanted);
        }
    }
}

//! The filter in front of the deny list: bits that are 0 where no address is denied.
//!
//! A bit is set before an entry under it is written. It stays when the entry goes, for others may be under it, until the
//! list is empty: a packet then takes the longer way to the same answer.

use anyhow::Result;
use aya::maps::{Array, Map, MapData};
use filter_common::{Address, live::deny_filter_bits};
use ipnet::IpNet;

use super::{mapped::Mapped, maps::Value};

/// The filter.
pub(super) struct DenyFilter {
    map: Array<MapData, Value<u64>>,
    mapped: Option<Mapped<u64>>,
}

impl DenyFilter {
    pub(super) fn new(map: Map) -> Result<Self> {
        Ok(Self { map: map.try_into()?, mapped: None })
    }

    /// Lets packets from this prefix be looked up in the deny list.
    pub(super) fn set(&mut self, prefix: IpNet) -> Result<()> {
        let (first, count) = deny_filter_bits(Address::from(prefix.network()), prefix.prefix_len().into());
        let words = self.words()?;
        // Both are powers of two or begin at one: bits are within a word, or are whole words.
        let place = usize::try_from(first / 64)?;
        if count < 64 {
            words[place] |= ((1 << count) - 1) << (first % 64);
        } else {
            words[place..place + usize::try_from(count / 64)?].fill(u64::MAX);
        }
        Ok(())
    }

    /// Forgets all bits, where nothing is denied.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.words()?.fill(0);
        Ok(())
    }

    fn words(&mut self) -> Result<&mut [u64]> {
        let mapped = match self.mapped.take() {
            Some(mapped) => mapped,
            None => Mapped::new(&self.map)?,
        };
        Ok(self.mapped.insert(mapped).entries())
    }
}

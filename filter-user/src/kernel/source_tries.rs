//! The source tries: two of each family for each slot, which are written side by side.

use std::{net::IpAddr, thread};

use anyhow::{Result, anyhow};
use aya::maps::Map;
use filter_common::{
    Address,
    halves::{HALF_LENGTHS, HALVES, half},
};
use ipnet::IpNet;

use super::slot_tries::{Names, SlotTries};

/// The names of each half's.
pub(super) const NAMES: [Names; HALVES] = [
    [["SOURCES_V4_A0", "SOURCES_V4_A1", "SOURCES_V4_A2"], ["SOURCES_V6_A0", "SOURCES_V6_A1", "SOURCES_V6_A2"]],
    [["SOURCES_V4_B0", "SOURCES_V4_B1", "SOURCES_V4_B2"], ["SOURCES_V6_B0", "SOURCES_V6_B1", "SOURCES_V6_B2"]],
];

/// The tries of each half of the addresses.
pub(super) struct SourceTries([SlotTries<u32>; HALVES]);

impl SourceTries {
    pub(super) fn collect(mut map: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        let [first, second] = NAMES;
        Ok(Self([SlotTries::collect(first, &mut map)?, SlotTries::collect(second, &mut map)?]))
    }

    /// Makes these the prefixes of a slot that no packet looks at, and meanwhile does something else. Both ascend. `known`: those
    /// that it has; nothing where that is not known.
    pub(super) fn write<T>(
        &self,
        slot: u32,
        known: Option<&[(IpNet, u32)]>,
        wanted: &[(IpNet, u32)],
        meanwhile: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let write =
            |half: usize| self.0[half].write(slot, known.map(|known| in_half(half, known)), in_half(half, wanted));
        thread::scope(|scope| {
            let writing: Vec<_> = (0..HALVES).map(|half| scope.spawn(move || write(half))).collect();
            let done = meanwhile();
            for half in writing {
                half.join().map_err(|_| anyhow!("a thread that writes sources panicked"))??;
            }
            done
        })
    }

    /// What the longest prefix around a host stands for in a slot; nothing where there is none.
    pub(super) fn find(&self, slot: u32, host: IpAddr) -> Result<Option<u32>> {
        self.0[half(Address::from(host))].find(slot, host)
    }
}

/// Those of the prefixes that lie in a half, or in both.
fn in_half(half: usize, prefixes: &[(IpNet, u32)]) -> impl Iterator<Item = (IpNet, u32)> {
    prefixes.iter().copied().filter(move |(prefix, _)| reaches(prefix, half))
}

/// Whether addresses of a prefix lie in a half.
fn reaches(prefix: &IpNet, in_half: usize) -> bool {
    let length = HALF_LENGTHS[usize::from(prefix.addr().is_ipv6())];
    prefix.prefix_len() < length || half(Address::from(prefix.network())) == in_half
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::prefix;

    proptest! {
        #[test]
        fn the_half_of_each_address_has_what_covers_it(prefix in prefix(), v4 in any::<u32>(), v6 in any::<u128>()) {
            let inside: IpAddr = match prefix {
                IpNet::V4(net) => Ipv4Addr::from(u32::from(net.network()) | v4 & u32::from(net.hostmask())).into(),
                IpNet::V6(net) => Ipv6Addr::from(u128::from(net.network()) | v6 & u128::from(net.hostmask())).into(),
            };
            prop_assert!(prefix.contains(&inside));
            prop_assert!(reaches(&prefix, half(inside.into())));
        }

        #[test]
        fn a_half_has_nothing_that_covers_none_of_its_addresses(prefix in prefix()) {
            let ends = [prefix.network(), prefix.broadcast()].map(|end| half(end.into()));
            for in_half in [0, 1] {
                prop_assert_eq!(reaches(&prefix, in_half), ends.contains(&in_half));
            }
        }
    }
}

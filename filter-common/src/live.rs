//! Entries that are changed one by one while a policy is in force, and outlive it: the deny list and the live allows.

mod allow;

use crate::{Address, Name};
pub use allow::{
    Allowance, LIVE_PREFIXES, LIVE_TERMS, LiveNote, LiveNotes, LiveQuery, LiveSet, LiveTerm, LiveTerms, Remark,
};

/// How many prefixes inside each other are looked through to find a denied one that holds.
pub const NESTED_DENIES: u32 = 8;
/// How many lists can be loaded into the deny list.
pub const DENY_LISTS: u32 = 8;

/// A time by the monotonic clock in nanoseconds, lower half first; 0: never.
///
/// In halves, for the kernel aligns the values of an IPv4 trie to 4 octets only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Expiry([u32; 2]);

impl Expiry {
    /// Never.
    pub const NEVER: Self = Self([0; 2]);

    /// At this time; 0: never.
    pub const fn at(nanoseconds: u64) -> Self {
        let [a, b, c, d, high @ ..] = nanoseconds.to_le_bytes();
        Self([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(high)])
    }

    /// The time; 0: never.
    #[inline(always)]
    pub const fn nanoseconds(self) -> u64 {
        (self.0[1] as u64) << 32 | self.0[0] as u64
    }

    /// Whether the time has come.
    #[inline(always)]
    pub const fn is_over(self, now: u64) -> bool {
        let at = self.nanoseconds();
        at != 0 && at <= now
    }
}

/// How many bits the deny filter has: one for the first 24 bits of each IPv4 address, and the first 19 of each IPv6 address.
pub const DENY_FILTER_BITS: u32 = (1 << 24) + (1 << 19);

/// The bits of the deny filter for the addresses of a prefix: the first, and how many. Where all are 0 none is denied.
#[inline(always)]
pub const fn deny_filter_bits(address: Address, prefix_length: u32) -> (u32, u32) {
    let (first, length) = match address {
        Address::V4(address) => (address >> 8, 24),
        Address::V6([high, _]) => ((1 << 24) + (high >> 45) as u32, 19),
    };
    (first, if prefix_length < length { 1 << (length - prefix_length) } else { 1 })
}

/// The value of a denied prefix.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct DenyEntry {
    /// The length of its prefix, by which the next shorter one is found where it does not hold.
    pub prefix_length: u32,
    /// What it holds by: a bit for the policy in each slot, [`DenyEntry::ADDED`], and a bit for each list.
    pub holders: u32,
    /// When it ends, where it was added.
    pub expiry: Expiry,
}

impl DenyEntry {
    /// It was added while the filter ran.
    pub const ADDED: u32 = 1 << 8;

    /// It is in a list that was loaded: the bits of [`DENY_LISTS`] lists.
    pub const LISTS: u32 = 0xff << 16;

    /// The holder that the list in this place is.
    #[inline(always)]
    pub const fn list(place: u32) -> u32 {
        1 << (16 + (place & 7))
    }

    /// The holder that the policy in this slot is.
    #[inline(always)]
    pub const fn policy(slot: u32) -> u32 {
        1 << (slot & 7)
    }

    /// Whether the prefix is denied under the policy in this slot. `now`: the monotonic clock in nanoseconds;
    /// `lists`: the holders of the lists that hold then.
    #[inline(always)]
    pub fn holds(&self, slot: u32, now: impl FnOnce() -> u64, lists: impl FnOnce() -> u32) -> bool {
        if self.holders & Self::policy(slot) != 0 {
            return true;
        }
        if self.holders & Self::LISTS != 0 && self.holders & lists() != 0 {
            return true;
        }
        let added = self.holders & Self::ADDED != 0;
        added && (self.expiry.nanoseconds() == 0 || !self.expiry.is_over(now()))
    }
}

/// A list that was loaded into the deny list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct DenyList {
    /// When it ends.
    pub expiry: Expiry,
    /// Its name; empty where there is no list.
    pub name: Name,
    /// What was remarked of it.
    pub comment: Remark,
}

/// How many denied prefixes can have a remark.
pub const REMARKS: u32 = 4096;

/// A prefix that something is remarked of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct RemarkedPrefix {
    /// Its address, as [`Address::words`](crate::Address::words) gives it.
    pub address: [u64; 2],
    /// Its length.
    pub length: u64,
}

/// The holders of the lists that hold. `now`: the monotonic clock in nanoseconds.
#[inline(always)]
pub fn lists_that_hold(lists: &[DenyList; DENY_LISTS as usize], now: u64) -> u32 {
    let mut holders = 0;
    for place in 0..DENY_LISTS {
        if !lists[place as usize].expiry.is_over(now) {
            holders |= DenyEntry::list(place);
        }
    }
    holders
}

const _: () = {
    assert!(size_of::<DenyEntry>() == 16);
    assert!(size_of::<DenyList>() == 8 + 64 + 128);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_over_from_then_on_and_never_is_not() {
        let time = Expiry::at(1 << 40 | 5);
        assert_eq!(time.nanoseconds(), 1 << 40 | 5);
        for (now, over) in [(0, false), (1 << 40 | 4, false), (1 << 40 | 5, true), (u64::MAX, true)] {
            assert_eq!((time.is_over(now), Expiry::NEVER.is_over(now)), (over, false), "{now}");
        }
    }

    #[test]
    fn a_denied_prefix_holds_by_the_policy_of_the_slot_or_until_it_expires() {
        let entry = |holders, expiry| DenyEntry { prefix_length: 24, holders, expiry };
        let (added, ends) = (DenyEntry::ADDED, Expiry::at(100));
        for (name, entry, slot, now, holds) in [
            ("by the policy", entry(DenyEntry::policy(1), Expiry::NEVER), 1, 200, true),
            ("by another policy", entry(DenyEntry::policy(1), Expiry::NEVER), 2, 200, false),
            ("added for ever", entry(added, Expiry::NEVER), 0, 200, true),
            ("added, not over", entry(added, ends), 0, 99, true),
            ("added, over", entry(added, ends), 0, 100, false),
            ("by the policy, what was added is over", entry(added | DenyEntry::policy(0), ends), 0, 100, true),
            ("by a list that holds", entry(DenyEntry::list(3), Expiry::NEVER), 0, 200, true),
            ("by a list that is over", entry(DenyEntry::list(2), Expiry::NEVER), 0, 200, false),
            ("by nothing", entry(0, Expiry::NEVER), 0, 0, false),
        ] {
            let lists = || DenyEntry::list(3);
            assert_eq!(entry.holds(slot, || now, lists), holds, "{name}");
        }
    }
}

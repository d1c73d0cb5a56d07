//! Entries that are changed one by one while a policy is in force, and outlive it: the deny list.

/// How many prefixes inside each other are looked through to find a denied one that holds.
pub const NESTED_DENIES: u32 = 8;

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

/// The value of a denied prefix.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct DenyEntry {
    /// The length of its prefix, by which the next shorter one is found where it does not hold.
    pub prefix_length: u32,
    /// What it holds by: a bit for the policy in each slot, and [`DenyEntry::ADDED`].
    pub holders: u32,
    /// When it ends, where it was added.
    pub expiry: Expiry,
}

impl DenyEntry {
    /// It was added while the filter ran.
    pub const ADDED: u32 = 1 << 8;

    /// The holder that the policy in this slot is.
    #[inline(always)]
    pub const fn policy(slot: u32) -> u32 {
        1 << (slot & 7)
    }

    /// Whether the prefix is denied under the policy in this slot. `now`: the monotonic clock in nanoseconds.
    #[inline(always)]
    pub fn holds(&self, slot: u32, now: impl FnOnce() -> u64) -> bool {
        if self.holders & Self::policy(slot) != 0 {
            return true;
        }
        let added = self.holders & Self::ADDED != 0;
        added && (self.expiry.nanoseconds() == 0 || !self.expiry.is_over(now()))
    }
}

const _: () = {
    assert!(size_of::<DenyEntry>() == 16);
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
            ("by nothing", entry(0, Expiry::NEVER), 0, 0, false),
        ] {
            assert_eq!(entry.holds(slot, || now), holds, "{name}");
        }
    }
}

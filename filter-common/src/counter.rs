//! Counters: what is counted, and where.

use crate::{Reason, Sampler};

/// One per-CPU counter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Counter {
    /// Packets since the filter was first attached.
    pub packets: u64,
    /// Octets of those packets as they arrived, Ethernet header included.
    pub bytes: u64,
}

impl Counter {
    /// Counts a packet of so many octets.
    #[inline(always)]
    pub const fn count(&mut self, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
    }
}

#[cfg(feature = "host")]
impl core::ops::Add for Counter {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { packets: self.packets + other.packets, bytes: self.bytes + other.bytes }
    }
}

/// What is counted for one reason, and which of its packets are sampled: in one place, for a drop needs both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Tally {
    /// The counter.
    pub counter: Counter,
    /// The sampler.
    pub sampler: Sampler,
}

const _: () = assert!(size_of::<Counter>() == 16 && size_of::<Tally>() == 56);

/// How many counters the map of reasons has: one bank for verdicts that were carried out,
/// one for those that monitor mode only counted.
pub const REASON_COUNTERS: u32 = 2 * Reason::SLOTS;

/// How many counters the map of rules has. Rules keep theirs across policies, so there are more than a policy can have.
pub const RULE_COUNTERS: u32 = 1024;

/// How many snapshots of the rules' counters are kept.
pub const SNAPSHOTS: u32 = 16;

/// What the rules had passed at some time, by which the past hour can be told from all the time before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Snapshot {
    /// When it was taken, by the monotonic clock in nanoseconds; 0: never.
    pub taken_at: u64,
    /// The packets of each rule's counter.
    pub packets: [u64; RULE_COUNTERS as usize],
}

/// The index of a reason's counter.
///
/// `would_drop`: the verdict was a drop, and monitor mode let the packet pass.
#[inline(always)]
pub const fn reason_counter(reason: Reason, would_drop: bool) -> u32 {
    index_of_counter(reason.index(), would_drop)
}

/// The same from the index of the reason.
#[inline(always)]
pub(crate) const fn index_of_counter(reason: u32, would_drop: bool) -> u32 {
    if would_drop { Reason::SLOTS + reason } else { reason }
}

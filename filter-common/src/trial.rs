//! Whether a generation stays: until it is confirmed it may be on trial, and the data plane itself ends the trial.

/// The trial of the generation in one slot.
///
/// One field is written after the generation is in force, and that to another value of one octet: a packet sees the
/// trial or its end, however the kernel copies the record.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Trial {
    /// When it ends, by the monotonic clock in nanoseconds.
    pub confirm_by: u64,
    /// The slot that is in force from then on; where it holds no policy, everything passes.
    pub fallback: u32,
    /// 1 where the generation stays, be it that it was confirmed or never on trial; else 0.
    pub confirmed: u32,
}

impl Trial {
    /// No trial: the generation stays.
    pub const NONE: Self = Self { confirm_by: 0, fallback: 0, confirmed: 1 };

    /// A trial until the monotonic clock says `confirm_by`, in nanoseconds.
    pub const fn until(confirm_by: u64, fallback: u32) -> Self {
        Self { confirm_by, fallback, confirmed: 0 }
    }

    /// Whether the generation is still to be confirmed.
    #[inline(always)]
    pub const fn is_pending(&self) -> bool {
        self.confirmed == 0
    }

    /// Whether it ended without confirmation.
    #[inline(always)]
    pub const fn has_failed(&self, now: u64) -> bool {
        self.is_pending() && now >= self.confirm_by
    }
}

const _: () = assert!(size_of::<Trial>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_fails_at_its_time_unless_it_is_confirmed() {
        let trial = Trial::until(100, 2);
        for (now, failed) in [(0, false), (99, false), (100, true), (u64::MAX, true)] {
            assert_eq!(trial.has_failed(now), failed, "{now}");
            assert!(!Trial { confirmed: 1, ..trial }.has_failed(now));
            assert!(!Trial::NONE.has_failed(now));
        }
    }
}

//! Time that a jump of the clock cannot shorten.

use std::{fs, io, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Where the kernel says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How long a host is taken to have been off at the most, whatever its clock says afterwards.
const LONGEST_OFF: Duration = Duration::from_hours(24);

/// A moment, by the wall clock and by the time since boot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Seconds since the epoch, as the wall clock has it.
    pub wall: u64,
    /// The kernel's name for this boot.
    pub boot: String,
    /// Seconds since boot, suspended or not.
    pub uptime: u64,
}

impl Moment {
    /// Now.
    ///
    /// # Errors
    /// If the kernel does not say which boot this is.
    pub fn now() -> io::Result<Self> {
        let seconds = |clock| u64::try_from(clock_gettime(clock).tv_sec).unwrap_or_default();
        Ok(Self {
            wall: seconds(ClockId::Realtime),
            boot: fs::read_to_string(BOOT_ID)?.trim().to_owned(),
            uptime: seconds(ClockId::Boottime),
        })
    }

    /// The time since `earlier`; nothing if the clock went backwards over a boot.
    ///
    /// Within a boot the wall clock does not matter. Over boots there is no other, and it counts for the uptime and
    /// one day at the most: a clock that is years ahead ends nothing.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        if self.boot == earlier.boot {
            return self.uptime.checked_sub(earlier.uptime).map(Duration::from_secs);
        }
        let by_wall_clock = Duration::from_secs(self.wall.checked_sub(earlier.wall)?);
        Some(by_wall_clock.min(Duration::from_secs(self.uptime).saturating_add(LONGEST_OFF)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: u64, boot: &str, uptime: u64) -> Moment {
        Moment { wall, boot: boot.to_owned(), uptime }
    }

    fn check(earlier: &Moment, later: &Moment, seconds: Option<u64>) {
        assert_eq!(later.since(earlier), seconds.map(Duration::from_secs), "{earlier:?} {later:?}");
    }

    #[test]
    fn a_jump_of_the_wall_clock_within_a_boot_does_not_count() {
        check(&moment(1_000, "a", 50), &moment(1_010, "a", 60), Some(10));
        check(&moment(1_000, "a", 50), &moment(9_000_000, "a", 60), Some(10));
        check(&moment(1_000, "a", 50), &moment(0, "a", 60), Some(10));
    }

    #[test]
    fn over_a_boot_the_wall_clock_counts_within_reason() {
        check(&moment(1_000, "a", 50), &moment(1_500, "b", 60), Some(500));
        check(&moment(1_000, "a", 50), &moment(999, "b", 60), None);
        check(&moment(1_000, "a", 50), &moment(900_000_000, "b", 60), Some(24 * 3600 + 60));
    }

    #[test]
    fn now_goes_on() {
        let now = Moment::now().unwrap();
        assert!(Moment::now().unwrap().since(&now).unwrap() < Duration::from_secs(5));
    }
}

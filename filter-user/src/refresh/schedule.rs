//! When to ask a source again.

use std::time::Duration;

/// The pause after a first failure.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// The share of a pause by which chance moves it at the most: hosts that started together do not ask together.
pub const LONGEST_SHARE_OF_JITTER: f64 = 0.1;

/// When to ask a source again, after so many failures in a row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Schedule {
    failures: u32,
}

impl Schedule {
    /// Notes how it went, and returns the pause until the next time.
    ///
    /// A success waits for `refresh`. Failures wait a minute, then twice as long each time, never longer than
    /// `refresh`. `chance`, from 0 to 1, makes the pause up to a tenth shorter.
    pub fn pause(&mut self, failed: bool, refresh: Duration, chance: f64) -> Duration {
        self.failures = if failed { self.failures.saturating_add(1) } else { 0 };
        let doubled = |times: u32| FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times));
        let pause = self.failures.checked_sub(1).map_or(refresh, |times| doubled(times).min(refresh));
        pause.mul_f64(1.0 - LONGEST_SHARE_OF_JITTER * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_hours(6);

    #[test]
    fn failures_wait_twice_as_long_each_time_until_a_success() {
        let mut schedule = Schedule::default();
        let mut minutes = |failed| schedule.pause(failed, REFRESH, 0.0).as_secs() / 60;
        assert_eq!([minutes(false), minutes(true), minutes(true), minutes(true)], [360, 1, 2, 4]);
        assert_eq!([minutes(false), minutes(true)], [360, 1]);
        for _ in 0..100 {
            assert!(minutes(true) <= 360);
        }
        assert_eq!(minutes(true), 360);
    }

    #[test]
    fn a_failure_never_waits_longer_than_a_success() {
        let refresh = Duration::from_secs(10);
        assert_eq!(Schedule::default().pause(true, refresh, 0.0), refresh);
    }

    #[test]
    fn chance_makes_a_pause_up_to_a_tenth_shorter() {
        let pause = |chance| Schedule::default().pause(false, Duration::from_secs(100), chance).as_secs();
        assert_eq!([pause(0.0), pause(0.5), pause(1.0), pause(7.0)], [100, 95, 90, 90]);
    }
}

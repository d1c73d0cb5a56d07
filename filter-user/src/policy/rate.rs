//! Rates, as policies write them: `200/s burst 400`.

use std::{fmt, str::FromStr};

use filter_common::tables::Rate;

/// A rate as people write it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PacketRate {
    /// Packets a second, 1 to 1,000,000.
    pub per_second: u32,
    /// How many may come at once, 1 to 1,000,000.
    pub burst: u32,
}

impl PacketRate {
    const MOST: u32 = 1_000_000;

    /// The rate as the data plane takes it.
    pub(super) fn table(self) -> Rate {
        let interval = 1_000_000_000 / u64::from(self.per_second);
        Rate { interval, tolerance: interval * (u64::from(self.burst) - 1) }
    }

    /// The rate that the data plane has; nothing where it has no limit.
    pub(super) fn of_table(Rate { interval, tolerance }: Rate) -> Option<Self> {
        let per_second = 1_000_000_000_u64.checked_div(interval)?;
        let burst = tolerance / interval + 1;
        Some(Self { per_second: u32::try_from(per_second).ok()?, burst: u32::try_from(burst).ok()? })
    }
}

impl fmt::Display for PacketRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s burst {}", self.per_second, self.burst)
    }
}

impl FromStr for PacketRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || format!("`{text}` is no rate (`200/s burst 400`, or `\"off\"`)");
        let (rate, burst) = text.split_once(" burst ").ok_or_else(syntax)?;
        let number = |digits: &str| digits.trim().parse::<u32>().map_err(|_| syntax());
        let per_second = number(rate.trim().strip_suffix("/s").ok_or_else(syntax)?)?;
        let burst = number(burst)?;
        if [per_second, burst].iter().any(|number| !(1..=Self::MOST).contains(number)) {
            return Err(format!("`{text}`: a rate and its burst are 1 to {}", Self::MOST));
        }
        Ok(Self { per_second, burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_turned_into_an_interval() {
        let rate: PacketRate = "200/s burst 400".parse().expect("a rate");
        assert_eq!(rate, PacketRate { per_second: 200, burst: 400 });
        assert_eq!(rate.table(), Rate { interval: 5_000_000, tolerance: 5_000_000 * 399 });
        assert_eq!(PacketRate::of_table(rate.table()), Some(rate));
        assert_eq!(PacketRate::of_table(Rate::default()), None);
        assert_eq!("1/s burst 1".parse::<PacketRate>().expect("a rate").table().tolerance, 0);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in
            ["", "200", "200/s", "200/m burst 1", "200/s burst", "0/s burst 1", "1/s burst 0", "2000000/s burst 1"]
        {
            assert!(text.parse::<PacketRate>().is_err(), "{text}");
        }
    }
}

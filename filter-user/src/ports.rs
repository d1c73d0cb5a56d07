//! Port ranges, as documents and policies write them: `5060`, `10000-60000`.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

/// An inclusive range of TCP or UDP ports, 1 to 65535, first ≤ last.
///
/// Text form: `5060` or `10000-60000`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// Why a text or a pair of numbers is not a [`PortRange`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PortRangeError {
    /// Neither `PORT` nor `FIRST-LAST`.
    #[error("`{0}` is not a port or a range of ports (`5060`, `10000-60000`)")]
    Syntax(String),
    /// Port 0, or above 65535.
    #[error("port {0} is outside 1-65535")]
    OutOfRange(u64),
    /// The first port is above the last.
    #[error("the range {0}-{1} is reversed")]
    Reversed(u16, u16),
}

impl PortRange {
    /// Every port, 1 to 65535.
    pub const ALL: Self = Self { first: 1, last: u16::MAX };

    /// The range from `first` to `last`, both included.
    ///
    /// # Errors
    /// If a port is outside 1-65535 or the range is reversed.
    pub fn new(first: u64, last: u64) -> Result<Self, PortRangeError> {
        let port = |n: u64| match u16::try_from(n) {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(PortRangeError::OutOfRange(n)),
        };
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(PortRangeError::Reversed(first, last));
        }
        Ok(Self { first, last })
    }

    /// The lowest port of the range.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port of the range.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// The ports of the range in ascending order.
    pub const fn ports(self) -> RangeInclusive<u16> {
        self.first..=self.last
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || PortRangeError::Syntax(text.to_owned());
        let number = |digits: &str| digits.trim().parse::<u64>().map_err(|_| syntax());
        match text.split_once('-') {
            Some((first, last)) => Self::new(number(first)?, number(last)?),
            None => {
                let port = number(text)?;
                Self::new(port, port)
            }
        }
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortRangeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(range: PortRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = text.parse::<PortRange>();
        let shown = parsed.map(|range| range.to_string()).map_err(|error| error.to_string());
        assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn ports_and_ranges_are_read_and_shown_alike() {
        check("5060", Ok("5060"));
        check("10000-60000", Ok("10000-60000"));
        check("1 - 65535", Ok("1-65535"));
        check("7-7", Ok("7"));
    }

    #[test]
    fn what_is_no_port_range_is_refused() {
        check("0", Err("port 0 is outside 1-65535"));
        check("65536", Err("port 65536 is outside 1-65535"));
        check("20-10", Err("the range 20-10 is reversed"));
        check("sip", Err("`sip` is not a port or a range of ports (`5060`, `10000-60000`)"));
        check("", Err("`` is not a port or a range of ports (`5060`, `10000-60000`)"));
    }
}

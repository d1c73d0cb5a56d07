//! Sets of ports.

use std::{fmt, iter, ops::RangeInclusive};

use rangemap::RangeInclusiveSet;

use crate::ports::PortRange;

/// A set of TCP or UDP ports, each from 1 to 65535.
///
/// Text form: `5060, 10000-60000`; `none` where it is empty.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct PortSet(RangeInclusiveSet<u16>);

impl PortSet {
    /// Every port, 1 to 65535.
    pub fn all() -> Self {
        Self::from_iter([PortRange::ALL])
    }

    /// The ports from the first to the last, which is not below the first.
    pub(crate) fn between(ports: RangeInclusive<u16>) -> Self {
        Self(iter::once(ports).collect())
    }

    /// Whether the set has no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set has this port.
    pub fn contains(&self, port: u16) -> bool {
        self.0.contains(&port)
    }

    /// Whether the set has every port of `other`.
    pub fn is_superset(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }

    /// Its ranges, first and last port, in ascending order and never adjacent.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        self.0.iter().map(|range| (*range.start(), *range.end()))
    }

    /// Its ports in ascending order.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.0.iter().cloned().flatten()
    }

    /// The ports of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(&self.0 | &other.0)
    }

    /// The ports of this set that `other` does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.0.clone();
        for range in other.0.iter() {
            rest.remove(range.clone());
        }
        Self(rest)
    }

    /// The ports that both sets have.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        Self(ranges.into_iter().map(PortRange::ports).collect())
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, (first, last)) in self.ranges().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{first}")?;
            if first != last {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[&str]) -> PortSet {
        ranges.iter().map(|range| range.parse::<PortRange>().unwrap()).collect()
    }

    #[test]
    fn ranges_that_touch_are_joined_and_shown_in_order() {
        assert_eq!(set(&["5061", "10-20", "5060", "15-30"]).to_string(), "10-30, 5060-5061");
        assert_eq!(PortSet::default().to_string(), "none");
        assert_eq!(PortSet::all().to_string(), "1-65535");
    }

    #[test]
    fn sets_are_joined_cut_and_compared() {
        let (low, high) = (set(&["1-100"]), set(&["50-200"]));
        assert_eq!(low.union(&high), set(&["1-200"]));
        assert_eq!(low.without(&high), set(&["1-49"]));
        assert_eq!(low.intersection(&high), set(&["50-100"]));
        assert_eq!(PortSet::all().without(&set(&["1", "65535"])), set(&["2-65534"]));
        assert!(PortSet::all().is_superset(&low) && low.is_superset(&low) && !low.is_superset(&high));
        assert!(low.contains(100) && !low.contains(101));
    }
}

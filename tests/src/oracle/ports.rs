//! Sets of ports: ranges in ascending order that do not touch, so that equal sets look equal.

use filter_user::policy::PortSet;

/// A set of TCP or UDP ports.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ports(Vec<(u32, u32)>);

impl Ports {
    pub(super) fn all() -> Self {
        Self::of(1..=65535)
    }

    pub(super) fn of(range: std::ops::RangeInclusive<u16>) -> Self {
        Self::new(vec![(u32::from(*range.start()), u32::from(*range.end()))])
    }

    /// The ports of all these ranges, in any order.
    pub(super) fn new(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&other.0).copied().collect())
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for (first, last) in &other.0 {
            left = left
                .into_iter()
                .flat_map(|(low, high)| [(low, high.min(first - 1)), (low.max(last + 1), high)])
                .collect();
            left.retain(|(low, high)| low <= high);
        }
        Self::new(left)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set has this port.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(first, last)| (*first..=*last).contains(&u32::from(port)))
    }

    /// The first and the last port of each range.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        let port = |port: u32| u16::try_from(port).unwrap_or(u16::MAX);
        self.0.iter().map(move |(first, last)| (port(*first), port(*last)))
    }
}

impl From<&PortSet> for Ports {
    fn from(set: &PortSet) -> Self {
        Self::new(set.ranges().map(|(first, last)| (first.into(), last.into())).collect())
    }
}

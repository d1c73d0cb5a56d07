//! Sets of prefixes that are asked what they cover.

use ipnet::IpNet;

use super::outermost;

/// Prefixes, ascending, none inside another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cover(Vec<IpNet>);

impl Cover {
    /// What these prefixes cover.
    pub fn new(prefixes: &[IpNet]) -> Self {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_unstable();
        Self(outermost(&prefixes))
    }

    /// The prefix that covers this one.
    pub fn around(&self, prefix: IpNet) -> Option<IpNet> {
        let behind = self.0.partition_point(|known| *known <= prefix);
        let known = self.0.get(behind.checked_sub(1)?)?;
        known.contains(&prefix).then_some(*known)
    }

    /// A prefix that has addresses in common with this one.
    pub fn meeting(&self, prefix: IpNet) -> Option<IpNet> {
        let inside = || {
            let behind = self.0.partition_point(|known| *known < prefix);
            self.0.get(behind).copied().filter(|known| prefix.contains(known))
        };
        self.around(prefix).or_else(inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_covers_a_prefix_and_what_lies_in_it_are_found() {
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        let cover = Cover::new(&["10.2.0.0/16", "10.1.0.0/16", "10.1.2.0/24", "2001:db8::/32"].map(net));
        for (asked, around, meeting) in [
            ("10.1.0.0/16", Some("10.1.0.0/16"), Some("10.1.0.0/16")),
            ("10.1.255.255/32", Some("10.1.0.0/16"), Some("10.1.0.0/16")),
            ("10.0.0.0/8", None, Some("10.1.0.0/16")),
            ("10.2.0.0/15", None, Some("10.2.0.0/16")),
            ("10.3.0.0/16", None, None),
            ("0.0.0.0/32", None, None),
            ("2001:db8:1::/48", Some("2001:db8::/32"), Some("2001:db8::/32")),
            ("::/0", None, Some("2001:db8::/32")),
            ("2001:db9::/32", None, None),
        ] {
            assert_eq!(cover.around(net(asked)), around.map(net), "{asked}");
            assert_eq!(cover.meeting(net(asked)), meeting.map(net), "{asked}");
        }
    }
}

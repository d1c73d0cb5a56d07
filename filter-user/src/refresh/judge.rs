//! Whether a new document may take the place of the last accepted one.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::names;
use crate::allowlist::Allowlist;

/// Why a document is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Objection {
    /// Rows that could not be read.
    #[error("the document has {count} that cannot be read, the first on line {line}: {message}", count = rows(*.count))]
    Errors {
        /// How many.
        count: usize,
        /// The line of the first, from 1; 0 for the document as a whole.
        line: u32,
        /// What is wrong there.
        message: String,
    },
    /// Nothing in it.
    #[error("the document allows nothing")]
    Empty,
    /// Too much gone at once.
    #[error(
        "the document has lost {lost} of {of} prefixes, more than {max_shrink} %\nhint: if that is meant, \
         `sipwall refresh --force` takes it"
    )]
    Shrunk {
        /// How many prefixes are no longer covered.
        lost: usize,
        /// How many there were.
        of: usize,
        /// How many of a hundred may go.
        max_shrink: u8,
    },
    /// More names than can be followed.
    #[error("the document has {count} host names, more than the {} that are resolved", names::MOST)]
    Names {
        /// How many.
        count: usize,
    },
    /// The policy does not work with it.
    #[error("the policy would be refused with it: {0}")]
    Misfit(String),
}

fn rows(count: usize) -> String {
    if count == 1 { "a row".to_owned() } else { format!("{count} rows") }
}

/// Judges what was read of a document against what was accepted `before`.
///
/// `max_shrink` is in percent; nothing where any shrinking is taken.
///
/// # Errors
/// What speaks against it.
pub fn judge(before: Option<&Allowlist>, now: &Allowlist, max_shrink: Option<u8>) -> Result<(), Objection> {
    if let Some(first) = now.errors.first() {
        let (line, message) = (first.line, first.message.clone());
        return Err(Objection::Errors { count: now.errors.len(), line, message });
    }
    if now.entries.is_empty() {
        return Err(Objection::Empty);
    }
    match (before, max_shrink) {
        (Some(before), Some(max_shrink)) => judge_shrinking(before, now, max_shrink),
        _ => Ok(()),
    }
}

/// Judges whether the names of a document can be followed: each may take seconds.
pub(super) fn judge_names(now: &Allowlist) -> Result<(), Objection> {
    let count = names::host_names(now).len();
    if count > names::MOST { Err(Objection::Names { count }) } else { Ok(()) }
}

fn judge_shrinking(before: &Allowlist, now: &Allowlist, max_shrink: u8) -> Result<(), Objection> {
    let (before, now) = (prefixes(before), Covered::by(&prefixes(now)));
    let of = before.len();
    let lost = before.iter().filter(|prefix| !now.contains(prefix)).count();
    if lost * 100 > of * usize::from(max_shrink) {
        return Err(Objection::Shrunk { lost, of, max_shrink });
    }
    Ok(())
}

fn prefixes(allowlist: &Allowlist) -> BTreeSet<IpNet> {
    allowlist.entries.iter().flat_map(|entry| entry.remote.iter().copied()).collect()
}

/// Addresses, as prefixes that neither overlap nor could be joined, in order.
struct Covered(Vec<IpNet>);

impl Covered {
    fn by(prefixes: &BTreeSet<IpNet>) -> Self {
        let mut joined = IpNet::aggregate(&prefixes.iter().copied().collect());
        joined.sort_by_key(IpNet::network);
        Self(joined)
    }

    /// A provider that joins or splits prefixes has not lost any.
    fn contains(&self, prefix: &IpNet) -> bool {
        let after = self.0.partition_point(|covering| covering.network() <= prefix.network());
        after.checked_sub(1).is_some_and(|before| self.0[before].contains(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowlist::{Entry, Fault, Finding, Protocol, Service, Unenforced, Why};

    fn allowlist(prefixes: &[&str]) -> Allowlist {
        let entry = Entry {
            service: Service::Media,
            section: String::new(),
            regions: Vec::new(),
            remote: prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect(),
            protocol: Protocol::Udp,
            remote_ports: Vec::new(),
            line: 1,
        };
        let entries = if prefixes.is_empty() { Vec::new() } else { vec![entry] };
        Allowlist { entries, ..Allowlist::default() }
    }

    const FIVE: [&str; 5] = ["192.0.2.0/32", "192.0.2.2/32", "192.0.2.4/32", "192.0.2.6/32", "2001:db8::/48"];

    fn check(now: &[&str], max_shrink: u8, lost: Option<usize>) {
        let expected = lost.map_or(Ok(()), |lost| Err(Objection::Shrunk { lost, of: 5, max_shrink }));
        assert_eq!(judge(Some(&allowlist(&FIVE)), &allowlist(now), Some(max_shrink)), expected, "{now:?}");
    }

    #[test]
    fn as_much_as_max_shrink_may_go_and_not_more() {
        check(&FIVE, 0, None);
        check(&FIVE[1..], 20, None);
        check(&FIVE[1..], 19, Some(1));
        check(&FIVE[..4], 0, Some(1));
        check(&FIVE[2..], 20, Some(2));
        check(&FIVE[4..], 100, None);
    }

    #[test]
    fn prefixes_that_are_joined_or_split_are_not_lost() {
        check(&["192.0.2.0/24", "2001:db8::/32"], 0, None);
        check(&["192.0.2.0/25", "2001:db8::/49", "2001:db8:0:8000::/49"], 0, None);
        check(&["192.0.2.0/25", "2001:db8::/49"], 0, Some(1));
    }

    #[test]
    fn as_many_names_as_can_be_followed_are_taken() {
        let named = |count| {
            let rows = (0..count).map(|number| Unenforced {
                name: format!("sip{number}.example.net"),
                protocol: Protocol::Tcp,
                remote_ports: Vec::new(),
                line: 1,
                why: Why::HostName,
            });
            Allowlist { unenforced: rows.collect(), ..Allowlist::default() }
        };
        assert_eq!(judge_names(&named(names::MOST)), Ok(()));
        assert_eq!(judge_names(&named(names::MOST + 1)), Err(Objection::Names { count: names::MOST + 1 }));
    }

    #[test]
    fn an_empty_or_broken_document_is_refused_even_if_all_may_go() {
        let before = allowlist(&FIVE);
        assert_eq!(judge(Some(&before), &allowlist(&[]), None), Err(Objection::Empty));
        let mut broken = allowlist(&FIVE);
        broken.errors.push(Finding { code: Fault::BadAddress, line: 7, message: "two cells ran together".to_owned() });
        let refused = judge(None, &broken, None).unwrap_err().to_string();
        assert_eq!(refused, "the document has a row that cannot be read, the first on line 7: two cells ran together");
    }
}

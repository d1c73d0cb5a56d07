//! Whether a new document may take the place of the last accepted one.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::names;
use crate::allowlist::{Allowlist, Service};

/// Why a document is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Objection {
    /// Rows that could not be read.
    #[error("the document has {count} that cannot be read, the first on line {line}: {message}", count = rows(*.count))]
    Errors {
        /// How many.
        count: usize,
        /// The line of the first, from 1.
        line: u32,
        /// What is wrong there.
        message: String,
    },
    /// Something that no row is to blame for.
    #[error("{0}")]
    Unreadable(String),
    /// Nothing in it.
    #[error("the document allows nothing")]
    Empty,
    /// Too much gone at once.
    #[error(
        "the document has lost {lost} of {of} prefixes, more than {max_shrink} %\nhint: if that is meant, \
         `sipwall refresh --accept-shrink PROVIDER` takes it"
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
        let message = first.message.clone();
        return Err(match first.line {
            0 => Objection::Unreadable(message),
            line => Objection::Errors { count: now.errors.len(), line, message },
        });
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
    let (before, now) = (prefixes(before), prefixes(now));
    let covered = |services: &dyn Fn(Service) -> bool| {
        let kept = now.iter().filter(|(_, known)| known.iter().any(|service| services(*service)));
        Covered::by(&kept.map(|(prefix, _)| *prefix).collect())
    };
    let by_service: BTreeMap<_, _> =
        before.values().flatten().map(|service| (*service, covered(&|now| same(*service, now)))).collect();
    let is_kept = |(prefix, services): (&IpNet, &BTreeSet<Service>)| {
        services.iter().any(|service| by_service[service].contains(prefix))
    };
    let (of, lost) = (before.len(), before.iter().filter(|known| !is_kept(*known)).count());
    if lost * 100 > of * usize::from(max_shrink) {
        return Err(Objection::Shrunk { lost, of, max_shrink });
    }
    Ok(())
}

/// Whether a prefix that had one service still has it in the other; an unspecified one can be any.
fn same(before: Service, now: Service) -> bool {
    before == now || [before, now].contains(&Service::Unspecified)
}

/// The prefixes with what they are for: signalling is not kept where relays around it are.
fn prefixes(allowlist: &Allowlist) -> BTreeMap<IpNet, BTreeSet<Service>> {
    let mut prefixes = BTreeMap::<_, BTreeSet<_>>::new();
    for entry in &allowlist.entries {
        for prefix in &entry.remote {
            prefixes.entry(*prefix).or_default().insert(entry.service);
        }
    }
    prefixes
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
    use crate::allowlist::{Entry, Fault, Finding, Protocol, Unenforced, Why};

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
    fn signalling_inside_relays_is_lost_where_the_relays_stay() {
        let [relays, signalling] =
            [(Service::Turn, "192.0.2.0/24"), (Service::SipUdp, "192.0.2.0/30")].map(|(service, prefix)| {
                let mut entry = allowlist(&[prefix]).entries.remove(0);
                entry.service = service;
                entry
            });
        let before = Allowlist { entries: vec![relays.clone(), signalling.clone()], ..Allowlist::default() };
        let now = Allowlist { entries: vec![relays], ..Allowlist::default() };
        let shrunk = Objection::Shrunk { lost: 1, of: 2, max_shrink: 20 };
        assert_eq!(judge(Some(&before), &now, Some(20)), Err(shrunk));
        let mut unspecified = before.clone();
        unspecified.entries[1].service = Service::Unspecified;
        assert_eq!(judge(Some(&unspecified), &before, Some(0)), Ok(()), "a page that says more has lost nothing");
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

//! Compares the documents of one import: what they say differently of the same address, and what looks mistyped.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::{
    model::{Allowlist, Entry, Finding, Protocol, Service},
    ports_text,
    problem::Oddity,
};

/// Documents with more prefixes than this of their own are not searched for mistyped ones.
const MOST_SEARCHED: usize = 2_000;

/// What the documents say differently, as warnings of the document named first in each.
pub fn compare(documents: &[(&str, &Allowlist)]) -> Vec<(usize, Finding<Oddity>)> {
    let mut findings = Vec::new();
    for (index, (name, allowlist)) in documents.iter().enumerate() {
        for (other_name, other) in &documents[index + 1..] {
            let named = (*name, *other_name);
            findings.extend(other_ports(named, allowlist, other).into_iter().map(|finding| (index, finding)));
            findings.extend(mistyped(named, allowlist, other).into_iter().map(|finding| (index, finding)));
        }
    }
    findings
}

type Key = (IpNet, Service, Protocol);

/// The entry that first states each prefix for each service.
fn by_prefix(allowlist: &Allowlist) -> BTreeMap<Key, &Entry> {
    let mut entries = BTreeMap::new();
    for entry in &allowlist.entries {
        for prefix in &entry.remote {
            entries.entry((*prefix, entry.service, entry.protocol)).or_insert(entry);
        }
    }
    entries
}

/// Prefixes that both documents state for one service with other ports.
fn other_ports((_, other_name): (&str, &str), first: &Allowlist, second: &Allowlist) -> Vec<Finding<Oddity>> {
    let (first, second) = (by_prefix(first), by_prefix(second));
    let shared = first.iter().filter_map(|(key, entry)| Some((key, *entry, *second.get(key)?)));
    let differing = shared.filter(|(_, entry, other)| entry.remote_ports != other.remote_ports);
    differing
        .map(|((prefix, service, _), entry, other)| Finding {
            code: Oddity::OtherPorts,
            line: entry.line,
            message: format!(
                "`{prefix}` has {service} ports {} here and {} in `{other_name}` on line {}: both are kept",
                ports_text(&entry.remote_ports),
                ports_text(&other.remote_ports),
                other.line,
            ),
        })
        .collect()
}

/// Prefixes that one document alone has where the other alone has one that differs by a character: only for documents
/// that otherwise agree.
fn mistyped((_, other_name): (&str, &str), first: &Allowlist, second: &Allowlist) -> Vec<Finding<Oddity>> {
    let (first, second) = (lines(first), lines(second));
    let shared = first.keys().filter(|prefix| second.contains_key(prefix)).count();
    let alone = |of: &BTreeMap<IpNet, u32>, not: &BTreeMap<IpNet, u32>| {
        let alone = of.iter().filter(|(prefix, _)| !not.contains_key(prefix));
        alone.map(|(prefix, line)| (*prefix, *line)).collect::<BTreeSet<_>>()
    };
    let (here, there) = (alone(&first, &second), alone(&second, &first));
    let disagree = shared * 2 < first.len().min(second.len());
    if disagree || here.len() > MOST_SEARCHED || there.len() > MOST_SEARCHED {
        return Vec::new();
    }
    let pairs = here.iter().flat_map(|mine| there.iter().map(move |theirs| (mine, theirs)));
    let similar = pairs.filter(|((mine, _), (theirs, _))| differ_by_a_character(*mine, *theirs));
    similar
        .map(|((mine, line), (theirs, other_line))| Finding {
            code: Oddity::MaybeMistyped,
            line: *line,
            message: format!(
                "`{mine}` stands here only, where `{other_name}` has `{theirs}` on line {other_line}: one may be mistyped"
            ),
        })
        .collect()
}

fn lines(allowlist: &Allowlist) -> BTreeMap<IpNet, u32> {
    let mut lines = BTreeMap::new();
    for entry in &allowlist.entries {
        for prefix in &entry.remote {
            lines.entry(*prefix).or_insert(entry.line);
        }
    }
    lines
}

/// Whether one text is the other with a character more, or with another character before the last octet: neighbours in
/// one network are no typing mistake.
fn differ_by_a_character(first: IpNet, second: IpNet) -> bool {
    if first.prefix_len() != second.prefix_len() {
        return false;
    }
    let (first, second) = (first.addr().to_string(), second.addr().to_string());
    let (shorter, longer) = if first.len() < second.len() { (&first, &second) } else { (&second, &first) };
    let same = shorter.bytes().zip(longer.bytes()).take_while(|(a, b)| a == b).count();
    match longer.len() - shorter.len() {
        1 => shorter[same..] == longer[same + 1..],
        0 => shorter[same..].contains(['.', ':']) && shorter.get(same + 1..) == longer.get(same + 1..),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_more_or_other_is_a_slip_but_a_neighbour_is_not() {
        for (first, second, expected) in [
            ("13.70.125.14/32", "3.70.125.14/32", true),
            ("3.70.125.14/32", "3.71.125.14/32", true),
            ("3.70.125.14/32", "3.70.125.15/32", false),
            ("3.70.125.14/32", "3.70.125.14/31", false),
            ("3.70.125.14/32", "33.71.125.14/32", false),
        ] {
            let (first, second) = (first.parse().unwrap(), second.parse().unwrap());
            assert_eq!(differ_by_a_character(first, second), expected, "{first} {second}");
            assert_eq!(differ_by_a_character(second, first), expected, "{second} {first}");
        }
    }
}

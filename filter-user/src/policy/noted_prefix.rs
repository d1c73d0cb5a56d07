//! Prefixes as they are noted beside the tries that packets look at.

use std::net::{Ipv4Addr, Ipv6Addr};

use filter_common::{Address, noted_prefix::NotedPrefix};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Notes those of the prefixes that are of a family.
pub(crate) fn notes<V: Copy>(prefixes: &[(IpNet, V)], v4: bool, value: impl Fn(V) -> u64) -> Vec<NotedPrefix> {
    let of_family = prefixes.iter().filter(|(prefix, _)| prefix.addr().is_ipv4() == v4);
    let note = |(prefix, of): &(IpNet, V)| NotedPrefix {
        network: Address::from(prefix.network()).words(),
        value: value(*of),
        length: prefix.prefix_len().into(),
    };
    of_family.map(note).collect()
}

/// The prefix that a family's note is; nothing if it is none.
pub(crate) fn prefix(note: &NotedPrefix, v4: bool) -> Option<IpNet> {
    let length = u8::try_from(note.length).ok()?;
    let [high, low] = note.network;
    Some(if v4 {
        Ipv4Net::new(Ipv4Addr::from(u32::try_from(low).ok()?), length).ok()?.into()
    } else {
        Ipv6Net::new(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)), length).ok()?.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_gives_its_prefix_back() {
        let texts = ["0.0.0.0/0", "192.0.2.0/24", "255.255.255.255/32", "::/0", "2001:db8::/32", "2001:db8::1/128"];
        let prefixes: Vec<(IpNet, u64)> =
            texts.iter().zip(1..).map(|(text, value)| (text.parse().expect("a prefix"), value)).collect();
        let back = [true, false].map(|v4| {
            let notes = notes(&prefixes, v4, |value| value);
            notes.iter().map(|note| (prefix(note, v4).expect("a prefix"), note.value)).collect::<Vec<_>>()
        });
        assert_eq!(back.concat(), prefixes);
    }

    #[test]
    fn what_is_no_prefix_is_not_taken_for_one() {
        let note = NotedPrefix { network: [u64::MAX, 0xc000_0200], value: 0, length: 33 };
        assert_eq!(prefix(&note, true), None);
        assert_eq!(prefix(&NotedPrefix { length: 129, ..note }, false), None);
        assert_eq!(prefix(&NotedPrefix { network: [0, 1 << 32], length: 24, value: 0 }, true), None);
    }
}

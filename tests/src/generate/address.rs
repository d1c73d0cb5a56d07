//! Addresses and prefixes that lie in, around and beside each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Choices;

/// The addresses of the SBC that policies state, and to which most packets go.
pub(super) const OWN: [&str; 4] = ["198.51.100.10", "2001:db8:ffff::10", "198.51.100.11", "2001:db8:ffff::11"];

/// Prefixes are cut around these.
const ANCHORS: [[&str; 4]; 2] = [
    ["203.0.113.16", "203.0.113.129", "192.0.2.77", "54.172.60.0"],
    ["2001:db8:1:5::1", "2001:db8:1:5:8000::7", "2001:db8:2::", "fe80::1"],
];
const LENGTHS: [[u8; 10]; 2] = [[32, 24, 30, 28, 31, 25, 23, 16, 8, 0], [128, 64, 48, 127, 65, 63, 112, 32, 8, 0]];

/// An address by one of the anchors of the family.
fn near_anchor(choices: &mut Choices, ipv6: bool) -> IpAddr {
    let anchor: IpAddr = choices.one_of(&ANCHORS[usize::from(ipv6)]).parse().expect("anchors are addresses");
    if choices.chance(30) { step(anchor, i128::from(choices.between(0, 300)) - 150) } else { anchor }
}

/// A prefix without host bits; the whole family is one, but a rare one.
pub(super) fn prefix(choices: &mut Choices) -> IpNet {
    let ipv6 = choices.chance(40);
    let address = near_anchor(choices, ipv6);
    let lengths = &LENGTHS[usize::from(ipv6)];
    let lengths = if choices.chance(12) { &lengths[..] } else { &lengths[..8] };
    IpNet::new(address, choices.one_of(lengths)).expect("lengths fit their family").trunc()
}

/// The address so many steps away, around the end of its family.
pub(super) fn step(address: IpAddr, by: i128) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let stepped = (i128::from(u32::from(address)) + by).rem_euclid(1 << 32);
            Ipv4Addr::from(u32::try_from(stepped).unwrap_or_default()).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).wrapping_add_signed(by)).into(),
    }
}

/// An address in one of the prefixes, or right before or behind it.
pub(super) fn around(choices: &mut Choices, prefixes: &[IpNet], outside: bool) -> IpAddr {
    let prefix = choices.one_of(prefixes);
    let last = match prefix {
        IpNet::V4(prefix) => IpAddr::from(Ipv4Net::broadcast(&prefix)),
        IpNet::V6(prefix) => IpAddr::from(Ipv6Net::broadcast(&prefix)),
    };
    let first = prefix.network();
    match (outside, choices.below(3)) {
        (true, 0 | 1) => step(last, 1),
        (true, _) => step(first, -1),
        (false, 0) => first,
        (false, 1) => last,
        (false, _) => inside(choices, prefix, first),
    }
}

fn inside(choices: &mut Choices, prefix: IpNet, first: IpAddr) -> IpAddr {
    let offset = i128::from(choices.below(u32::MAX));
    let there = step(first, offset);
    if prefix.contains(&there) { there } else { step(first, i128::from(choices.below(4))) }
}

/// An address with a meaning of its own, or one that no policy names.
pub(super) fn special(choices: &mut Choices, ipv6: bool) -> IpAddr {
    const IPV4: [&str; 17] = [
        "192.0.2.200",
        "198.51.100.10",
        "198.51.100.11",
        "0.0.0.0",
        "0.255.255.255",
        "1.0.0.0",
        "126.255.255.255",
        "127.0.0.1",
        "128.0.0.0",
        "223.255.255.255",
        "224.0.0.1",
        "224.0.0.18",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "255.255.255.254",
        "10.0.0.1",
    ];
    const IPV6: [&str; 13] = [
        "2001:db8:dead::1",
        "2001:db8:ffff::10",
        "2001:db8:ffff::11",
        "::",
        "::1",
        "::2",
        "ff00::",
        "ff02::1",
        "ff02::1:ff00:10",
        "feff::1",
        "fe80::1",
        "::ffff:198.51.100.10",
        "::ffff:203.0.113.16",
    ];
    let meaningful = choices.chance(40);
    let text = match (ipv6, meaningful) {
        (false, false) => IPV4[0],
        (false, true) => choices.one_of(&IPV4),
        (true, false) => IPV6[0],
        (true, true) => choices.one_of(&IPV6),
    };
    text.parse().expect("special addresses are addresses")
}

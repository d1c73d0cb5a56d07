//! What stands in front of the index of the sources, made from the prefixes that they have.

use std::iter;

use filter_common::{
    Address,
    source_index::{FILTER_BLOCK_BITS, FilterBlocks, FilterForm, SourceBlock, SourceFilter},
};
use ipnet::IpNet;

/// How many groups of addresses a family may have in the filter where its prefixes are fewer: few enough to leave most bits
/// free, and enough for groups that are smaller than most prefixes.
const GROUPS: usize = 1 << 14;

/// The fewest bits that the addresses of a group have in common.
const COARSEST: u8 = 8;

/// How many bits the filter looks at: those of an IPv4 address, the first ones of an IPv6 address.
const BITS_V4: u8 = 32;
const BITS_V6: u8 = 64;

/// How many prefixes are so many that the filter has blocks in place of its own words, of which they would set an eighth of the
/// bits.
pub(super) const MANY: usize = 1 << 15;
/// How many prefixes a block has at the most: 20 bits for each let one or two other sources in a hundred through.
const IN_BLOCK: usize = 204;

/// How many bits the number of a block has that so many prefixes need.
pub(super) fn block_bits(prefixes: usize) -> u32 {
    prefixes.div_ceil(IN_BLOCK).next_power_of_two().trailing_zeros().clamp(1, FILTER_BLOCK_BITS)
}

/// Fills the filter, which is empty, with the groups of addresses of which sources, which ascend, have any. `blocks`: those that do not stand
/// beside the roots.
pub(super) fn fill(
    form: &mut FilterForm,
    filter: &mut SourceFilter,
    blocks: &mut [SourceBlock],
    sources: &[(IpNet, u32)],
) {
    let (v4, v6) = sources.split_at(sources.partition_point(|(prefix, _)| prefix.addr().is_ipv4()));
    let parts = [(v4, BITS_V4), (v6, BITS_V6)].map(|(prefixes, bits)| (prefixes, bits, group_length(prefixes, bits)));
    form.widths = parts.map(|(_, bits, length)| (bits - length).into());
    for (prefixes, bits, length) in parts {
        for (prefix, _) in prefixes {
            let width = bits - length;
            let first = head(prefix) >> width;
            let groups = 1 << length.saturating_sub(prefix.prefix_len());
            for group in first..first + groups {
                let hash = form.hash(with_head(prefix, group << width));
                if form.blocks.is_some() {
                    let words: &mut [u64] = bytemuck::cast_slice_mut(&mut blocks[form.blocks.place(hash) as usize].0);
                    words[FilterBlocks::number(hash)] |= SourceFilter::bits(hash);
                } else {
                    filter.admit(hash);
                }
            }
        }
    }
}

/// How many bits the addresses of a group have in common: as many as make no more groups than there may be.
fn group_length(prefixes: &[(IpNet, u32)], bits: u8) -> u8 {
    let most = prefixes.len().max(GROUPS);
    let counts = group_counts(prefixes, bits);
    (COARSEST..=bits).rev().find(|length| counts[usize::from(*length)] <= most).unwrap_or(COARSEST)
}

/// How many groups of addresses the prefixes have any of, by how many bits those of a group have in common. It counts groups
/// twice that are in two prefixes.
fn group_counts(prefixes: &[(IpNet, u32)], bits: u8) -> Vec<usize> {
    let lengths = usize::from(bits) + 1;
    // How many prefixes have each length. A prefix that is as long as what a group has in common, or longer, begins a group of
    // its own where the group is parted from the prefix before: from one bit more than both have in common on, up to its length.
    // What is noted is where that begins and ends.
    let (mut of_length, mut begin) = (vec![0_usize; lengths], vec![0_isize; lengths + 1]);
    let before = iter::once(None).chain(prefixes.iter().map(Some));
    for ((prefix, _), before) in prefixes.iter().zip(before) {
        let length = usize::from(prefix.prefix_len().min(bits));
        of_length[length] += 1;
        let common = before.map_or(0, |(before, _)| common_bits(before, prefix, bits));
        if common < length {
            begin[common + 1] += 1;
            begin[length + 1] -= 1;
        }
    }
    let (mut alone, mut within) = (0_isize, 0_usize);
    let mut counts = vec![0; lengths];
    for (length, count) in counts.iter_mut().enumerate().skip(1) {
        alone += begin[length];
        within = within.saturating_add(of_length[length - 1]).saturating_mul(2);
        *count = within.saturating_add_signed(alone);
    }
    counts
}

/// How many of their first bits two prefixes' addresses have in common.
fn common_bits(one: &IpNet, other: &IpNet, bits: u8) -> usize {
    let unlike = head(one) ^ head(other);
    (unlike.leading_zeros() + u32::from(bits)).saturating_sub(u64::BITS) as usize
}

/// The bits of a prefix' first address that the filter looks at.
fn head(prefix: &IpNet) -> u64 {
    match Address::from(prefix.network()) {
        Address::V4(address) => address.into(),
        Address::V6([high, _]) => high,
    }
}

/// The first address of the same family that has these bits.
fn with_head(like: &IpNet, head: u64) -> Address {
    match like {
        #[expect(clippy::cast_possible_truncation, reason = "they are the bits of an address")]
        IpNet::V4(_) => Address::V4(head as u32),
        IpNet::V6(_) => Address::V6([head, 0]),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use bytemuck::zeroed_box;

    fn sources(prefixes: impl IntoIterator<Item = String>) -> Vec<(IpNet, u32)> {
        let mut sources: Vec<_> = prefixes.into_iter().map(|prefix| (prefix.parse().expect("a prefix"), 1)).collect();
        sources.sort_unstable();
        sources
    }

    /// A filter, and its form.
    struct Filter(Box<SourceFilter>, FilterForm);

    impl Filter {
        fn may_list(&self, address: Address) -> bool {
            let Self(filter, form) = self;
            filter.may_list(form.hash(address))
        }
    }

    fn filter(sources: &[(IpNet, u32)]) -> Filter {
        let mut filter = Filter(zeroed_box(), FilterForm::default());
        fill(&mut filter.1, &mut filter.0, &mut [], sources);
        filter
    }

    #[test]
    fn a_filter_of_blocks_has_one_for_two_hundred_prefixes() {
        for (prefixes, bits) in
            [(1, 1), (204, 1), (408, 1), (409, 2), (MANY, 8), (100_000, 9), (usize::MAX >> 8, FILTER_BLOCK_BITS)]
        {
            assert_eq!(block_bits(prefixes), bits, "{prefixes}");
        }
    }

    /// How many of so many addresses all over the address space may be listed.
    fn let_through(filter: &Filter, v4: bool) -> usize {
        let address = |number: u32| match u64::from(number).wrapping_mul(0xd134_2543_de82_ef95) {
            spread if v4 => Address::V4((spread >> 32) as u32),
            spread => Address::V6([spread, 0]),
        };
        (1..=100_000).filter(|number| filter.may_list(address(*number))).count()
    }

    #[test]
    fn groups_are_counted_by_the_bits_that_they_have_in_common() {
        let sources = sources(["10.0.0.0/8", "11.0.0.0/24", "11.0.1.0/24", "12.0.0.7/32"].map(str::to_owned));
        let counts = group_counts(&sources, BITS_V4);
        assert_eq!(
            [8, 9, 23, 24, 25, 32].map(|length| counts[length]),
            [3, 4, (1 << 15) + 2, (1 << 16) + 3, (1 << 17) + 5, (1 << 24) + 513]
        );
    }

    #[test]
    fn the_neighbours_of_what_is_listed_are_told_from_it() {
        let sources = sources((0..100_u32).map(|number| format!("10.{}.{}.0/24", number / 7, number * 2)));
        let filter = filter(&sources);
        let hosts = (0..1 << 24).step_by(64).map(|host| 0x0a00_0000 | host);
        let (mut through, mut unlisted) = (0, 0);
        for host in hosts {
            let listed = sources.iter().any(|(prefix, _)| prefix.contains(&IpAddr::from(Ipv4Addr::from(host))));
            let may = filter.may_list(Address::V4(host));
            assert!(may || !listed, "{host:x}");
            (through, unlisted) = (through + usize::from(may && !listed), unlisted + usize::from(!listed));
        }
        assert!(through * 100 < unlisted, "{through} of {unlisted}");
    }

    #[test]
    fn few_unlisted_sources_come_through_whatever_the_policy() {
        let spread = |number: u32| number.wrapping_mul(0x9e37_79b1);
        let v4 = |count: u32| {
            sources((0..count).map(|number| {
                let [a, b, c, _] = spread(number).to_be_bytes();
                format!("{a}.{b}.{c}.0/24")
            }))
        };
        let v6 = |count: u32| {
            sources((0..count).map(|number| format!("{:x}:{:x}:7::/48", 0x2000 + number % 7, spread(number) >> 16)))
        };
        for (count, most) in [(16, 500), (1_000, 1_500), (10_000, 1_000), (100_000, 13_000)] {
            let through = let_through(&filter(&v4(count)), true);
            assert!(through < most, "{through} with {count}");
        }
        assert!(let_through(&filter(&v6(10_000)), false) < 1_000);
    }

    #[test]
    fn all_is_let_through_where_all_is_listed() {
        let filter = filter(&sources(["0.0.0.0/0".to_owned(), "::/0".to_owned()]));
        assert_eq!((let_through(&filter, true), let_through(&filter, false)), (100_000, 100_000));
    }
}

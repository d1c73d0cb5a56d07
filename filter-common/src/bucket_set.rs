//! Where the rates of sources are remembered: a table of sets, each with a few buckets beside each other.
//!
//! A hash table of the kernel's takes up eight times as much for each bucket, and is asked by a helper. Here a bucket is found by
//! its tag, of which some bits choose its set. With eight in a set those who were silent for longest go first, nearly as if all
//! were in one. Tags are made by a secret seed: nobody can choose sources that fall into the set of another one, to push it out.

use crate::Bucket;

/// How many buckets are in a set.
const BESIDE: usize = 8;
/// How many sets there are: the rates of 65,536 sources are remembered.
pub const BUCKET_SETS: u32 = 1 << 13;

/// Buckets that are beside each other; all zero where none is yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct BucketSet {
    /// When the next packet of each is due, by the monotonic clock in nanoseconds.
    due: [u64; BESIDE],
    /// The upper halves of their tags.
    tags: [u32; BESIDE],
}

impl BucketSet {
    /// The place of the set that a bucket of this tag is in.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer sets than that")]
    pub const fn place(tag: u64) -> u32 {
        (tag % BUCKET_SETS as u64) as u32
    }

    /// When the next packet of the bucket of this tag is due; nothing if it is not here.
    #[inline(always)]
    pub fn due(&mut self, tag: u64) -> Option<&mut u64> {
        let mut buckets = self.tags.iter().zip(&mut self.due);
        buckets.find(|(known, _)| **known == upper(tag)).map(|(_, due)| due)
    }

    /// Remembers a bucket in the place of the one whose next packet was due first: where none has more than it may, that is
    /// the one that was silent for longest.
    #[inline(always)]
    pub fn remember(&mut self, tag: u64, due: u64) {
        let buckets = self.tags.iter_mut().zip(&mut self.due);
        if let Some((known, known_due)) = buckets.reduce(|first, other| if *other.1 < *first.1 { other } else { first })
        {
            (*known, *known_due) = (upper(tag), due);
        }
    }
}

#[inline(always)]
const fn upper(tag: u64) -> u32 {
    (tag >> 32) as u32
}

impl Bucket {
    /// The number that stands for it where it is remembered. As far as it is looked at, those of two sources are alike once in
    /// 2^45: they share a rate then.
    #[inline(always)]
    pub const fn tag(&self, seed: u64) -> u64 {
        let [high, low] = self.source;
        // Of IPv4 the lower word has 32 bits, of an IPv6 /64 none.
        mixed(mixed(high ^ seed).wrapping_add(low | self.limit << 32))
    }
}

/// A number of whose bits each depends on all of those of the given one (the last steps of `MurmurHash3`).
#[inline(always)]
const fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ number >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ number >> 33
}

const _: () = assert!(size_of::<BucketSet>() == 96 && BUCKET_SETS as usize * BESIDE == 65_536);

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        vec::Vec,
    };

    use super::*;
    use crate::{Address, Limit};

    const SEED: u64 = 0x0123_4567_89ab_cdef;

    fn tag(seed: u64, source: u32) -> u64 {
        Bucket::new(Limit::Sip, Address::V4(source)).tag(seed)
    }

    #[test]
    fn a_new_bucket_takes_the_place_of_the_one_that_was_due_first() {
        let mut set = BucketSet::default();
        for (tag, due) in [(1, 50), (2, 20), (3, 40), (4, 30), (5, 60), (6, 70), (7, 71), (8, 72), (9, 73), (10, 74)] {
            set.remember(tag << 32, due);
        }
        let kept: Vec<u64> = (1..11).filter(|tag| set.due(*tag << 32).is_some()).collect();
        assert_eq!(kept, [1, 3, 5, 6, 7, 8, 9, 10]);
        *set.due(3 << 32).unwrap() = 90;
        set.remember(11 << 32, 80);
        assert!(set.due(3 << 32).is_some() && set.due(1 << 32).is_none());
    }

    #[test]
    fn neighbours_are_spread_over_the_sets() {
        for seed in [1, SEED, u64::MAX] {
            let mut taken: BTreeMap<u32, u32> = BTreeMap::new();
            for source in 0..BUCKET_SETS {
                *taken.entry(BucketSet::place(tag(seed, 0x0a00_0000 + source))).or_default() += 1;
            }
            // One a set, as many as by chance: 63 % of the sets, and nowhere more than a handful.
            assert!((5000..5360).contains(&taken.len()), "{} sets", taken.len());
            assert!(taken.values().all(|count| *count <= 10), "{taken:?}");
        }
    }

    #[test]
    fn who_does_not_know_the_seed_does_not_know_who_shares_a_set() {
        let sharing = |seed| -> BTreeSet<u32> {
            let place = BucketSet::place(tag(seed, 1));
            (2..1 << 20).filter(|source| BucketSet::place(tag(seed, *source)) == place).collect()
        };
        let (one, other) = (sharing(SEED), sharing(SEED + 2));
        assert!(one.len() > 64 && one.intersection(&other).count() < 10, "{one:?} {other:?}");
    }

    #[test]
    fn each_limit_and_each_source_has_a_tag_of_its_own() {
        let addresses =
            (0..1000).flat_map(|number| [Address::V4(number), Address::V6([0x2001_0db8 << 32 | u64::from(number), 0])]);
        let of_limits =
            addresses.flat_map(|source| [Limit::Sip, Limit::Tcp, Limit::Icmp].map(|limit| Bucket::new(limit, source)));
        let tags: BTreeSet<u64> = of_limits.map(|bucket| bucket.tag(SEED)).collect();
        assert_eq!(tags.len(), 6000);
    }
}

//! Samples of dropped packets: which are taken, and how they are kept.
//!
//! Each CPU keeps its last [`SAMPLES`] samples in places that it overwrites in turn. Whoever reads takes nothing away, so
//! there can be any number of readers, and what was dropped before the first of them came is there too.

use core::hint::cold_path;

use crate::{Reason, tables::Rate};

/// How many samples each CPU keeps.
pub const SAMPLES: u32 = 768;
/// How many octets of a frame are kept.
pub const SAMPLE_OCTETS: usize = 256;
/// How many samples a CPU takes: 2,000 a second, and up to 128 at once. So a reader that comes every 300 milliseconds comes in time.
pub const SAMPLE_RATE: Rate = Rate { interval: 500_000, tolerance: 64_000_000 };
/// How many packets dropped for one reason are sampled in each tick of the kernel's clock, where there are more.
const EACH_TICK: u32 = 4;

/// A dropped packet, or one that monitor mode let pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Sample {
    /// Its number on its CPU, from 1. Written last, as `begun` is written first: a reader that finds both the same, and
    /// read them in this order, has a whole sample.
    pub sequence: u64,
    /// When it was taken, by the monotonic clock in nanoseconds.
    pub time: u64,
    /// How many drops for the same reason on the same CPU it stands for, itself included.
    pub weight: u64,
    /// The index that [`reason_counter`](crate::reason_counter) gives.
    pub counter: u32,
    /// How many octets the frame had.
    pub length: u32,
    /// The index of the interface that it arrived on.
    pub interface: u32,
    /// How many octets of it are kept.
    pub kept: u32,
    /// Its first octets, and behind those what stood here before.
    pub octets: [u8; SAMPLE_OCTETS],
    /// As `sequence`.
    pub begun: u64,
}

impl Sample {
    /// Whether it is whole, and the one of this number.
    pub const fn is(&self, sequence: u64) -> bool {
        self.sequence == sequence && self.begun == sequence
    }

    /// The octets of the frame that are kept.
    pub fn frame(&self) -> &[u8] {
        let kept = usize::try_from(self.kept).unwrap_or(usize::MAX);
        &self.octets[..kept.min(SAMPLE_OCTETS)]
    }

    /// Why it was dropped, and whether monitor mode let it pass; nothing if there is no such reason.
    pub fn reason(&self) -> Option<(Reason, bool)> {
        let would_drop = self.counter >= Reason::SLOTS;
        let index = if would_drop { self.counter - Reason::SLOTS } else { self.counter };
        Reason::ALL.iter().copied().find(|reason| reason.index() == index).map(|reason| (reason, would_drop))
    }
}

/// What a CPU has taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Recorder {
    /// How many samples, which is the number of the last one.
    pub taken: u64,
    /// The time when the next one is due by [`SAMPLE_RATE`], by the monotonic clock in nanoseconds.
    pub due: u64,
}

/// Which of the packets that one CPU drops for one reason are sampled.
///
/// A packet costs a comparison or two and no clock. Where there are few, each is sampled; in a flood some in each tick,
/// at random distances, so that what repeats itself is not sampled by its rhythm. The distance is the weight of the
/// sample at its end, so that weights add up to what was dropped, and on the average each packet counts once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Sampler {
    /// How many drops there had been at the last sample.
    sampled: u64,
    /// How many there are at the next one.
    due: u64,
    /// The tick of the last drop.
    tick: u64,
    /// How many drops there had been before that tick.
    begun: u64,
    /// Drops in the tick before it.
    before: u64,
}

impl Sampler {
    /// Whether a drop is to be sampled, with which there have been `total`. `tick`: a clock that costs nothing, of some
    /// milliseconds.
    #[inline(always)]
    pub const fn is_due(&mut self, total: u64, tick: u64) -> bool {
        if self.tick != tick {
            cold_path();
            let earlier = total - 1;
            self.before = if self.tick + 1 == tick { earlier - self.begun } else { 0 };
            self.begun = earlier;
            self.tick = tick;
            // What was a flood until now may be none any more.
            let longest = self.sampled + 2 * self.mean_distance(earlier);
            if self.due > longest {
                self.due = longest;
            }
        }
        total >= self.due
    }

    /// Chooses the next packet by a random number. Returns what a sample that is taken now stands for.
    #[inline(always)]
    pub const fn take(&mut self, total: u64, random: u32) -> u64 {
        let weight = total - self.sampled;
        self.sampled = total;
        self.choose(total, random);
        weight
    }

    /// Chooses the next packet where no sample can be taken now.
    #[inline(always)]
    pub const fn pass_over(&mut self, total: u64, random: u32) {
        self.choose(total, random);
    }

    /// A distance from 1 to twice the mean, less one: the mean is right.
    #[inline(always)]
    const fn choose(&mut self, total: u64, random: u32) {
        let choices = 2 * self.mean_distance(total) - 1;
        self.due = total + 1 + ((random as u64 * choices) >> 32);
    }

    /// The distance at which a tick like this one or the last has [`EACH_TICK`] samples.
    #[inline(always)]
    const fn mean_distance(&self, total: u64) -> u64 {
        let here = total - self.begun;
        let busier = if here > self.before { here } else { self.before };
        busier.saturating_sub(1) / EACH_TICK as u64 + 1
    }
}

const _: () = {
    assert!(size_of::<Sample>() == 48 + SAMPLE_OCTETS);
    assert!(SAMPLE_OCTETS.is_power_of_two());
    assert!(size_of::<Recorder>() == 16);
    assert!(size_of::<Sampler>() == 40);
};

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// A sampler that is driven through ticks with so many drops each; how many drops since the last one that it took, and
    /// what it took: tick and weight.
    fn drive(ticks: &[(u64, u32)]) -> (u64, Vec<(u64, u64)>) {
        let (mut sampler, mut taken, mut random, mut total) = (Sampler::default(), Vec::new(), 1_u32, 0);
        for (tick, drops) in ticks {
            for _ in 0..*drops {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                total += 1;
                if sampler.is_due(total, *tick) {
                    taken.push((*tick, sampler.take(total, random)));
                }
            }
        }
        (total - sampler.sampled, taken)
    }

    #[test]
    fn few_drops_are_all_sampled() {
        let ticks: Vec<_> = (10..200).map(|tick| (tick, 4)).collect();
        let (pending, taken) = drive(&ticks);
        assert_eq!((taken.len(), pending), (190 * 4, 0));
        let (_, taken) = drive(&[(1000, 1), (5000, 1), (5001, 1), (5002, 2), (9000, 4)]);
        assert_eq!(taken.len(), 9, "{taken:?}");
    }

    #[test]
    fn a_flood_is_sampled_at_a_bounded_rate_and_weights_add_up() {
        let ticks: Vec<_> = (0..250).map(|tick| (tick, 40_000)).collect();
        let (pending, taken) = drive(&ticks);
        let at_first = taken.iter().filter(|(tick, _)| *tick == 0).count();
        assert!(at_first < 100, "{at_first} in the first tick");
        let later = taken.len() - at_first;
        assert!((800..1200).contains(&later), "{later}");
        assert_eq!(taken.iter().map(|(_, weight)| weight).sum::<u64>() + pending, 250 * 40_000);
    }

    #[test]
    fn what_comes_after_a_flood_is_sampled_at_once() {
        let mut ticks: Vec<_> = (0..100).map(|tick| (tick, 40_000)).collect();
        ticks.extend([(300, 1), (301, 1), (302, 1)]);
        let (_, taken) = drive(&ticks);
        assert_eq!(taken.iter().filter(|(tick, _)| *tick >= 300).count(), 3);
    }

    #[test]
    fn a_rhythm_of_sources_is_not_sampled_by_its_rhythm() {
        let (mut sampler, mut random, mut seen) = (Sampler::default(), 7_u32, [0_u64; 4]);
        for drop in 0_u64..20_000_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if sampler.is_due(drop + 1, drop / 40_000) {
                // Every tenth is of one source, all others of another.
                seen[usize::from(drop.is_multiple_of(10))] += sampler.take(drop + 1, random);
            }
        }
        let share = seen[1] * 1000 / (seen[0] + seen[1]);
        assert!((70..130).contains(&share), "{share} in a thousand");
    }

    #[test]
    fn what_cannot_be_taken_is_counted_with_the_next() {
        let mut sampler = Sampler::default();
        assert!(sampler.is_due(1, 1));
        sampler.pass_over(1, 0);
        assert!(sampler.is_due(2, 1));
        assert_eq!(sampler.take(2, 0), 2);
    }

    #[test]
    fn a_sample_says_its_reason_and_its_octets() {
        let sample = Sample {
            sequence: 5,
            time: 0,
            weight: 1,
            counter: Reason::SLOTS + Reason::Denied.index(),
            length: 1500,
            interface: 2,
            kept: 3,
            octets: [7; SAMPLE_OCTETS],
            begun: 5,
        };
        assert_eq!(sample.reason(), Some((Reason::Denied, true)));
        assert_eq!(sample.frame(), [7; 3]);
        assert!(sample.is(5) && !sample.is(4) && !Sample { begun: 6, ..sample }.is(5));
    }
}

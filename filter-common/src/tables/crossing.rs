//! What follows for a UDP datagram that a term allows, by one look-up.

use super::{Tables, Term};
use crate::verifier::{entry, index, shifted_left};

/// How many answers there can be.
pub const CROSSINGS: usize = 1 << 12;

/// How the answers lie, if a policy has them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct CrossingForm {
    /// Where in the place of an answer the number of the source set begins; 0: there are no answers.
    set: u16,
    /// Where the class of the destination port does. Before it comes that of the source port.
    destination: u16,
}

impl CrossingForm {
    /// Answers for so many source sets, classes of destination ports and classes of source ports; nothing if these are too many.
    fn of(sets: usize, destinations: usize, sources: usize) -> Option<Self> {
        // At least one bit each: where the number of the set begins is never 0, which says that there are no answers.
        let bits = |count: usize| count.next_power_of_two().trailing_zeros().max(1);
        let (destination, set) = (bits(sources), bits(sources) + bits(destinations));
        let form = Self { set: u16::try_from(set).ok()?, destination: u16::try_from(destination).ok()? };
        (sets.checked_shl(set)? <= CROSSINGS).then_some(form)
    }

    #[inline(always)]
    fn place(self, set: u32, destination: u16, source: u16) -> u64 {
        let ports = shifted_left(destination.into(), self.destination.into()) | u64::from(source);
        shifted_left(set.into(), self.set.into()) | ports
    }
}

/// For each source set, each class of destination ports and each class of source ports of UDP what follows for such a datagram,
/// if a term allows it: what the bit vectors come to, reckoned beforehand, where that is few enough (cross-producting:
/// Srinivasan, Varghese, Suri and Waldvogel, Fast and Scalable Layer Four Switching, SIGCOMM 1998).
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Crossing {
    /// How many source sets it has answers for.
    sets: u32,
    /// Unused.
    reserved: u32,
    answers: [Term; CROSSINGS],
}

/// In place of an answer: no term.
const NONE: Term = Term { rule: u16::MAX, service: u16::MAX };

impl Tables {
    /// Reckons the answers for so many source sets, from all else that the tables have; where they are too many, there are none.
    pub fn cross(&mut self, sets: usize) {
        let ports = &self.ports[Self::UDP];
        let count = |classes: &[u16; 65536]| classes.iter().max().map_or(0, |last| usize::from(*last) + 1);
        let (destinations, sources) = (count(&ports.destination), count(&ports.source));
        let form = CrossingForm::of(sets, destinations, sources);
        self.settings.crossing = form.unwrap_or_default();
        self.crossing.sets = 0;
        let Some(form) = form else { return };
        for (set, number) in (0..sets).zip(0..) {
            self.crossing.sets = number + 1;
            for (to, destination) in (0..destinations).zip(0..) {
                for (from, source) in (0..sources).zip(0..) {
                    let allowed = self.source_sets[set] & self.port_sets[to] & self.port_sets[from];
                    let answer = allowed.lowest_place().map_or(NONE, |place| self.term_in(place));
                    self.crossing.answers[index::<CROSSINGS>(form.place(number, destination, source))] = answer;
                }
            }
        }
    }

    /// Gives terms other rules.
    pub fn renumber(&mut self, rules: impl IntoIterator<Item = (usize, u16)>) {
        for (term, rule) in rules {
            self.term_mut(term).rule = rule;
        }
        if self.crossing.sets > 0 {
            self.cross(self.crossing.sets as usize);
        }
    }

    /// What follows for a UDP datagram from a source with the set of this number and between ports of these classes; nothing if
    /// no term allows it, or if that has to be asked of the sets.
    #[inline(always)]
    pub(crate) fn crossed(&self, set: u32, destination: u16, source: u16) -> Option<Term> {
        let form = self.settings.crossing;
        if form.set == 0 {
            return None;
        }
        let answer = *entry(&self.crossing.answers, form.place(set, destination, source));
        if answer.rule == NONE.rule { None } else { Some(answer) }
    }
}

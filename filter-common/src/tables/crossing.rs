//! What follows for a UDP datagram that a term allows, by one look-up.

use core::ops::RangeInclusive;

use super::{Tables, Term, TermEntry};
use crate::verifier::{apart, entry, index, shifted_left};

/// How many answers there can be.
pub const CROSSINGS: usize = 1 << 12;

/// How the answers lie.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct CrossingForm {
    /// Where in the place of an answer the number of the source set begins.
    set: u16,
    /// Where the class of the destination port does. Before it comes that of the source port; 0: all source ports are alike.
    destination: u16,
}

impl CrossingForm {
    /// Answers for so many source sets, and for these classes of destination and source ports; nothing if they are too many.
    fn of(sets: usize, destinations: &RangeInclusive<u16>, sources: &RangeInclusive<u16>) -> Option<Self> {
        let bits = |classes: &RangeInclusive<u16>| u16::BITS - classes.end().leading_zeros();
        let destination = if sources.start() == sources.end() { 0 } else { bits(sources) };
        let set = destination + bits(destinations);
        let form = Self { set: u16::try_from(set).ok()?, destination: u16::try_from(destination).ok()? };
        (sets.checked_shl(set)? <= CROSSINGS).then_some(form)
    }

    /// The place of an answer. The class of the source port is asked for where these are not all alike.
    #[inline(always)]
    fn place(self, set: u32, destination: u16, source: impl FnOnce() -> u16) -> u64 {
        let ports = if self.destination == 0 {
            destination.into()
        } else {
            apart();
            shifted_left(destination.into(), self.destination.into()) | u64::from(source())
        };
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
    answers: [TermEntry; CROSSINGS],
}

impl Tables {
    /// Reckons the answers for so many source sets, from all else that the tables have. Where they are too many, there are none, and
    /// the sets are asked.
    pub fn cross(&mut self, sets: usize) {
        let ports = &self.ports[Self::UDP];
        let [destinations, sources] = [&ports.destination, &ports.source].map(classes);
        let form = CrossingForm::of(sets, &destinations, &sources);
        self.settings.crossing = form.unwrap_or_default();
        self.crossing = Crossing { sets: 0, reserved: 0, answers: [TermEntry::NONE; CROSSINGS] };
        let Some(form) = form else { return };
        for (set, number) in (0..sets).zip(0..) {
            self.crossing.sets = number + 1;
            let ports = destinations.clone().flat_map(|to| sources.clone().map(move |from| (to, from)));
            for (to, from) in ports {
                let [to_set, from_set] = [to, from].map(|class| self.port_sets[usize::from(class)]);
                let allowed = self.source_sets[set] & to_set & from_set;
                let answer = allowed.lowest_place().map_or(TermEntry::NONE, |place| self.term_in(place).entry());
                self.crossing.answers[index::<CROSSINGS>(form.place(number, to, || from))] = answer;
            }
        }
    }

    /// Gives terms other rules.
    pub fn renumber(&mut self, rules: impl IntoIterator<Item = (usize, u16)>) {
        for (term, rule) in rules {
            self.set_term(term, Term::new(rule, self.term(term).service()));
        }
        if self.crossing.sets > 0 {
            self.cross(self.crossing.sets as usize);
        }
    }

    /// What follows for a UDP datagram from a source with the set of this number and between ports of these classes; nothing if
    /// no term allows it, or if that has to be asked of the sets.
    #[inline(always)]
    pub(crate) fn crossed(&self, set: u32, destination: u16, source: impl FnOnce() -> u16) -> Option<Term> {
        let answer = *entry(&self.crossing.answers, self.settings.crossing.place(set, destination, source));
        if answer == TermEntry::NONE { None } else { Some(answer.term()) }
    }
}

/// The first and the last of the classes that ports have. Packets with port 0 come to no rule.
fn classes(of_ports: &[u16; 65536]) -> RangeInclusive<u16> {
    let [_, of_ports @ ..] = of_ports;
    let (least, most) =
        of_ports.iter().fold((u16::MAX, 0), |(least, most), class| (least.min(*class), most.max(*class)));
    least..=most
}

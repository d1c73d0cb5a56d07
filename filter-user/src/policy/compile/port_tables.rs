//! Port classes: which terms each port satisfies.

use std::{collections::BTreeMap, ops::RangeInclusive};

use filter_common::tables::TermSet;

use super::{draft::TermInfo, intern::Interner, matching::PortMatch};
use crate::policy::PortSet;

/// Ranges of ports with the place of the set of terms that each satisfies.
pub(super) type Classes = Vec<(RangeInclusive<u16>, u32)>;

/// The classes of one protocol's ports, in one direction that `side` picks.
pub(super) fn classes(
    terms: &[TermInfo],
    protocol: u8,
    side: impl Fn(&PortMatch) -> &PortSet,
    sets: &mut Interner<TermSet>,
) -> Classes {
    let mut classes = Classes::new();
    let mut current = TermSet::EMPTY;
    let mut first: u16 = 0;
    for (port, change) in changes(terms, protocol, side) {
        // A change at 0 would have nothing before it, and no port set has port 0.
        classes.push((first..=port - 1, sets.place(current)));
        current = current.without(change.ending) | change.beginning;
        first = port;
    }
    classes.push((first..=u16::MAX, sets.place(current)));
    classes
}

/// The terms whose ports begin at a port, and those whose ports ended right before it.
#[derive(Default)]
struct Change {
    beginning: TermSet,
    ending: TermSet,
}

fn changes(terms: &[TermInfo], protocol: u8, side: impl Fn(&PortMatch) -> &PortSet) -> BTreeMap<u16, Change> {
    let mut changes: BTreeMap<u16, Change> = BTreeMap::new();
    let of_protocol = (0..=u8::MAX).zip(terms).filter(|(_, term)| term.matching.protocol == protocol);
    for (index, ports) in of_protocol.filter_map(|(index, term)| Some((index, term.matching.ports.as_ref()?))) {
        for (first, last) in side(ports).ranges() {
            changes.entry(first).or_default().beginning.insert(index);
            if let Some(next) = last.checked_add(1) {
                changes.entry(next).or_default().ending.insert(index);
            }
        }
    }
    changes
}

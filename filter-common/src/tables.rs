//! The layout of a compiled policy: plain data, the same for host and kernel.
//!
//! Everything but the source tries is one [`Tables`] value.

mod crossing;
mod policies;

use core::ops::{BitAnd, BitOr};

pub use self::{
    crossing::{CROSSINGS, Crossing, CrossingForm},
    policies::{Policies, Slot, Switch, lists},
};
use crate::{
    Address,
    verifier::{entry, opaque},
};

/// How many terms a policy can have.
pub const TERMS: usize = 256;
/// How many distinct sets of terms the prefixes of a policy can have.
pub const SOURCE_SETS: usize = 4096;
/// How many distinct sets of terms the ports of a policy can have, over both protocols and directions.
pub const PORT_SETS: usize = 2048;
/// How many own addresses a policy can have.
pub const ADDRESSES: usize = 64;
/// How many generations of a policy the kernel holds: the one in force, the one before it, the one being written.
pub const GENERATIONS: u32 = 3;
/// How many prefixes a policy can have in each family.
pub const PREFIXES: u32 = 100_000;
/// How many prefixes the deny list can have in each family.
pub const DENY_PREFIXES: u32 = 1_000_000;

/// A set of terms, one bit each.
///
/// The first step of the bit-vector scheme: every field of the packet gives the set of terms that it satisfies,
/// and the intersection is what allows the packet (Lakshman and Stiliadis, SIGCOMM 1998).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct TermSet {
    words: [u64; TERMS / 64],
}

impl TermSet {
    /// The set without a term.
    pub const EMPTY: Self = Self { words: [0; TERMS / 64] };

    /// Adds a term, below [`TERMS`].
    pub fn insert(&mut self, term: u8) {
        self.words[usize::from(term) / 64] |= 1 << (term % 64);
    }

    /// Whether the term is in the set.
    #[inline(always)]
    pub const fn contains(&self, term: usize) -> bool {
        self.words[term / 64 % (TERMS / 64)] >> (term % 64) & 1 == 1
    }

    /// The terms of this set that `other` does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        Self { words: [a & !e, b & !f, c & !g, d & !h] }
    }

    /// Whether there is no term in the set.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        let [a, b, c, d] = self.words;
        a | b | c | d == 0
    }

    /// Where [`Tables::term_in`] finds the lowest term of the set. As wide as a register.
    #[inline(always)]
    pub const fn lowest_place(&self) -> Option<u64> {
        let [a, b, c, d] = self.words;
        // Written out: the verifier follows four tests more cheaply than a loop.
        let (word, base) = if a != 0 {
            (a, 0)
        } else if b != 0 {
            (b, 64)
        } else if c != 0 {
            (c, 128)
        } else if d != 0 {
            (d, 192)
        } else {
            return None;
        };
        Some(base + place_of_bit(word & word.wrapping_neg()))
    }

    /// Where it finds the term of a set that has exactly one.
    #[inline(always)]
    pub const fn single_place(&self) -> Option<u64> {
        let [a, b, c, d] = self.words;
        let several = a & a.wrapping_sub(1) | b & b.wrapping_sub(1) | c & c.wrapping_sub(1) | d & d.wrapping_sub(1);
        let words = (a != 0) as u8 + (b != 0) as u8 + (c != 0) as u8 + (d != 0) as u8;
        if several == 0 && words == 1 { self.lowest_place() } else { None }
    }
}

impl BitAnd for TermSet {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        Self { words: [a & e, b & f, c & g, d & h] }
    }
}

impl BitOr for TermSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.words, other.words);
        Self { words: [a | e, b | f, c | g, d | h] }
    }
}

/// A place for each bit of a word, which no other bit has: a multiplication finds it, and the number of the bit need not be
/// counted (Leiserson, Prokop and Randall, Using de Bruijn Sequences to Index a 1 in a Computer Word, 1998).
#[inline(always)]
const fn place_of_bit(bit: u64) -> u64 {
    bit.wrapping_mul(0x0218_a392_cd3d_5dbf) >> 58
}

/// A compiled policy, all but its source tries.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Tables {
    /// Modes and knobs.
    pub settings: Settings,
    /// The terms that an index in the source tries stands for, those whose prefixes cover the source. Index 0 is what an
    /// unlisted source has. One whose set is empty is listed, and on the always-deny lists of all that would allow it.
    pub source_sets: [TermSet; SOURCE_SETS],
    /// What a port class stands for.
    pub port_sets: [TermSet; PORT_SETS],
    /// The port tables of UDP and TCP.
    pub ports: [PortTables; 2],
    /// The terms of each IP protocol; those of TCP and UDP too, for later fragments.
    pub protocols: [TermSet; 256],
    /// The terms that allow an opening TCP segment.
    pub opening: TermSet,
    /// What follows for a packet that a term allows, in the place that [`TermSet::lowest_place`] finds.
    terms: [TermEntry; TERMS],
    /// Which of them allows a UDP datagram, where that was reckoned beforehand.
    crossing: Crossing,
}

/// What follows for a packet that a term allows: in the lowest 16 bits what the term is for, in the next ones its rule. One number,
/// read at once, and as wide as a register: of a narrower one LLVM would widen what is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Term(u64);

/// A term, or none, as tables have it.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
struct TermEntry(u32);

impl Term {
    /// What follows from a term of this rule, which is for one of [`services`].
    pub const fn new(rule: u16, service: u16) -> Self {
        Self((rule as u64) << 16 | service as u64)
    }

    /// The rule that the term belongs to.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the upper bits are 0")]
    pub const fn rule(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// What it is for, one of [`services`].
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
    pub const fn service(self) -> u16 {
        self.0 as u16
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
    const fn entry(self) -> TermEntry {
        TermEntry(self.0 as u32)
    }
}

impl TermEntry {
    /// In place of a term: none.
    const NONE: Self = Self(0);

    /// The term. Means nothing where there is none.
    #[inline(always)]
    const fn term(self) -> Term {
        Term(self.0 as u64)
    }
}

/// What a term can be for: never 0, so that no term is.
pub mod services {
    /// SIP over UDP, which can be inspected and limited.
    pub const SIP: u16 = 1;
    /// Media, which can be inspected.
    pub const MEDIA: u16 = 2;
    /// Anything from which nothing follows.
    pub const OTHER: u16 = 3;
}

impl Tables {
    /// The place of UDP in [`Tables::ports`].
    pub const UDP: usize = 0;
    /// The place of TCP in [`Tables::ports`].
    pub const TCP: usize = 1;

    /// What follows for a packet that the term in this place allows.
    #[inline(always)]
    pub fn term_in(&self, place: u64) -> Term {
        entry(&self.terms, place).term()
    }

    /// What follows for a packet that a term, below [`TERMS`], allows.
    pub const fn term(&self, term: usize) -> Term {
        self.terms[Self::place_of(term)].term()
    }

    /// Lets this follow.
    pub const fn set_term(&mut self, place: usize, term: Term) {
        self.terms[Self::place_of(place)] = term.entry();
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is below 64")]
    const fn place_of(term: usize) -> usize {
        term / 64 % (TERMS / 64) * 64 + place_of_bit(1 << (term % 64)) as usize
    }
}

/// The port tables of one protocol.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct PortTables {
    /// The class of each source port: an index of [`Tables::port_sets`].
    pub source: [u16; 65536],
    /// The class of each destination port: an index of [`Tables::port_sets`].
    pub destination: [u16; 65536],
    /// One bit for each of the SBC's own SIP and media ports: all that `scope = "ports"` judges.
    pub own: [u64; 1024],
}

impl PortTables {
    /// The class of the ports that no term is about: the empty set.
    pub const CLOSED: u16 = 0;

    /// Whether this is one of the SBC's own SIP and media ports.
    #[inline(always)]
    pub fn owns(&self, port: u16) -> bool {
        entry(&self.own, port / 64) >> (port % 64) & 1 == 1
    }
}

/// Modes and knobs of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Settings {
    /// The generation, from 1; 0 means that the slot holds no policy.
    pub generation: u64,
    /// What is switched on.
    pub knobs: Knobs,
    /// How the terms lie that allow UDP datagrams, if that was reckoned beforehand.
    pub crossing: CrossingForm,
    /// The SBC's own addresses, if [`flags::ADDRESSES`] is set.
    pub addresses: AddressTable,
    /// How much of what each source may send.
    pub limits: Limits,
}

/// How much of what each source may send.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Limits {
    /// Datagrams of SIP over UDP.
    pub sip: Rate,
    /// New TCP connections.
    pub tcp: Rate,
    /// ICMP errors and, where they are let in, echo requests.
    pub icmp: Rate,
}

/// A rate, as the generic cell rate algorithm (ITU-T I.371, annex A) takes it. All zero: no limit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Rate {
    /// The time that one packet takes up, in nanoseconds.
    pub interval: u64,
    /// How far ahead of its time a packet may come, in nanoseconds.
    pub tolerance: u64,
}

/// The SBC's own addresses, in a hash table without collisions: the verifier follows no search.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct AddressTable {
    /// The odd number that no two of the addresses collide by.
    multiplier: u64,
    /// As [`Address::words`] gives them; a multicast address where there is none.
    slots: [[u64; 2]; ADDRESS_SLOTS],
}

/// Enough for [`ADDRESSES`] addresses to find a multiplier soon.
const ADDRESS_SLOTS: usize = 512;

impl AddressTable {
    const FREE: [u64; 2] = [u64::MAX; 2];

    /// A table of these addresses; nothing if there are too many.
    pub fn new(addresses: &[Address]) -> Option<Self> {
        if addresses.len() > ADDRESSES {
            return None;
        }
        (0..1 << 20)
            .find_map(|index| Self::with_multiplier(addresses, 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(2 * index + 1)))
    }

    fn with_multiplier(addresses: &[Address], multiplier: u64) -> Option<Self> {
        let mut table = Self { multiplier, slots: [Self::FREE; ADDRESS_SLOTS] };
        for address in addresses {
            let slot = &mut table.slots[table.slot(address.words())];
            if *slot != Self::FREE && *slot != address.words() {
                return None;
            }
            *slot = address.words();
        }
        Some(table)
    }

    /// Whether the address is one of them.
    #[inline(always)]
    pub const fn contains(&self, address: Address) -> bool {
        let [high, low] = address.words();
        let [known_high, known_low] = self.slots[self.slot([high, low])];
        known_high == high && known_low == low
    }

    /// The addresses, in no order.
    pub fn addresses(&self) -> impl Iterator<Item = Address> {
        self.slots.iter().filter(|words| **words != Self::FREE).map(|words| Address::from_words(*words))
    }

    #[inline(always)]
    const fn slot(&self, [high, low]: [u64; 2]) -> usize {
        let mixed = (high.rotate_left(32) ^ low).wrapping_mul(self.multiplier);
        (mixed >> 40) as usize % ADDRESS_SLOTS
    }
}

/// The bits of [`Knobs`].
pub mod flags {
    /// `mode = "monitor"`: drops are counted, not carried out.
    pub const MONITOR: u32 = 1 << 0;
    /// `scope = "ports"`: only the SBC's own SIP and media ports are judged.
    pub const SCOPE_PORTS: u32 = 1 << 1;
    /// `fragments = "drop"`.
    pub const FRAGMENTS_DROP: u32 = 1 << 2;
    /// `link_control = "pass"`.
    pub const LINK_CONTROL: u32 = 1 << 3;
    /// `ping = "pass"`.
    pub const PING: u32 = 1 << 4;
    /// `dhcp = "pass"`.
    pub const DHCP: u32 = 1 << 5;
    /// `vrrp = "pass"`.
    pub const VRRP: u32 = 1 << 6;
    /// `ospf = "pass"`.
    pub const OSPF: u32 = 1 << 7;
    /// `bfd = "pass"`.
    pub const BFD: u32 = 1 << 8;
    /// `fragments = "tracked"`.
    pub const FRAGMENTS_TRACKED: u32 = 1 << 9;
    /// `return_traffic = "tracked"`.
    pub const RETURN_TRAFFIC: u32 = 1 << 10;
    /// `[inspect] sip = "count"`.
    pub const INSPECT_SIP_COUNT: u32 = 1 << 11;
    /// `[inspect] sip = "enforce"`.
    pub const INSPECT_SIP_ENFORCE: u32 = 1 << 12;
    /// `[inspect] media = "count"`.
    pub const INSPECT_MEDIA_COUNT: u32 = 1 << 13;
    /// `[inspect] media = "enforce"`.
    pub const INSPECT_MEDIA_ENFORCE: u32 = 1 << 14;
    /// The SBC has addresses of its own; else any destination is taken for one.
    pub const ADDRESSES: u32 = 1 << 15;
    /// There is a policy: what was never written has none.
    pub const POLICY: u32 = 1 << 16;
}

/// What a policy switches on, a set of [`flags`]. Read once for each packet: behind a call LLVM would read it anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Knobs(pub u32);

impl Settings {
    /// Whether one of these [`flags`] is set.
    pub const fn has(&self, flags: u32) -> bool {
        self.knobs.has(flags)
    }
}

impl Knobs {
    /// The same, of which LLVM knows nothing any more.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it was made of 32 bits")]
    pub(crate) fn opaque(self) -> Self {
        Self(opaque(self.0.into()) as u32)
    }

    /// Whether one of these [`flags`] is set.
    #[inline(always)]
    pub const fn has(self, flags: u32) -> bool {
        self.0 & flags != 0
    }
}

const _: () = {
    assert!(size_of::<TermSet>() == 32);
    assert!(size_of::<Settings>() == 16 + 8 + 16 * ADDRESS_SLOTS + 48);
    assert!(size_of::<Tables>().is_multiple_of(8));
    assert!(SOURCE_SETS.is_power_of_two() && PORT_SETS.is_power_of_two());
};

#[cfg(test)]
mod tests {
    use super::*;

    /// `198.51.X.Y` for every `X.Y` up to `count`.
    fn addresses(count: u16) -> std::vec::Vec<Address> {
        (0..count).map(|index| Address::V4(0xc633_0000 + u32::from(index))).collect()
    }

    #[test]
    fn a_table_contains_its_addresses_and_no_others() {
        for count in [0, 1, 2, 63, 64] {
            let table = AddressTable::new(&addresses(count)).expect("there is room");
            for (index, address) in addresses(2000).into_iter().enumerate() {
                assert_eq!(table.contains(address), index < count.into(), "{address:?} of {count}");
            }
            assert_eq!(table.addresses().count(), count.into());
            assert!(table.addresses().all(|address| addresses(count).contains(&address)));
        }
    }

    #[test]
    fn a_table_takes_an_address_twice_but_not_too_many() {
        let twice = [addresses(1), addresses(1)].concat();
        assert!(AddressTable::new(&twice).is_some());
        assert!(AddressTable::new(&addresses(65)).is_none());
    }

    #[test]
    fn the_place_of_a_single_term_is_found_and_several_have_none() {
        let set = |terms: &[u8]| {
            let mut set = TermSet::EMPTY;
            for term in terms {
                set.insert(*term);
            }
            set
        };
        let place = |term: u8| Some(Tables::place_of(term.into()) as u64);
        for term in 0..=255 {
            assert_eq!((set(&[term]).single_place(), set(&[term]).lowest_place()), (place(term), place(term)));
        }
        let places: std::collections::BTreeSet<_> = (0..TERMS).map(Tables::place_of).collect();
        assert_eq!((places.len(), places.last()), (TERMS, Some(&(TERMS - 1))));
        assert_eq!((set(&[]).single_place(), set(&[]).lowest_place()), (None, None));
        assert_eq!((set(&[3, 4]).single_place(), set(&[4, 3]).lowest_place()), (None, place(3)));
        assert_eq!((set(&[3, 200]).single_place(), set(&[200, 64]).lowest_place()), (None, place(64)));
    }
}

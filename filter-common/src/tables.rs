//! The layout of a compiled policy: plain data, the same for host and kernel.
//!
//! Everything but the source tries is one [`Tables`] value, so that one system call writes it.

use core::ops::{BitAnd, BitOr};

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
    pub const fn contains(&self, term: u8) -> bool {
        self.words[(term / 64) as usize] >> (term % 64) & 1 == 1
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

    /// The lowest term of the set.
    #[inline(always)]
    pub const fn lowest(&self) -> Option<u32> {
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
        Some(base + word.trailing_zeros())
    }

    /// The term of a set that has exactly one.
    #[inline(always)]
    pub const fn single(&self) -> Option<u32> {
        let [a, b, c, d] = self.words;
        let several = a & a.wrapping_sub(1) | b & b.wrapping_sub(1) | c & c.wrapping_sub(1) | d & d.wrapping_sub(1);
        let words = (a != 0) as u8 + (b != 0) as u8 + (c != 0) as u8 + (d != 0) as u8;
        if several == 0 && words == 1 { self.lowest() } else { None }
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

/// What a source may send.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct SourceSet {
    /// The terms whose prefixes cover the source.
    pub terms: TermSet,
    /// 1 where a provider's always-deny list took terms away from this source, else 0.
    pub provider_denied: u64,
}

/// A compiled policy, all but its source tries.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Tables {
    /// Modes and knobs.
    pub settings: Settings,
    /// What a source set's index in the tries stands for; index 0 is what an unlisted source has: nothing.
    pub source_sets: [SourceSet; SOURCE_SETS],
    /// What a port class stands for.
    pub port_sets: [TermSet; PORT_SETS],
    /// The port tables of UDP and TCP.
    pub ports: [PortTables; 2],
    /// The terms of each IP protocol; those of TCP and UDP too, for later fragments.
    pub protocols: [TermSet; 256],
    /// The terms that allow an opening TCP segment.
    pub opening: TermSet,
    /// The rule that a term belongs to; what lies beyond [`TERMS`] is never read.
    ///
    /// LLVM counts trailing zeros by a table of octets, of which the verifier knows no more than that they are below 256:
    /// the array is as long as that makes it look.
    pub term_rules: [u16; 2 * TERMS],
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

/// Modes and knobs of a policy.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Settings {
    /// The generation, from 1; 0 means that the slot holds no policy.
    pub generation: u64,
    /// A set of [`flags`].
    pub flags: u32,
    /// How many of `addresses` are set; 0: any destination.
    pub address_count: u32,
    /// The SBC's own addresses, as [`Address::words`](crate::Address::words) gives them.
    pub addresses: AddressList,
}

/// The SBC's own addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct AddressList(pub [[u64; 2]; ADDRESSES]);

impl Default for AddressList {
    fn default() -> Self {
        Self([[0; 2]; ADDRESSES])
    }
}

/// The bits of [`Settings::flags`].
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
}

impl Settings {
    /// Whether one of [`flags`] is set.
    #[inline(always)]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Which generation is in force.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Switch {
    /// The slot of the policy in force, below [`GENERATIONS`].
    pub slot: u32,
    /// 1 where the deny list has an entry, else 0: an empty trie costs as much as any.
    pub deny_list: u32,
}

const _: () = {
    assert!(size_of::<TermSet>() == 32);
    assert!(size_of::<SourceSet>() == 40);
    assert!(size_of::<Settings>() == 16 + 16 * ADDRESSES);
    assert!(size_of::<Switch>() == 8);
    assert!(size_of::<Tables>().is_multiple_of(8));
    assert!(SOURCE_SETS.is_power_of_two() && PORT_SETS.is_power_of_two());
};

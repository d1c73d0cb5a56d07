//! Live allows: what is let in beside the policy.
//!
//! They are few, and looked at only where the policy does not let a packet in. As with policies, a *term* is a protocol
//! with a range of ports and owns a bit; a trie has the set of terms for each prefix. All of them are a generation of
//! their own in one of [`GENERATIONS`](crate::tables::GENERATIONS) slots, written anew and switched to at once.

use super::Expiry;
use crate::Name;

/// How many terms the live allows of an interface can have.
pub const LIVE_TERMS: usize = 64;
/// How many prefixes the live allows of an interface can have in each family.
pub const LIVE_PREFIXES: u32 = 4096;

/// A set of terms, lower half first: the kernel aligns the values of an IPv4 trie to 4 octets only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct LiveSet([u32; 2]);

impl LiveSet {
    /// The set of the terms whose bits are set.
    pub const fn new(bits: u64) -> Self {
        let [a, b, c, d, high @ ..] = bits.to_le_bytes();
        Self([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(high)])
    }

    /// The bits of its terms.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        (self.0[1] as u64) << 32 | self.0[0] as u64
    }
}

/// A protocol with a range of ports that is let in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct LiveTerm {
    /// When it ends.
    pub expiry: Expiry,
    /// The first destination port.
    pub first_port: u16,
    /// The last destination port.
    pub last_port: u16,
    /// The IP protocol.
    pub protocol: u16,
    /// The rule that it is counted for.
    pub rule: u16,
}

impl LiveTerm {
    /// Whether it lets a packet in, while it lasts.
    #[inline(always)]
    const fn allows(&self, query: LiveQuery) -> bool {
        let fragment = query.is_fragment();
        let of_protocol = query.is_any() || self.protocol as u64 == query.protocol();
        let of_port = query.port_number() >= self.first_port as u64 && query.port_number() <= self.last_port as u64;
        of_protocol && (fragment || of_port)
    }
}

/// The terms of the live allows, each at the place of its bit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct LiveTerms(pub [LiveTerm; LIVE_TERMS]);

/// What is asked of the live allows, in one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(transparent)]
pub struct LiveQuery(u64);

impl LiveQuery {
    const FRAGMENT: u64 = 1 << 24;
    const ANY: u64 = 1 << 25;

    /// About a later fragment of any protocol.
    pub const ANY_FRAGMENT: Self = Self(Self::FRAGMENT | Self::ANY);

    /// About a packet of this protocol to this port; 0 where the protocol has no ports.
    #[inline(always)]
    pub const fn port(protocol: u8, port: u16) -> Self {
        Self((protocol as u64) << 16 | port as u64)
    }

    /// About a later fragment of this protocol, which shows no ports.
    #[inline(always)]
    pub const fn fragment(protocol: u8) -> Self {
        Self((protocol as u64) << 16 | Self::FRAGMENT)
    }

    /// The query that [`LiveQuery::code`] gave this number.
    #[inline(always)]
    pub const fn of_code(code: u64) -> Self {
        Self(code)
    }

    /// The query as a number.
    #[inline(always)]
    pub const fn code(self) -> u64 {
        self.0
    }

    #[inline(always)]
    const fn port_number(self) -> u64 {
        self.0 & 0xffff
    }

    #[inline(always)]
    const fn protocol(self) -> u64 {
        self.0 >> 16 & 0xff
    }

    #[inline(always)]
    const fn is_fragment(self) -> bool {
        self.0 & Self::FRAGMENT != 0
    }

    #[inline(always)]
    const fn is_any(self) -> bool {
        self.0 & Self::ANY != 0
    }
}

/// What the live allows say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowance {
    /// None lets it in.
    None,
    /// This rule lets it in.
    Rule(u16),
    /// Several terms let a later fragment in, which cannot say whose it is.
    Several,
}

impl Allowance {
    const SEVERAL: u64 = 1;
    const RULE: u64 = 2;

    /// As a number, for a function that can return no more.
    #[inline(always)]
    pub const fn encode(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Several => Self::SEVERAL,
            Self::Rule(rule) => Self::RULE | (rule as u64) << 16,
        }
    }

    /// What [`Allowance::encode`] made this number of.
    #[inline(always)]
    pub const fn decode(code: u64) -> Self {
        let [kind, _, low, high, ..] = code.to_le_bytes();
        match kind as u64 {
            Self::RULE => Self::Rule(u16::from_le_bytes([low, high])),
            Self::SEVERAL => Self::Several,
            _ => Self::None,
        }
    }
}

impl LiveTerms {
    /// What the terms of a set say of a packet. `now`: the monotonic clock in nanoseconds.
    #[inline(always)]
    pub fn judge(&self, set: LiveSet, query: LiveQuery, now: u64) -> Allowance {
        let bits = set.bits();
        let mut found = Allowance::None;
        for (place, term) in self.0.iter().enumerate() {
            if bits >> place & 1 == 0 || !term.allows(query) || term.expiry.is_over(now) {
                continue;
            }
            if !query.is_fragment() {
                return Allowance::Rule(term.rule);
            }
            if !matches!(found, Allowance::None) {
                return Allowance::Several;
            }
            found = Allowance::Rule(term.rule);
        }
        found
    }
}

/// A remark of at most 127 octets of UTF-8, filled up with NUL; empty where there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct Remark([u8; 128]);

impl Remark {
    /// No remark.
    pub const EMPTY: Self = Self([0; 128]);

    /// The remark, or nothing if it is longer than 127 octets or contains NUL.
    pub fn new(text: &str) -> Option<Self> {
        let mut octets = [0; 128];
        if text.len() >= octets.len() || text.contains('\0') {
            return None;
        }
        octets[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self(octets))
    }

    /// The remark as text; nothing if it is empty or is no text.
    pub fn as_str(&self) -> Option<&str> {
        let length = self.0.iter().position(|octet| *octet == 0)?;
        core::str::from_utf8(&self.0[..length]).ok().filter(|text| !text.is_empty())
    }
}

/// What is told of the live allow that a term belongs to; the program never reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct LiveNote {
    /// The allow's name, without `allow/`; empty where the term is not used.
    pub name: Name,
    /// What was remarked of it.
    pub comment: Remark,
}

/// What is told of each term.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(transparent)]
pub struct LiveNotes(pub [LiveNote; LIVE_TERMS]);

const _: () = {
    assert!(size_of::<LiveTerm>() == 16);
    assert!(size_of::<LiveNote>() == 192);
};

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = 6;

    fn terms(terms: &[LiveTerm]) -> LiveTerms {
        let mut all = [LiveTerm::default(); LIVE_TERMS];
        all[..terms.len()].copy_from_slice(terms);
        LiveTerms(all)
    }

    const fn term(protocol: u8, first_port: u16, last_port: u16, rule: u16, expiry: Expiry) -> LiveTerm {
        LiveTerm { expiry, first_port, last_port, protocol: protocol as u16, rule }
    }

    #[test]
    fn the_first_term_of_the_set_that_lets_it_in_and_lasts_names_the_rule() {
        let all = terms(&[
            term(TCP, 22, 22, 1, Expiry::at(100)),
            term(TCP, 1, 100, 2, Expiry::NEVER),
            term(47, 0, u16::MAX, 3, Expiry::NEVER),
        ]);
        for (name, bits, query, now, expected) in [
            ("in the range", 3, LiveQuery::port(TCP, 22), 99, Allowance::Rule(1)),
            ("over, the next", 3, LiveQuery::port(TCP, 22), 100, Allowance::Rule(2)),
            ("over, no other", 1, LiveQuery::port(TCP, 22), 100, Allowance::None),
            ("not in the set", 4, LiveQuery::port(TCP, 22), 0, Allowance::None),
            ("another port", 7, LiveQuery::port(TCP, 101), 0, Allowance::None),
            ("another protocol", 3, LiveQuery::port(17, 22), 0, Allowance::None),
            ("a protocol without ports", 7, LiveQuery::port(47, 0), 0, Allowance::Rule(3)),
            ("a fragment of one", 2, LiveQuery::fragment(TCP), 0, Allowance::Rule(2)),
            ("a fragment of several", 3, LiveQuery::fragment(TCP), 0, Allowance::Several),
            ("a fragment of another protocol", 7, LiveQuery::fragment(17), 0, Allowance::None),
            ("a fragment of any protocol", 4, LiveQuery::ANY_FRAGMENT, 0, Allowance::Rule(3)),
        ] {
            let found = all.judge(LiveSet::new(bits), LiveQuery::of_code(query.code()), now);
            assert_eq!(found, expected, "{name}");
            assert_eq!(Allowance::decode(found.encode()), found, "{name}");
        }
    }

    #[test]
    fn a_set_and_a_remark_come_back_as_they_were() {
        assert_eq!(LiveSet::new(1 << 63 | 5).bits(), 1 << 63 | 5);
        assert_eq!(Remark::new("a vendor, until Friday").unwrap().as_str(), Some("a vendor, until Friday"));
        assert_eq!(Remark::new("").unwrap().as_str(), None);
        for text in ["a\0b", &std::string::String::from_iter(["x"; 128])] {
            assert_eq!(Remark::new(text), None);
        }
    }
}

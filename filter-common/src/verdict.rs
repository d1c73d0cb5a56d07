//! What the decision says of a packet.

use core::fmt;

use crate::{Action, Reason, counter::index_of_counter};

/// The end that a packet came to, and the rule that it owes it to.
///
/// Two numbers, for the ways that lead to it are many, and each has to say all of it: the reason, in the octet above it the noted
/// one; and the rule. All ones where there is none.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Verdict {
    reasons: u16,
    rule: u16,
}

impl Verdict {
    /// A verdict that no rule gave.
    #[inline(always)]
    pub const fn of(reason: Reason) -> Self {
        Self::of_index(reason as u8)
    }

    /// The same, owed to a rule, as numbered by [`Term::rule`](crate::tables::Term::rule).
    #[must_use]
    #[inline(always)]
    pub const fn by_rule(self, rule: u16) -> Self {
        Self { rule, ..self }
    }

    /// The same, noting what inspection would have dropped it for, where it only counts.
    #[must_use]
    #[inline(always)]
    pub const fn noting(self, reason: Reason) -> Self {
        Self { reasons: self.reasons & NO_REASON | (reason as u16) << 8, ..self }
    }

    /// The same, of which the compiler sees that nothing is noted.
    #[inline(always)]
    pub(crate) const fn noting_nothing(self) -> Self {
        Self { reasons: self.reasons | NO_REASON << 8, ..self }
    }

    /// A verdict that no rule gave, for the reason of this index.
    #[inline(always)]
    pub(crate) const fn of_index(index: u8) -> Self {
        Self { reasons: NO_REASON << 8 | index as u16, rule: NO_RULE }
    }

    /// Why it passes or is dropped.
    pub fn reason(self) -> Reason {
        reason(self.reasons & NO_REASON).unwrap_or(Reason::NoPolicy)
    }

    /// What inspection would have dropped it for, where it only counts.
    pub fn noted(self) -> Option<Reason> {
        reason(self.reasons >> 8)
    }

    /// The rule that lets it in.
    #[inline(always)]
    pub const fn rule(self) -> Option<u16> {
        if self.rule == NO_RULE { None } else { Some(self.rule) }
    }

    /// What becomes of the packet.
    pub fn action(self) -> Action {
        self.reason().action()
    }

    /// Whether it is dropped.
    #[inline(always)]
    pub const fn drops(self) -> bool {
        self.index() >= Reason::FIRST_DROP
    }

    /// Whether it has this reason.
    #[inline(always)]
    pub const fn is(self, reason: Reason) -> bool {
        self.index() == reason.index()
    }

    /// The index of the counter of its reason. `would_drop`: monitor mode lets it pass.
    #[inline(always)]
    pub const fn counter(self, would_drop: bool) -> u32 {
        index_of_counter(self.index(), would_drop)
    }

    /// The number of the counter of what its rule lets in as listed, if it is that; none has it where no rule lets it in.
    #[inline(always)]
    pub const fn listing_counter(self) -> Option<u32> {
        if self.is(Reason::Listed) { Some(self.rule as u32) } else { None }
    }

    /// The index of the counter of what is noted.
    #[inline(always)]
    pub const fn noted_counter(self) -> Option<u32> {
        let noted = self.reasons >> 8;
        if noted == NO_REASON { None } else { Some(index_of_counter(noted as u32, true)) }
    }

    /// The number, for a program that can return no more.
    #[inline(always)]
    pub const fn code(self) -> u32 {
        (self.rule as u32) << 16 | self.reasons as u32
    }

    /// The verdict whose number this is. Means nothing of another number.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "each is half of it")]
    pub const fn of_number(code: u32) -> Self {
        Self { reasons: code as u16, rule: (code >> 16) as u16 }
    }

    /// The index of its reason.
    #[inline(always)]
    const fn index(self) -> u32 {
        (self.reasons & NO_REASON) as u32
    }

    /// The verdict that has this number, if there is one.
    pub fn of_code(code: u32) -> Option<Self> {
        let verdict = Self::of_number(code);
        let is_noted = |index| index == NO_REASON || reason(index).is_some();
        (reason(verdict.reasons & NO_REASON).is_some() && is_noted(verdict.reasons >> 8)).then_some(verdict)
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verdict")
            .field("reason", &self.reason())
            .field("noted", &self.noted())
            .field("rule", &self.rule())
            .finish()
    }
}

const NO_REASON: u16 = 0xff;
const NO_RULE: u16 = 0xffff;

/// The reason of this index.
fn reason(index: u16) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.index() == index.into())
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_verdict_says_what_was_put_into_it() {
        for reason in Reason::ALL.iter().copied() {
            let plain = Verdict::of(reason);
            assert_eq!((plain.reason(), plain.noted(), plain.rule()), (reason, None, None));
            assert_eq!((plain.drops(), plain.is(reason)), (reason.action() == Action::Drop, true));
            assert_eq!(plain.counter(true), Reason::SLOTS + plain.counter(false));
            for rule in [0, 1023] {
                let verdict = plain.by_rule(rule).noting(Reason::InspectSip);
                assert_eq!(
                    (verdict.reason(), verdict.noted(), verdict.rule()),
                    (reason, Some(Reason::InspectSip), Some(rule))
                );
                assert_eq!(Verdict::of_code(verdict.code()), Some(verdict));
            }
        }
    }

    #[test]
    fn what_is_no_code_is_no_verdict() {
        assert_eq!(Verdict::of_code(u32::MAX), None);
        assert_eq!(Verdict::of_code(0xffff_fe00), None);
        assert_eq!(format!("{:?}", Verdict::of(Reason::Arp)), "Verdict { reason: Arp, noted: None, rule: None }");
    }
}

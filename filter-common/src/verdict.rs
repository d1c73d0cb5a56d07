//! What the decision says of a packet.

use core::fmt;

use crate::{Action, Reason, counter::index_of_counter};

/// The end that a packet came to, and the rule that it owes it to.
///
/// One number, for the ways that lead to it are many, and each has to say all of it: from the lowest octet on the reason,
/// the noted reason, and two octets for the rule; all ones where there is none.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Verdict(u32);

impl Verdict {
    /// A verdict that no rule gave.
    #[inline(always)]
    pub const fn of(reason: Reason) -> Self {
        Self(NO_RULE << 16 | NO_REASON << 8 | reason.index())
    }

    /// The same, owed to a rule, as numbered by [`Term::rule`](crate::tables::Term::rule).
    #[must_use]
    #[inline(always)]
    pub const fn by_rule(self, rule: u16) -> Self {
        Self(self.0 & 0xffff | (rule as u32) << 16)
    }

    /// The same, noting what inspection would have dropped it for, where it only counts.
    #[must_use]
    #[inline(always)]
    pub const fn noting(self, reason: Reason) -> Self {
        Self(self.0 & !(NO_REASON << 8) | reason.index() << 8)
    }

    /// The same, of which the compiler sees that nothing is noted.
    #[inline(always)]
    pub(crate) const fn noting_nothing(self) -> Self {
        Self(self.0 | NO_REASON << 8)
    }

    /// A verdict that no rule gave, for the reason of this index.
    #[inline(always)]
    pub(crate) const fn of_index(index: u8) -> Self {
        Self(NO_RULE << 16 | NO_REASON << 8 | index as u32)
    }

    /// Why it passes or is dropped.
    pub fn reason(self) -> Reason {
        reason(self.0 & NO_REASON).unwrap_or(Reason::NoPolicy)
    }

    /// What inspection would have dropped it for, where it only counts.
    pub fn noted(self) -> Option<Reason> {
        reason(self.0 >> 8 & NO_REASON)
    }

    /// The rule that lets it in.
    #[inline(always)]
    pub const fn rule(self) -> Option<u16> {
        let rule = self.0 >> 16;
        if rule == NO_RULE { None } else { Some(rule as u16) }
    }

    /// What becomes of the packet.
    pub fn action(self) -> Action {
        self.reason().action()
    }

    /// Whether it is dropped.
    #[inline(always)]
    pub const fn drops(self) -> bool {
        self.0 & NO_REASON >= Reason::FIRST_DROP
    }

    /// Whether it has this reason.
    #[inline(always)]
    pub const fn is(self, reason: Reason) -> bool {
        self.0 & NO_REASON == reason.index()
    }

    /// The index of the counter of its reason. `would_drop`: monitor mode lets it pass.
    #[inline(always)]
    pub const fn counter(self, would_drop: bool) -> u32 {
        index_of_counter(self.0 & NO_REASON, would_drop)
    }

    /// The index of the counter of what is noted.
    #[inline(always)]
    pub const fn noted_counter(self) -> Option<u32> {
        let noted = self.0 >> 8 & NO_REASON;
        if noted == NO_REASON { None } else { Some(index_of_counter(noted, true)) }
    }

    /// The number, for a program that can return no more.
    #[inline(always)]
    pub const fn code(self) -> u32 {
        self.0
    }

    /// The verdict whose number this is. Means nothing of another number.
    #[inline(always)]
    pub const fn of_number(code: u32) -> Self {
        Self(code)
    }

    /// The verdict that has this number, if there is one.
    pub fn of_code(code: u32) -> Option<Self> {
        let is_noted = |index| index == NO_REASON || reason(index).is_some();
        (reason(code & NO_REASON).is_some() && is_noted(code >> 8 & NO_REASON)).then_some(Self(code))
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

const NO_REASON: u32 = 0xff;
const NO_RULE: u32 = 0xffff;

/// The reason of this index.
fn reason(index: u32) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.index() == index)
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

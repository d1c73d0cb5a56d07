//! What the decision says of a packet.

use crate::{Action, Reason};

/// The end that a packet came to, and the rule that it owes it to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Why it passes or is dropped.
    pub reason: Reason,
    /// What inspection would have dropped it for, where it only counts.
    pub noted: Option<Reason>,
    /// The rule that lets it in, as numbered by [`Tables::term_rules`](crate::tables::Tables::term_rules).
    pub rule: Option<u16>,
}

impl Verdict {
    /// A verdict that no rule gave.
    #[inline(always)]
    pub const fn of(reason: Reason) -> Self {
        Self { reason, noted: None, rule: None }
    }

    /// What becomes of the packet.
    #[inline(always)]
    pub const fn action(self) -> Action {
        self.reason.action()
    }

    /// The verdict as one number, for a program that can return no more: from the lowest octet on the reason,
    /// the noted reason, and two octets for the rule; all ones where there is none.
    #[inline(always)]
    pub const fn encode(self) -> u32 {
        let noted = match self.noted {
            Some(noted) => noted.index(),
            None => NO_REASON,
        };
        let rule = match self.rule {
            Some(rule) => rule as u32,
            None => NO_RULE,
        };
        rule << 16 | noted << 8 | self.reason.index()
    }

    /// The verdict that [`Verdict::encode`] made this number of, if it did.
    pub fn decode(code: u32) -> Option<Self> {
        let reason = |index| Reason::ALL.iter().copied().find(|reason| reason.index() == index);
        let noted = match code >> 8 & NO_REASON {
            NO_REASON => None,
            index => Some(reason(index)?),
        };
        let rule = match code >> 16 {
            NO_RULE => None,
            rule => u16::try_from(rule).ok(),
        };
        Some(Self { reason: reason(code & NO_REASON)?, noted, rule })
    }
}

const NO_REASON: u32 = 0xff;
const NO_RULE: u32 = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_comes_back_from_its_code() {
        for reason in Reason::ALL.iter().copied() {
            for (noted, rule) in [(None, None), (Some(Reason::InspectSip), Some(0)), (None, Some(1023))] {
                let verdict = Verdict { reason, noted, rule };
                assert_eq!(Verdict::decode(verdict.encode()), Some(verdict));
            }
        }
    }

    #[test]
    fn what_is_no_code_is_no_verdict() {
        assert_eq!(Verdict::decode(u32::MAX), None);
        assert_eq!(Verdict::decode(0xffff_fe00), None);
    }
}

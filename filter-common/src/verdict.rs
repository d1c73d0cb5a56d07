//! What the decision says of a packet.

use crate::{Action, Reason};

/// The end that a packet came to, and the rule that it owes it to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Why it passes or is dropped.
    pub reason: Reason,
    /// The rule that lets it in, as numbered by [`Tables::term_rules`](crate::tables::Tables::term_rules).
    pub rule: Option<u16>,
}

impl Verdict {
    /// A verdict that no rule gave.
    #[inline(always)]
    pub const fn of(reason: Reason) -> Self {
        Self { reason, rule: None }
    }

    /// What becomes of the packet.
    #[inline(always)]
    pub const fn action(self) -> Action {
        self.reason.action()
    }

    /// The verdict as one number, for a program that can return no more.
    #[inline(always)]
    pub const fn encode(self) -> u32 {
        let rule = match self.rule {
            Some(rule) => rule as u32 + 1,
            None => 0,
        };
        rule << 8 | self.reason.index()
    }

    /// The verdict that [`Verdict::encode`] made this number of, if it did.
    pub fn decode(code: u32) -> Option<Self> {
        let reason = Reason::ALL.iter().copied().find(|reason| reason.index() == code & 0xff)?;
        let rule = match code >> 8 {
            0 => None,
            rule => Some(u16::try_from(rule - 1).ok()?),
        };
        Some(Self { reason, rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_comes_back_from_its_code() {
        for reason in Reason::ALL.iter().copied() {
            for rule in [None, Some(0), Some(1), Some(u16::MAX)] {
                let verdict = Verdict { reason, rule };
                assert_eq!(Verdict::decode(verdict.encode()), Some(verdict));
            }
        }
    }

    #[test]
    fn what_is_no_code_is_no_verdict() {
        assert_eq!(Verdict::decode(0xff), None);
        assert_eq!(Verdict::decode(!0xff), None);
    }
}

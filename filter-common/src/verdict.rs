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
}

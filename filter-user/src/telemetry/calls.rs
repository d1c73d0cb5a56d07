//! Whether calls are at risk: one threshold for whoever says so.

use super::Refused;

/// What share of what providers send may be dropped before calls are at risk, in hundredths.
const TOLERATED: u64 = 1;

/// What became in the past minute of packets that calls may be among.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Calls {
    /// Dropped, or would have been in monitor mode.
    pub dropped: u64,
    /// Let in by a rule of a provider.
    pub passed: u64,
}

/// How much of them was dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Risk {
    /// Nothing.
    Nothing,
    /// Less than puts calls at risk.
    Little,
    /// So much that calls are at risk.
    Calls,
}

impl Calls {
    /// Of what counters say was dropped of listed sources, and samples say whose it was.
    pub const fn new(listed: u64, refused: Refused, passed: u64) -> Self {
        Self { dropped: listed.saturating_sub(refused.own) + refused.denied, passed }
    }

    /// How much was dropped.
    pub const fn risk(self) -> Risk {
        match self.dropped {
            0 => Risk::Nothing,
            dropped if dropped * 100 >= (dropped + self.passed) * TOLERATED => Risk::Calls,
            _ => Risk::Little,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_in_a_hundred_of_providers_puts_calls_at_risk_and_own_allows_none() {
        let risk = |listed, refused, passed| Calls::new(listed, refused, passed).risk();
        let (none, own) = (Refused::default(), Refused { own: 3, ..Refused::default() });
        assert_eq!(
            [risk(0, none, 0), risk(1, none, 100), risk(1, none, 99)],
            [Risk::Nothing, Risk::Little, Risk::Calls]
        );
        assert_eq!([risk(3, own, 0), risk(4, own, 0)], [Risk::Nothing, Risk::Calls]);
        assert_eq!(risk(0, Refused { denied: 5, ..Refused::default() }, 10), Risk::Calls);
        assert_eq!(risk(0, Refused { unlisted_sip: 500, ..Refused::default() }, 10), Risk::Nothing);
    }
}

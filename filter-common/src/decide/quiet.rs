//! Policies that ask little of a packet, as most do.

use super::Policy;
use crate::{
    Address,
    live::{Allowance, LiveQuery},
    tables::{Knobs, Tables, flags},
};

/// What a policy can switch on that costs every packet a question.
const ASKED_OF_ALL: u32 = flags::MONITOR
    | flags::SCOPE_PORTS
    | flags::DHCP
    | flags::BFD
    | flags::RETURN_TRAFFIC
    | flags::INSPECT_SIP_COUNT
    | flags::INSPECT_SIP_ENFORCE
    | flags::INSPECT_MEDIA_COUNT
    | flags::INSPECT_MEDIA_ENFORCE
    | flags::ADDRESSES;

/// A policy that switches on none of that, while nothing is denied or allowed live: one question in place of many. Only plain
/// packets are judged by it.
///
/// It says what the policy in it says, in a form in which the compiler sees what is not asked for.
pub(super) struct Quiet<'a, P>(&'a P);

impl<'a, P: Policy> Quiet<'a, P> {
    /// The policy as a quiet one, if it is one.
    #[inline(always)]
    pub(super) fn of(policy: &'a P) -> Option<Self> {
        let asked = policy.knobs().0 & (ASKED_OF_ALL | flags::POLICY);
        (asked == flags::POLICY && !policy.has_live_entries()).then_some(Self(policy))
    }
}

impl<P: Policy> Policy for Quiet<'_, P> {
    const IS_QUIET: bool = true;

    #[inline(always)]
    fn tables(&self) -> &Tables {
        self.0.tables()
    }

    #[inline(always)]
    fn knobs(&self) -> Knobs {
        // LLVM would leave out the mask, which changes nothing, and know nothing of single bits.
        Knobs(self.0.knobs().opaque().0 & !ASKED_OF_ALL)
    }

    #[inline(always)]
    fn source_set(&self, source: Address) -> u32 {
        self.0.source_set(source)
    }

    #[inline(always)]
    fn is_denied(&self, _: Address) -> bool {
        false
    }

    #[inline(always)]
    fn live_allow(&self, _: Address, _: LiveQuery) -> Allowance {
        Allowance::None
    }

    #[inline(always)]
    fn has_live_entries(&self) -> bool {
        false
    }
}

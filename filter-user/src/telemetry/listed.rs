//! Which drops put calls at risk, and which silence does.

use std::time::Duration;

use filter_common::Reason;

/// For how long a provider that was heard is silent before that is worth saying.
pub const SILENCE: Duration = Duration::from_mins(10);

/// Whether packets that end so come from a source that a rule names: calls may be among them. What an always-deny list
/// takes out is dropped because the operator wants it.
pub const fn concerns_listed(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::PortClosed
            | Reason::SourcePort
            | Reason::OpeningSegment
            | Reason::ProtocolUnlisted
            | Reason::RateLimitSip
            | Reason::RateLimitTcp
            | Reason::InspectSip
            | Reason::InspectMedia
    )
}

/// The provider of a rule; nothing for the host's own allows.
pub fn provider(rule: &str) -> Option<&str> {
    rule.split_once('/').map(|(provider, _)| provider).filter(|provider| *provider != "allow")
}

/// Whether a live allow lets in what was dropped for this: it is asked where the policy has no rule, and overrides
/// nothing else.
pub const fn is_overridden_by_allow(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SourceUnlisted
            | Reason::PortClosed
            | Reason::SourcePort
            | Reason::OpeningSegment
            | Reason::ProtocolUnlisted
            | Reason::ProviderDenied
            | Reason::EchoRequest
            | Reason::EchoReply
            | Reason::FragmentUnlisted
    )
}

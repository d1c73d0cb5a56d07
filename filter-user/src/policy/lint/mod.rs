//! Advice on a policy that compiles: what is likely not meant, and what its owner should know.

mod dead_rules;
mod documents;
mod host;
mod listen;
mod providers;

pub use self::host::is_wide;
use super::{CompiledPolicy, Policy, compile::own_ports::OwnPorts};
use crate::codes::codes;

codes! {
    /// The kind of an [`Advice`].
    Lint {
        TrunkOn5060 = "trunk-on-5060", "A trunk takes SIP on port 5060 from the internet, where it could take it on another port.";
        LowListenPort = "low-listen-port", "A listening port below 1024 that is none of the standard ones.";
        MediaOverlapsSip = "media-overlaps-sip", "The media range contains a SIP port.";
        RepliesNotCovered = "replies-not-covered", "The host opens connections from ports to which no answers are let in.";
        ProviderWithoutMedia = "provider-without-media", "A provider that may call has no way to send media.";
        RegionSubset = "region-subset", "Only some of the provider's regions are taken.";
        ViaNotEnforced = "via-not-enforced", "The trunk is told to look at the Via header, which no packet filter can.";
        NoManagementAccess = "no-management-access", "Nothing is let in by which the host could be managed.";
        DeadRule = "dead-rule", "A rule that can never match.";
        NoRules = "no-rules", "The policy lets nobody in.";
        WideSource = "wide-source", "A source that is a large part of the internet.";
        MulticastByKnob = "multicast-by-knob", "A rule for VRRP or OSPF, which mostly go to multicast: that only the knob lets in.";
        TrunkPortShared = "trunk-port-shared", "A trunk's own port that is open to others too.";
        ServiceNotTaken = "service-not-taken", "An allowlist has a SIP service for which the provider's trunk has no port.";
        ServicesUnused = "services-unused", "`services` are set, and every entry of the allowlist says its own.";
        DeniedSource = "denied-source", "The deny list cuts off a source that a provider publishes.";
        AllowlistIncomplete = "allowlist-incomplete", "An allowlist was written although parts of its document could not be read.";
        AllowlistWarning = "allowlist-warning", "Something odd in an allowlist's document, which is used all the same.";
        PortsDisagree = "ports-disagree", "Two providers publish one prefix with different ports.";
        NotEnforced = "not-enforced", "A row of an allowlist has no address that could be filtered by.";
        MonitorMode = "monitor-mode", "Nothing is dropped.";
    }
}

/// How serious a lint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// It is likely a mistake.
    Warning,
    /// It is good to know.
    Note,
}

impl Level {
    /// The name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl Lint {
    /// How serious it is.
    pub const fn level(self) -> Level {
        match self {
            Self::PortsDisagree
            | Self::NotEnforced
            | Self::MonitorMode
            | Self::DeniedSource
            | Self::MulticastByKnob => Level::Note,
            _ => Level::Warning,
        }
    }
}

/// One piece of advice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advice {
    /// Its kind.
    pub lint: Lint,
    /// The line of the policy file, from 1; 0 for the policy as a whole.
    pub line: u32,
    /// What it is about, in one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What the lints look at.
struct Subject<'p> {
    policy: &'p Policy,
    compiled: &'p CompiledPolicy,
    own: OwnPorts<'p>,
}

impl Policy {
    /// Advice on the policy that `compiled` was made from, in the order of [`Lint::ALL`].
    pub fn lint(&self, compiled: &CompiledPolicy) -> Vec<Advice> {
        let subject = Subject { policy: self, compiled, own: OwnPorts::new(self.file()) };
        let lints = [listen::lint, providers::lint, host::lint, dead_rules::lint, documents::lint];
        let mut advice: Vec<_> = lints.iter().flat_map(|lint| lint(&subject)).collect();
        advice.sort_by_key(|advice| (advice.lint, advice.line));
        advice
    }
}

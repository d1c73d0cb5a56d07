//! Why a packet passes or is dropped: the rule, the prefix and the line of the document behind a verdict.

use std::net::IpAddr;

use filter_common::{
    Action, Reason, Stateless, decide,
    packet::{self, Content},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{CompiledPolicy, HostPolicy, Origin, TermInfo};

/// A compiled policy that says why.
pub struct Explainer<'p> {
    compiled: &'p CompiledPolicy,
    host: HostPolicy,
}

/// A verdict with what stands behind it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// What becomes of the packet, whatever the mode.
    #[serde(serialize_with = "action_name")]
    pub action: Action,
    /// The rule that lets it in.
    pub rule: Option<String>,
    /// Why.
    #[serde(serialize_with = "reason_name")]
    pub reason: Reason,
    /// The prefix as the document states it.
    pub matched_prefix: Option<IpNet>,
    /// The line that states it.
    pub origin: Option<Origin>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn action_name<S: serde::Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(action.name())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn reason_name<S: serde::Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.name())
}

impl<'p> Explainer<'p> {
    /// An explainer of this policy.
    pub fn new(compiled: &'p CompiledPolicy) -> Self {
        Self { compiled, host: HostPolicy::naming_terms(compiled) }
    }

    /// What becomes of a frame, and why.
    pub fn explain(&self, frame: &[u8]) -> Explanation {
        let verdict = decide(frame, &self.host, &Stateless);
        let source = source(frame);
        let term = verdict.rule().and_then(|term| self.compiled.terms.get(usize::from(term)));
        let (matched_prefix, origin) = source.and_then(|source| self.cause(source, verdict.reason(), term)).unzip();
        Explanation {
            action: verdict.action(),
            rule: term.map(|term| self.compiled.rules[term.rule].name.clone()),
            reason: verdict.reason(),
            matched_prefix,
            origin,
        }
    }

    /// The longest prefix that the verdict is owed to, and where it stands.
    fn cause(&self, source: IpAddr, reason: Reason, term: Option<&TermInfo>) -> Option<(IpNet, Origin)> {
        let compiled = self.compiled;
        match (reason, term) {
            (_, Some(term)) => longest(source, term.sources.iter().map(|source| (&source.prefix, &source.origin))),
            (Reason::Denied, None) => longest(source, compiled.denied.iter().zip(&compiled.denied_origins)),
            (Reason::ProviderDenied, None) => {
                let denies = compiled.provider_denied.iter().filter(|deny| self.would_allow(deny.provider, source));
                longest(source, denies.map(|deny| (&deny.prefix, &deny.origin)))
            }
            _ => None,
        }
    }

    /// The terms whose prefixes cover the source.
    fn covering(&self, source: IpAddr) -> impl Iterator<Item = &'p TermInfo> {
        let covers = move |term: &&TermInfo| term.sources.iter().any(|stated| stated.prefix.contains(&source));
        self.compiled.terms.iter().filter(covers)
    }

    /// Whether the provider has a term for the source.
    fn would_allow(&self, provider: usize, source: IpAddr) -> bool {
        self.covering(source).any(|term| self.compiled.rules[term.rule].provider == Some(provider))
    }

    /// What the source may send, a line for each term: the rule and its ports.
    pub fn allowed_from(&self, source: IpAddr) -> Vec<String> {
        self.covering(source)
            .map(|term| format!("{}: {}", self.compiled.rules[term.rule].name, term.matching))
            .collect()
    }

    /// The listed prefixes in the same /24 or /64 as the source, each with the first line that states it.
    pub fn neighbors(&self, source: IpAddr) -> Vec<(IpNet, Origin)> {
        let length = if source.is_ipv4() { 24 } else { 64 };
        let Ok(around) = IpNet::new(source, length) else { return Vec::new() };
        let stated = self.compiled.terms.iter().flat_map(|term| &term.sources);
        let mut near: Vec<_> = stated
            .filter(|stated| around.contains(&stated.prefix))
            .map(|stated| (stated.prefix, stated.origin.clone()))
            .collect();
        near.sort_by_key(|(prefix, _)| *prefix);
        near.dedup_by_key(|(prefix, _)| *prefix);
        near
    }
}

/// Where a frame says that it comes from, if it is a whole IP packet.
fn source(frame: &[u8]) -> Option<IpAddr> {
    match packet::parse(frame) {
        Ok(Content::Ip(packet)) => Some(packet.source.into()),
        _ => None,
    }
}

fn longest<'a>(source: IpAddr, stated: impl Iterator<Item = (&'a IpNet, &'a Origin)>) -> Option<(IpNet, Origin)> {
    let covering = stated.filter(|(prefix, _)| prefix.contains(&source));
    covering.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(prefix, origin)| (*prefix, origin.clone()))
}

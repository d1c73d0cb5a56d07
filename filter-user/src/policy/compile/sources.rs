//! Sources: nested prefixes are pushed down, so that the longest one carries all that holds for it.

use std::collections::{HashMap, hash_map::Entry};

use filter_common::tables::{SourceSet, TermSet};
use ipnet::IpNet;

use super::{
    draft::{RuleInfo, TermInfo},
    intern::Interner,
    providers::ProviderDeny,
};

/// What holds for a prefix: the terms that name it, and those that a provider's always-deny list takes away.
#[derive(Clone, Copy, Default)]
struct Claim {
    terms: TermSet,
    denied: TermSet,
}

impl Claim {
    fn and(self, other: Self) -> Self {
        Self { terms: self.terms | other.terms, denied: self.denied | other.denied }
    }

    /// What is left: always-deny wins over whatever allows.
    fn source_set(self) -> SourceSet {
        let terms = self.terms.without(self.denied);
        SourceSet { terms, provider_denied: u64::from(terms != self.terms) }
    }
}

/// The set of every prefix that differs from the one around it, in ascending order.
///
/// `terms` has at most 256 items.
pub(super) fn push_down(rules: &[RuleInfo], terms: &[TermInfo], denies: &[ProviderDeny]) -> Vec<(IpNet, SourceSet)> {
    let mut claims: Vec<_> = claims(rules, terms, denies).into_iter().collect();
    // Ascending by address, then length: what covers a prefix stands before it.
    claims.sort_unstable_by_key(|(prefix, _)| *prefix);
    let mut sources = Vec::with_capacity(claims.len());
    // The prefixes that cover the current one, outermost first, with all that holds for them.
    let mut covering: Vec<(IpNet, Claim)> = Vec::new();
    for (prefix, own) in claims {
        while covering.pop_if(|(outer, _)| !outer.contains(&prefix)).is_some() {}
        let inherited = covering.last().map_or_else(Claim::default, |(_, claim)| *claim);
        let claim = inherited.and(own);
        if claim.source_set() != inherited.source_set() {
            sources.push((prefix, claim.source_set()));
        }
        covering.push((prefix, claim));
    }
    sources
}

/// The prefixes with the places of their sets, and the sets; the first one is that of a source without any.
pub(super) fn number(sources: &[(IpNet, SourceSet)]) -> (Vec<(IpNet, u32)>, Vec<SourceSet>) {
    let mut sets = Interner::new();
    let numbered = sources.iter().map(|(prefix, set)| (*prefix, sets.place(*set))).collect();
    (numbered, sets.into_values())
}

fn claims(rules: &[RuleInfo], terms: &[TermInfo], denies: &[ProviderDeny]) -> HashMap<IpNet, Claim> {
    let mut claims: HashMap<IpNet, Claim> = HashMap::new();
    let mut of_provider: HashMap<usize, TermSet> = HashMap::new();
    for (index, term) in (0..=u8::MAX).zip(terms) {
        for source in &term.sources {
            claims.entry(source.prefix).or_default().terms.insert(index);
        }
        if let Some(provider) = rules[term.rule].provider {
            of_provider.entry(provider).or_default().insert(index);
        }
    }
    for deny in denies {
        let terms = of_provider.get(&deny.provider).copied().unwrap_or_default();
        match claims.entry(deny.prefix) {
            Entry::Occupied(mut claim) => claim.get_mut().denied = claim.get().denied | terms,
            Entry::Vacant(claim) => drop(claim.insert(Claim { terms: TermSet::EMPTY, denied: terms })),
        }
    }
    claims
}

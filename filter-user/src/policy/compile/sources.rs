//! Sources: nested prefixes are pushed down, so that the longest one carries all that holds for it.

use std::collections::HashMap;

use filter_common::tables::TermSet;
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

    /// What is left: always-deny wins over whatever allows. Nothing where nobody lists the prefix.
    fn left(self) -> Option<TermSet> {
        (!self.terms.is_empty()).then(|| self.terms.without(self.denied))
    }
}

/// The terms of every listed prefix whose terms differ from those of the one around it, in ascending order.
///
/// `terms` has at most 256 items.
pub(super) fn push_down(rules: &[RuleInfo], terms: &[TermInfo], denies: &[ProviderDeny]) -> Vec<(IpNet, TermSet)> {
    let of_providers = of_providers(rules, terms);
    let named = named(terms, denies);
    let mut sources = Vec::with_capacity(named.len());
    // The prefixes that cover the current one, outermost first, with all that holds for them.
    let mut covering: Vec<(IpNet, Claim)> = Vec::new();
    for same in named.chunk_by(|(one, _), (next, _)| one == next) {
        let prefix = same[0].0;
        while covering.pop_if(|(outer, _)| !outer.contains(&prefix)).is_some() {}
        let inherited = covering.last().map_or_else(Claim::default, |(_, claim)| *claim);
        let claim = same.iter().fold(inherited, |claim, (_, named)| claim.and(named.claim(&of_providers)));
        if claim.left() != inherited.left() {
            sources.extend(claim.left().map(|terms| (prefix, terms)));
        }
        covering.push((prefix, claim));
    }
    sources
}

/// The prefixes with the places of their sets, and the sets; the first one is that of an unlisted source.
pub(super) fn number(sources: &[(IpNet, TermSet)]) -> (Vec<(IpNet, u32)>, Vec<TermSet>) {
    let mut sets = Interner::new();
    let mut numbered = Vec::with_capacity(sources.len());
    // Neighbours mostly have the same set.
    for same in sources.chunk_by(|(_, one), (_, next)| one == next) {
        let place = sets.place(Some(same[0].1));
        numbered.extend(same.iter().map(|(prefix, _)| (*prefix, place)));
    }
    (numbered, sets.into_values().into_iter().map(Option::unwrap_or_default).collect())
}

/// Who names a prefix.
#[derive(Clone, Copy)]
enum Named {
    /// A term, by its place.
    Term(u8),
    /// The always-deny list of a provider, by its place.
    Denied(usize),
}

impl Named {
    /// What that says of the prefix; `of_providers`: the terms of each provider.
    fn claim(self, of_providers: &HashMap<usize, TermSet>) -> Claim {
        let mut claim = Claim::default();
        match self {
            Self::Term(term) => claim.terms.insert(term),
            Self::Denied(provider) => claim.denied = of_providers.get(&provider).copied().unwrap_or_default(),
        }
        claim
    }
}

/// The terms of each provider, by its place.
fn of_providers(rules: &[RuleInfo], terms: &[TermInfo]) -> HashMap<usize, TermSet> {
    let mut of_providers: HashMap<usize, TermSet> = HashMap::new();
    for (index, term) in (0..=u8::MAX).zip(terms) {
        if let Some(provider) = rules[term.rule].provider {
            of_providers.entry(provider).or_default().insert(index);
        }
    }
    of_providers
}

/// Who names each prefix, ascending by address, then by length: what covers a prefix stands before it.
fn named(terms: &[TermInfo], denies: &[ProviderDeny]) -> Vec<(IpNet, Named)> {
    let mut named = Vec::with_capacity(terms.iter().map(|term| term.sources.len()).sum::<usize>() + denies.len());
    for (index, term) in (0..=u8::MAX).zip(terms) {
        named.extend(term.sources.iter().map(|source| (source.prefix, Named::Term(index))));
    }
    named.extend(denies.iter().map(|deny| (deny.prefix, Named::Denied(deny.provider))));
    // The sources of each term ascend already, which this sort makes use of.
    named.sort_by_key(|(prefix, _)| *prefix);
    named
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::policy::{Document, Match, Origin, SourcePrefix};

    /// So few addresses that prefixes nest, meet and repeat, and that all of them can be tried.
    const ADDRESSES: u8 = 64;

    fn address(v6: bool, last: u8) -> IpAddr {
        if v6 {
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)).into()
        } else {
            Ipv4Addr::new(192, 0, 2, last).into()
        }
    }

    fn prefix() -> impl Strategy<Value = IpNet> {
        (any::<bool>(), 0..ADDRESSES, 0..=7_u8).prop_map(|(v6, last, host_bits)| {
            let width = if v6 { 128 } else { 32 };
            IpNet::new(address(v6, last), width - host_bits).unwrap().trunc()
        })
    }

    fn origin() -> Origin {
        Origin { document: Document::Policy("policy.toml".into()), line: 1 }
    }

    /// Terms, each of a provider or of nobody, and denies of providers; provider `n` has rule `n`.
    fn policies() -> impl Strategy<Value = (Vec<TermInfo>, Vec<ProviderDeny>)> {
        let term = (0..4_usize, vec(prefix(), 1..6)).prop_map(|(rule, prefixes)| TermInfo {
            rule,
            matching: Match::protocol(47),
            sources: prefixes.into_iter().map(|prefix| SourcePrefix { prefix, origin: origin() }).collect(),
        });
        let deny =
            (0..3_usize, prefix()).prop_map(|(provider, prefix)| ProviderDeny { provider, prefix, origin: origin() });
        (vec(term, 0..12), vec(deny, 0..6))
    }

    fn rules() -> Vec<RuleInfo> {
        let rule = |provider| RuleInfo { name: String::new(), provider, service: None };
        vec![rule(Some(0)), rule(Some(1)), rule(Some(2)), rule(None)]
    }

    /// What a source has, by looking at every prefix that covers it.
    fn brute_force(address: IpAddr, terms: &[TermInfo], denies: &[ProviderDeny]) -> Option<TermSet> {
        let mut set: Option<TermSet> = None;
        for (index, term) in (0..=u8::MAX).zip(terms) {
            let covered = term.sources.iter().any(|source| source.prefix.contains(&address));
            let provider = rules()[term.rule].provider;
            let denied = denies.iter().any(|deny| Some(deny.provider) == provider && deny.prefix.contains(&address));
            match (covered, denied) {
                (true, false) => set.get_or_insert_default().insert(index),
                (true, true) => drop(set.get_or_insert_default()),
                (false, _) => {}
            }
        }
        set
    }

    proptest! {
        #[test]
        fn the_longest_prefix_carries_what_all_that_cover_it_say((terms, denies) in policies()) {
            let sources = push_down(&rules(), &terms, &denies);
            for address in [false, true].into_iter().flat_map(|v6| (0..=u8::MAX).map(move |last| address(v6, last))) {
                let covering = sources.iter().filter(|(prefix, _)| prefix.contains(&address));
                let longest = covering.max_by_key(|(prefix, _)| prefix.prefix_len());
                let set = longest.map(|(_, set)| *set);
                prop_assert_eq!(set, brute_force(address, &terms, &denies), "{}", address);
            }
        }

        #[test]
        fn no_prefix_stands_twice_and_all_are_in_order((terms, denies) in policies()) {
            let sources = push_down(&rules(), &terms, &denies);
            prop_assert!(sources.is_sorted_by(|(one, _), (next, _)| one < next));
        }
    }
}

//! The rules and terms of a policy while they are collected.

use std::{collections::HashMap, net::IpAddr};

use ipnet::IpNet;

use super::matching::Match;
use crate::{allowlist::Service, policy::Origin};

/// What people see and what is counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleInfo {
    /// `provider/service` or `allow/name`.
    pub name: String,
    /// The provider's place in the policy file; nothing for an own allow.
    pub provider: Option<usize>,
    /// What runs there; nothing for an own allow and for a trunk's replies.
    pub service: Option<Service>,
}

/// One bit of the classification: sources and what they may send.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TermInfo {
    /// The place of its rule among the policy's rules.
    pub rule: usize,
    /// What it lets in.
    pub matching: Match,
    /// From where, in ascending order, each prefix once.
    pub sources: Vec<SourcePrefix>,
}

/// A prefix as a document states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourcePrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Where it stands.
    pub origin: Origin,
}

/// The rules and terms so far.
#[derive(Default)]
pub(super) struct Draft {
    rules: Vec<RuleInfo>,
    terms: Vec<TermInfo>,
    rule_places: HashMap<String, usize>,
    term_places: HashMap<(usize, Match), usize>,
}

impl Draft {
    /// Lets in what `matching` says from `sources`, under the rule of that name.
    ///
    /// Sources of one rule that may send the same share a term.
    pub(super) fn allow(&mut self, rule: &RuleInfo, matching: Match, sources: &[SourcePrefix]) {
        if matching.is_empty() || sources.is_empty() {
            return;
        }
        let rule = *self.rule_places.entry(rule.name.clone()).or_insert_with(|| {
            self.rules.push(rule.clone());
            self.rules.len() - 1
        });
        let term = *self.term_places.entry((rule, matching)).or_insert_with_key(|(rule, matching)| {
            self.terms.push(TermInfo { rule: *rule, matching: matching.clone(), sources: Vec::new() });
            self.terms.len() - 1
        });
        self.terms[term].sources.extend_from_slice(sources);
    }

    /// Lets in what each of `matches` says from `sources`, under the rule of that name.
    pub(super) fn allow_all(
        &mut self,
        rule: &RuleInfo,
        matches: impl IntoIterator<Item = Match>,
        sources: &[SourcePrefix],
    ) {
        for matching in matches {
            self.allow(rule, matching, sources);
        }
    }

    /// The rules, and the terms with each source once, at the first line that states it.
    pub(super) fn finish(mut self) -> (Vec<RuleInfo>, Vec<TermInfo>) {
        for term in &mut self.terms {
            // By numbers, which are compared in a fraction of the time.
            term.sources.sort_by_cached_key(|source| place(&source.prefix));
            term.sources.dedup_by_key(|source| source.prefix);
        }
        (self.rules, self.terms)
    }
}

/// What prefixes ascend by: the family, the first address, the length.
fn place(prefix: &IpNet) -> (bool, u128, u8) {
    let (v6, first) = match prefix.network() {
        IpAddr::V4(address) => (false, u32::from(address).into()),
        IpAddr::V6(address) => (true, address.into()),
    };
    (v6, first, prefix.prefix_len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::prefix;

    proptest! {
        #[test]
        fn places_ascend_as_prefixes_do(one in prefix(), other in prefix()) {
            prop_assert_eq!(place(&one).cmp(&place(&other)), one.cmp(&other));
        }
    }
}

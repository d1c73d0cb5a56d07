//! Rules that can never match.

use filter_common::Address;
use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use super::{Advice, Lint, Subject};
use crate::policy::{CompiledPolicy, TermInfo};

pub(super) fn lint(subject: &Subject<'_>) -> Vec<Advice> {
    let compiled = subject.compiled;
    let lives: Vec<_> = lives(subject);
    let mut advice = Vec::new();
    for (rule, info) in compiled.rules.iter().enumerate() {
        let terms = || compiled.terms.iter().zip(&lives).filter(move |(term, _)| term.rule == rule);
        if terms().any(|(_, life)| *life == Life::Matches) {
            continue;
        }
        let Some((term, life)) = terms().max_by_key(|(_, life)| **life) else { continue };
        advice.push(Advice {
            lint: Lint::DeadRule,
            line: line(subject, term),
            message: format!("`{}` never matches: {}", info.name, life.why()),
            hint: "take it out, or what stands in its way".to_owned(),
        });
    }
    advice
}

/// How far a packet comes with a term before something else settles it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Life {
    OutOfScope,
    ProviderDenied,
    Denied,
    Shadowed,
    Matches,
}

impl Life {
    const fn why(self) -> &'static str {
        match self {
            Self::OutOfScope => "`scope = \"ports\"` judges only the SBC's own SIP and media ports",
            Self::ProviderDenied => "the provider's always-deny list takes away all its sources",
            Self::Denied => "the deny list has all its sources, or no host may send from them",
            Self::Shadowed => "rules before it let in all that it would",
            Self::Matches => "it does",
        }
    }
}

fn lives(subject: &Subject<'_>) -> Vec<Life> {
    let compiled = subject.compiled;
    let usable = usable_sets(compiled);
    let of_term = |(place, term): (usize, &TermInfo)| {
        let held: Vec<_> = (0..).zip(&compiled.tables.source_sets).filter(|(_, set)| set.contains(place)).collect();
        if !in_scope(subject, term) {
            Life::OutOfScope
        } else if held.is_empty() {
            Life::ProviderDenied
        } else if !held.iter().any(|(set, _)| usable[*set]) {
            Life::Denied
        } else {
            let shadowed = |set: &filter_common::tables::TermSet| {
                (0..place).zip(&compiled.terms).any(|(earlier, other)| {
                    set.contains(earlier) && other.rule != term.rule && other.matching.covers(&term.matching)
                })
            };
            let matches = held.iter().any(|(number, set)| usable[*number] && !shadowed(set));
            if matches { Life::Matches } else { Life::Shadowed }
        }
    };
    (0..).zip(&compiled.terms).map(of_term).collect()
}

/// For each source set, whether a packet from one of its prefixes can reach the rules.
fn usable_sets(compiled: &CompiledPolicy) -> Vec<bool> {
    let denied: JointPrefixSet<IpNet> = compiled.denied.iter().copied().collect();
    let mut usable = vec![false; compiled.tables.source_sets.len()];
    for (prefix, set) in &compiled.sources {
        let martian = [prefix.network(), prefix.broadcast()].map(|end| Address::from(end).is_martian_source());
        if martian != [true; 2] && denied.get_lpm(prefix).is_none() {
            usable[usize::try_from(*set).unwrap_or_default()] = true;
        }
    }
    usable
}

fn in_scope(subject: &Subject<'_>, term: &TermInfo) -> bool {
    if !subject.policy.file().sbc.scope_ports {
        return true;
    }
    let own = subject.own.service.of_protocol(term.matching.protocol);
    match (own, &term.matching.ports) {
        (Some(own), Some(ports)) => !own.intersection(&ports.destination).is_empty(),
        _ => false,
    }
}

/// The line of the policy that the term is owed to.
fn line(subject: &Subject<'_>, term: &TermInfo) -> u32 {
    match subject.compiled.rules[term.rule].provider {
        Some(provider) => subject.policy.file().providers[provider].name.line,
        None => term.sources.first().map_or(0, |source| source.origin.line),
    }
}

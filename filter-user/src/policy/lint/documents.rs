//! Lints on what the allowlists say.

use std::collections::BTreeMap;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use super::{Advice, Lint, Subject};
use crate::{
    allowlist::{Allowlist, Finding, Protocol, Service},
    policy::{
        Policy, PortSet,
        file::{Deny, Provider},
    },
};

pub(super) fn lint(subject: &Subject<'_>) -> Vec<Advice> {
    let mut advice = ports_disagree(subject.policy);
    for (provider, allowlist) in subject.policy.providers() {
        if let Some(allowlist) = allowlist {
            advice.extend(incomplete(provider, allowlist));
            advice.extend(warnings(provider, allowlist));
            advice.extend(not_enforced(provider, allowlist));
        }
    }
    advice.extend(denied_sources(subject));
    advice
}

fn incomplete(provider: &Provider, allowlist: &Allowlist) -> Option<Advice> {
    let first = allowlist.errors.first()?;
    Some(Advice {
        lint: Lint::AllowlistIncomplete,
        line: provider.name.line,
        message: format!(
            "{} parts of the document of `{}` could not be read, the first on line {}: {}",
            allowlist.errors.len(),
            provider.name.value,
            first.line,
            first.message
        ),
        hint: "mend the document and `sipwall import` it again".to_owned(),
    })
}

fn warnings(provider: &Provider, allowlist: &Allowlist) -> impl Iterator<Item = Advice> {
    let place = |line| if line == 0 { String::new() } else { format!(", line {line}") };
    allowlist.warnings.iter().map(move |Finding { code, line, message }| Advice {
        lint: Lint::AllowlistWarning,
        line: provider.name.line,
        message: format!("the document of `{}`{}: {message}", provider.name.value, place(*line)),
        hint: format!("it is used all the same: `docs/import.md` says more of `{}`", code.code()),
    })
}

fn not_enforced(provider: &Provider, allowlist: &Allowlist) -> Vec<Advice> {
    let rows = allowlist.unenforced.iter().map(|row| Advice {
        lint: Lint::NotEnforced,
        line: provider.name.line,
        message: format!("`{}` of `{}`, line {}: {}", row.name, provider.name.value, row.line, row.why),
        hint: "if this host needs it, name its addresses in an `[[allow]]`".to_owned(),
    });
    rows.collect()
}

/// What one row of one provider says of a prefix.
type Rows<'p> = BTreeMap<(IpNet, Service, Protocol), BTreeMap<&'p str, (PortSet, u32)>>;

fn ports_disagree(policy: &Policy) -> Vec<Advice> {
    let mut rows = Rows::new();
    for (provider, allowlist) in policy.providers() {
        for entry in allowlist.iter().flat_map(|allowlist| Policy::chosen(provider, allowlist)) {
            for prefix in &entry.remote {
                let providers = rows.entry((*prefix, entry.service, entry.protocol)).or_default();
                let (ports, _) =
                    providers.entry(&provider.name.value).or_insert((PortSet::default(), provider.name.line));
                *ports = ports.union(&entry.remote_ports.iter().copied().collect());
            }
        }
    }
    rows.into_iter().filter_map(|((prefix, service, _), providers)| disagreement(prefix, service, &providers)).collect()
}

fn disagreement(prefix: IpNet, service: Service, providers: &BTreeMap<&str, (PortSet, u32)>) -> Option<Advice> {
    let mut stated = providers.values();
    let (first, _) = stated.next()?;
    let (_, line) = stated.find(|(ports, _)| ports != first)?;
    let each: Vec<_> = providers.iter().map(|(name, (ports, _))| format!("{ports} (`{name}`)")).collect();
    Some(Advice {
        lint: Lint::PortsDisagree,
        line: *line,
        message: format!("{prefix} is published for {service} with ports {}", each.join(" and ")),
        hint: "nothing is lost: each provider's rule has its own ports".to_owned(),
    })
}

/// Deny lists that cover a provider's prefix, or a part of one.
fn denied_sources(subject: &Subject<'_>) -> Vec<Advice> {
    let compiled = subject.compiled;
    let of_providers = compiled.terms.iter().filter(|term| compiled.rules[term.rule].provider.is_some());
    let published: JointPrefixSet<IpNet> =
        of_providers.flat_map(|term| term.sources.iter().map(|source| source.prefix)).collect();
    subject.policy.file().denies.iter().filter_map(|deny| denied_source(deny, &published)).collect()
}

fn denied_source(deny: &Deny, published: &JointPrefixSet<IpNet>) -> Option<Advice> {
    let hit = |prefix: &IpNet| published.get_lpm(prefix).or_else(|| published.children(prefix).next());
    let mut hits = deny.from.iter().filter_map(|(prefix, origin)| Some((prefix, origin, hit(prefix)?)));
    let (prefix, origin, source) = hits.next()?;
    let more = match hits.count() {
        0 => String::new(),
        more => format!(", and {more} more do so"),
    };
    Some(Advice {
        lint: Lint::DeniedSource,
        line: deny.name.line,
        message: format!("{prefix} ({origin}) cuts off what a provider publishes, {source}{more}"),
        hint: "the deny list wins over every rule: take it out if this is not meant".to_owned(),
    })
}

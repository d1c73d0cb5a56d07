//! What a policy comes to, for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use bytemuck::Zeroable as _;
use filter_common::{
    packet::ip,
    tables::{Knobs, Settings},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{
    CompiledPolicy, Policy, PortSet, TermInfo,
    file::{DEFAULT_CLASSES, LimitRates},
    outline,
};

/// A policy at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The policy file.
    pub policy: String,
    /// `enforce` or `monitor`.
    pub mode: &'static str,
    /// `interface` or `ports`.
    pub scope: &'static str,
    /// The interfaces that it names.
    pub interfaces: Vec<String>,
    /// The SBC's own addresses; empty: any.
    pub addresses: Vec<IpAddr>,
    /// What it sets otherwise than it is where nothing is said, by the names that the policy file has for it.
    pub settings: BTreeMap<&'static str, String>,
    /// The providers.
    pub providers: Vec<ProviderSummary>,
    /// The host's own allows.
    pub allows: Vec<RuleSummary>,
    /// How many prefixes the deny list has.
    pub denied: usize,
    /// How many terms of the data plane the rules take.
    pub terms: usize,
    /// How many prefixes the source tries take, nested ones pushed down.
    pub prefixes: usize,
}

/// A provider at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderSummary {
    /// Its name.
    pub name: String,
    /// Its allowlist, as the policy names it.
    pub allowlist: Option<String>,
    /// The regions that the policy takes; empty: all.
    pub regions: Vec<String>,
    /// Its rules.
    pub rules: Vec<RuleSummary>,
    /// How many prefixes its always-deny lists have.
    pub always_denied: usize,
}

/// What a rule lets in of one protocol, in one direction.
#[derive(Clone, Debug, Serialize)]
pub struct RuleSummary {
    /// Its name.
    pub rule: String,
    /// The IP protocol, `udp`, `tcp` or a number.
    pub protocol: String,
    /// How many prefixes it lets in.
    pub prefixes: usize,
    /// The sources' ports, where they matter; empty: any.
    #[serde(serialize_with = "as_text")]
    pub remote_ports: PortSet,
    /// The ports of this host that the sources may open.
    #[serde(serialize_with = "as_text")]
    pub your_ports: PortSet,
    /// Whether these are answers to what this host opens.
    pub answers: bool,
}

fn as_text<S: serde::Serializer>(ports: &PortSet, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        ports.ranges().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") }),
    )
}

impl Policy {
    /// The policy that `compiled` was made from, at a glance.
    pub fn summary(&self, compiled: &CompiledPolicy) -> Summary {
        let file = self.file();
        let providers = file.providers.iter().enumerate().map(|(place, provider)| ProviderSummary {
            name: provider.name.value.clone(),
            allowlist: provider.allowlist.as_ref().map(|name| name.value.clone()),
            regions: provider.regions.iter().map(|region| region.value.clone()).collect(),
            rules: rules(compiled, Some(place)),
            always_denied: compiled.provider_denied.iter().filter(|deny| deny.provider == place).count(),
        });
        Summary {
            policy: file.name.to_string(),
            mode: file.sbc.mode(),
            scope: file.sbc.scope(),
            interfaces: file.sbc.interfaces.clone(),
            addresses: file.sbc.addresses.clone(),
            settings: settings(&compiled.tables.settings),
            providers: providers.collect(),
            allows: rules(compiled, None),
            denied: compiled.denied.len(),
            terms: compiled.terms.len(),
            prefixes: compiled.sources.len(),
        }
    }
}

/// The settings that are not what they are where nothing is said; mode, scope and addresses have places of their own.
fn settings(set: &Settings) -> BTreeMap<&'static str, String> {
    let limits = LimitRates::default().table();
    let usual = outline::settings(&Settings { knobs: Knobs(DEFAULT_CLASSES), limits, ..Settings::zeroed() });
    let mut set = outline::settings(set);
    set.retain(|name, value| !["mode", "scope", "addresses"].contains(name) && usual.get(name) != Some(value));
    set
}

fn rules(compiled: &CompiledPolicy, provider: Option<usize>) -> Vec<RuleSummary> {
    let of_provider = compiled.rules.iter().enumerate().filter(|(_, rule)| rule.provider == provider);
    of_provider
        .flat_map(|(place, rule)| {
            let mut alike = BTreeMap::<_, Vec<_>>::new();
            for term in compiled.terms.iter().filter(|term| term.rule == place) {
                alike.entry((term.matching.protocol, is_answers(term))).or_default().push(term);
            }
            let summary = |(key, terms): (_, Vec<_>)| self::rule(&rule.name, key, &terms);
            alike.into_iter().map(summary).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether the term lets in nothing that opens a connection.
fn is_answers(term: &TermInfo) -> bool {
    term.matching.ports.as_ref().is_some_and(|ports| !ports.opening)
}

fn rule(name: &str, (protocol, answers): (u8, bool), terms: &[&TermInfo]) -> RuleSummary {
    let prefixes: BTreeSet<IpNet> = terms.iter().flat_map(|term| &term.sources).map(|source| source.prefix).collect();
    let mut summary = RuleSummary {
        rule: name.to_owned(),
        protocol: protocol_name(protocol),
        prefixes: prefixes.len(),
        remote_ports: PortSet::default(),
        your_ports: PortSet::default(),
        answers,
    };
    for ports in terms.iter().filter_map(|term| term.matching.ports.as_ref()) {
        if ports.source != PortSet::all() {
            summary.remote_ports = summary.remote_ports.union(&ports.source);
        }
        // Answers go to almost every port: only what may be opened tells something.
        if !answers {
            summary.your_ports = summary.your_ports.union(&ports.destination);
        }
    }
    summary
}

fn protocol_name(number: u8) -> String {
    match number {
        ip::UDP => "udp".to_owned(),
        ip::TCP => "tcp".to_owned(),
        number => number.to_string(),
    }
}

//! Lints on providers and their trunks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Advice, Lint, Subject};
use crate::{
    allowlist::{Allowlist, Service},
    policy::{
        Policy, PortSet,
        file::{Listen, Provider, Trunk},
    },
};

pub(super) fn lint(subject: &Subject<'_>) -> Vec<Advice> {
    let mut advice = Vec::new();
    for (place, (provider, allowlist)) in subject.policy.providers().enumerate() {
        advice.extend(without_media(subject, place, provider));
        if let Some(allowlist) = allowlist {
            advice.extend(region_subset(provider, allowlist));
            advice.extend(services_unused(provider, allowlist));
            advice.extend(service_not_taken(provider, allowlist));
        }
        if let Some(trunk) = &provider.trunk {
            advice.extend(on_5060(subject, provider, trunk));
            advice.extend(via_not_enforced(trunk));
            advice.extend(port_shared(subject, place, provider, trunk));
        }
    }
    advice
}

/// Whether a rule of the provider, or an own allow, opens the media range.
fn without_media(subject: &Subject<'_>, place: usize, provider: &Provider) -> Option<Advice> {
    let media = subject.own.of_provider(provider).listening(Service::Media).cloned().unwrap_or_default();
    let compiled = subject.compiled;
    let rule_of = |term: &crate::policy::TermInfo| &compiled.rules[term.rule];
    let calls = compiled.rules.iter().any(|rule| {
        let service = rule.name.split_once('/').map_or("", |(_, service)| service);
        rule.provider == Some(place) && Listen::SIP.iter().any(|sip| sip.name() == service)
    });
    let heard = compiled.terms.iter().any(|term| {
        let is_ours = rule_of(term).provider.is_none_or(|provider| provider == place);
        let udp = term.matching.protocol == filter_common::packet::ip::UDP;
        let reaches = |ports: &crate::policy::PortMatch| !ports.destination.intersection(&media).is_empty();
        is_ours && udp && term.matching.ports.as_ref().is_some_and(reaches)
    });
    (calls && !heard).then(|| Advice {
        lint: Lint::ProviderWithoutMedia,
        line: provider.name.line,
        message: format!("`{}` may call, and nothing lets its media in: calls would be silent", provider.name.value),
        hint: "take an allowlist that has its media, or open the media range in an `[[allow]]`".to_owned(),
    })
}

fn region_subset(provider: &Provider, allowlist: &Allowlist) -> Option<Advice> {
    let first = provider.regions.first()?;
    let left_out = allowlist.entries.len() - Policy::chosen(provider, allowlist).count();
    (left_out > 0).then(|| Advice {
        lint: Lint::RegionSubset,
        line: first.line,
        message: format!("`regions` leaves out {left_out} entries of the allowlist of `{}`", provider.name.value),
        hint: "providers urge to allow all regions, for one stands in for another: leave `regions` out".to_owned(),
    })
}

fn services_unused(provider: &Provider, allowlist: &Allowlist) -> Option<Advice> {
    let needed = allowlist.entries.iter().any(|entry| entry.service == Service::Unspecified);
    (!provider.services.is_empty() && !needed).then(|| Advice {
        lint: Lint::ServicesUnused,
        line: provider.name.line,
        message: format!("`services` of `{}` says what every entry of its allowlist says itself", provider.name.value),
        hint: "leave `services` out: it does not choose among entries".to_owned(),
    })
}

fn service_not_taken(provider: &Provider, allowlist: &Allowlist) -> Vec<Advice> {
    let Some(listen) = provider.trunk.as_ref().and_then(|trunk| trunk.listen.as_ref()) else {
        return Vec::new();
    };
    let published = |service: &Service| Policy::chosen(provider, allowlist).any(|entry| entry.service == *service);
    let lost = Listen::SIP.into_iter().filter(|service| listen.ports(*service).is_none() && published(service));
    lost.map(|service| Advice {
        lint: Lint::ServiceNotTaken,
        line: provider.name.line,
        message: format!("`{}` publishes {service}, and its trunk's `listen` has no port for it", provider.name.value),
        hint: format!("add `{service}` to `listen`, which replaces all of [sbc.listen], or set it to `\"off\"`"),
    })
    .collect()
}

fn on_5060(subject: &Subject<'_>, provider: &Provider, trunk: &Trunk) -> Option<Advice> {
    let ports = subject.own.of_provider(provider);
    let mut listening = Listen::SIP.iter().filter_map(|service| ports.listening(*service));
    let from_internet = trunk.allow.iter().any(|prefix| !is_private(prefix.value))
        || trunk.outbound_proxies.iter().any(|proxy| !is_private(IpNet::from(proxy.value.address)));
    (from_internet && listening.any(|ports| ports.contains(5060))).then(|| Advice {
        lint: Lint::TrunkOn5060,
        line: provider.name.line,
        message: format!("the trunk `{}` takes SIP on port 5060 from the internet", provider.name.value),
        hint: "give the trunk a port of its own from 1024 on: `listen = { sip-tls = [5081] }`".to_owned(),
    })
}

/// RFC 1918, RFC 4193, link-local addresses.
fn is_private(prefix: IpNet) -> bool {
    match prefix.network() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

fn via_not_enforced(trunk: &Trunk) -> Option<Advice> {
    (!trunk.use_source_address.value).then(|| Advice {
        lint: Lint::ViaNotEnforced,
        line: trunk.use_source_address.line,
        message: "`use_source_address = false` means the Via header, and sipwall sees only packets' sources".to_owned(),
        hint: "list the addresses that packets come from, and set it to `true`".to_owned(),
    })
}

/// A trunk's port that a rule of somebody else opens too.
fn port_shared(subject: &Subject<'_>, place: usize, provider: &Provider, trunk: &Trunk) -> Vec<Advice> {
    let listens = trunk.listen.iter().flat_map(|listen| &listen.0);
    let shared = listens.filter_map(|(service, ports)| {
        let rule = opened_by_another(subject, place, *service, &ports.value)?;
        Some(Advice {
            lint: Lint::TrunkPortShared,
            line: ports.line,
            message: format!("port {} of the trunk `{}` is open to `{rule}` too", ports.value, provider.name.value),
            hint: "give the trunk a port that nothing else uses".to_owned(),
        })
    });
    shared.collect()
}

fn opened_by_another(subject: &Subject<'_>, place: usize, service: Service, ports: &PortSet) -> Option<String> {
    let udp = service == Service::SipUdp;
    let compiled = subject.compiled;
    let other = compiled.terms.iter().find(|term| {
        let opens = term
            .matching
            .ports
            .as_ref()
            .is_some_and(|other| other.opening && !other.destination.intersection(ports).is_empty());
        let same_protocol = (term.matching.protocol == filter_common::packet::ip::UDP) == udp;
        compiled.rules[term.rule].provider != Some(place) && same_protocol && opens
    })?;
    Some(compiled.rules[other.rule].name.clone())
}

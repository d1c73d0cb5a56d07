//! From providers' rows and trunks and the host's own allows to terms.

use std::{collections::BTreeSet, sync::Arc};

use ipnet::IpNet;

use super::{
    draft::{Draft, RuleInfo, SourcePrefix},
    matching::{self, Match, MissingListen},
    own_ports::{OwnPorts, ProviderPorts},
};
use crate::{
    allowlist::{Allowlist, Entry, Service},
    policy::{
        Document, Origin, PortSet,
        file::{Listen, Located, PolicyFile, Provider, Trunk},
        inputs::Policy,
        refusal::{Code, Refusal},
    },
};

/// Where an allowed address of a trunk without a port answers from.
const TRUNK_REPLIES: std::ops::RangeInclusive<u16> = 5060..=5061;

/// A prefix from which nothing of one provider is let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderDeny {
    /// The provider's place in the policy file.
    pub provider: usize,
    /// The prefix.
    pub prefix: IpNet,
    /// Where it stands.
    pub origin: Origin,
}

/// A provider on its way into the draft.
struct Context<'p> {
    place: usize,
    provider: &'p Provider,
    own: ProviderPorts<'p>,
    policy: Document,
}

impl Context<'_> {
    fn rule(&self, service: &str) -> RuleInfo {
        RuleInfo { name: format!("{}/{service}", self.provider.name.value), provider: Some(self.place) }
    }

    fn stated<'a>(&self, prefixes: &'a [Located<IpNet>]) -> impl Iterator<Item = SourcePrefix> + use<'a> {
        let policy = self.policy.clone();
        prefixes.iter().map(move |Located { value, line }| SourcePrefix {
            prefix: *value,
            origin: Origin { document: policy.clone(), line: *line },
        })
    }
}

/// Adds every provider's terms, and returns what their always-deny lists take away.
pub(super) fn add_providers(
    draft: &mut Draft,
    policy: &Policy,
    own: &OwnPorts<'_>,
    refusals: &mut Vec<Refusal>,
) -> Vec<ProviderDeny> {
    let mut denies = Vec::new();
    for (place, (provider, allowlist)) in policy.providers().enumerate() {
        let document = Document::Policy(Arc::clone(&policy.file().name));
        let context = Context { place, provider, own: own.of_provider(provider), policy: document };
        if let Some(allowlist) = allowlist {
            refusals.extend(add_allowlist(draft, &context, allowlist, policy.file()));
            denies.extend(denied_by_allowlist(&context, allowlist));
        }
        if let Some(trunk) = &provider.trunk {
            add_trunk(draft, &context, trunk);
            denies.extend(context.stated(&trunk.always_deny).map(|SourcePrefix { prefix, origin }| ProviderDeny {
                provider: place,
                prefix,
                origin,
            }));
        }
    }
    denies
}

fn add_allowlist(draft: &mut Draft, context: &Context<'_>, allowlist: &Allowlist, file: &PolicyFile) -> Vec<Refusal> {
    let document = allowlist_document(context.provider);
    let mut missing = BTreeSet::new();
    for entry in Policy::chosen(context.provider, allowlist) {
        let origin = Origin { document: document.clone(), line: entry.line };
        let sources: Vec<_> =
            entry.remote.iter().map(|prefix| SourcePrefix { prefix: prefix.trunc(), origin: origin.clone() }).collect();
        for service in services(entry, context.provider) {
            let remote = entry.remote_ports.iter().copied().collect();
            match matching::of_row(service, entry.protocol, remote, &context.own) {
                Ok(matches) => {
                    matches.into_iter().for_each(|one| draft.allow(&context.rule(service.name()), one, &sources));
                }
                Err(MissingListen) => drop(missing.insert(service)),
            }
        }
    }
    missing.into_iter().map(|service| missing_listen(file, context.provider, service)).collect()
}

/// What runs at the entry's addresses: what the document says, or else what the policy does.
fn services<'a>(entry: &'a Entry, provider: &'a Provider) -> impl Iterator<Item = Service> + use<'a> {
    let unspecified = entry.service == Service::Unspecified;
    let stated = (!unspecified).then_some(entry.service);
    stated.into_iter().chain(provider.services.iter().copied().filter(move |_| unspecified))
}

fn allowlist_document(provider: &Provider) -> Document {
    let name = provider.allowlist.as_ref().map_or("", |name| &name.value);
    Document::Allowlist(name.into())
}

fn missing_listen(file: &PolicyFile, provider: &Provider, service: Service) -> Refusal {
    let example = match service {
        Service::SipTls => "[5061]",
        Service::SipWss => "[8443]",
        Service::Media => "[\"16384-32767\"]",
        _ => "[5060]",
    };
    Refusal {
        code: Code::MissingListen,
        file: file.name.to_string(),
        line: provider.name.line,
        message: format!(
            "`{}` has {service}, and [sbc.listen] does not say on which of your ports",
            provider.name.value
        ),
        hint: Some(format!("set `{service} = {example}` there, or `{service} = \"off\"` if you take none")),
    }
}

fn denied_by_allowlist<'a>(
    context: &'a Context<'_>,
    allowlist: &'a Allowlist,
) -> impl Iterator<Item = ProviderDeny> + use<'a> {
    let origin = Origin { document: allowlist_document(context.provider), line: 0 };
    let provider = context.place;
    allowlist.denied.iter().map(move |prefix| ProviderDeny { provider, prefix: prefix.trunc(), origin: origin.clone() })
}

/// A trunk's allow list and its proxies, which are allowed without being listed.
fn add_trunk(draft: &mut Draft, context: &Context<'_>, trunk: &Trunk) {
    let proxies: Vec<_> = trunk
        .outbound_proxies
        .iter()
        .map(|proxy| (Located { value: IpNet::from(proxy.value.address), line: proxy.line }, proxy.value.port))
        .collect();
    let proxy_prefixes: Vec<_> = proxies.iter().map(|(prefix, _)| prefix.clone()).collect();
    let sources: Vec<_> = context.stated(&trunk.allow).chain(context.stated(&proxy_prefixes)).collect();
    for service in Listen::SIP {
        let listening = context.own.listening(service).cloned().unwrap_or_default();
        let matching =
            if service == Service::SipUdp { Match::udp(PortSet::all(), listening) } else { Match::opened(listening) };
        draft.allow(&context.rule(service.name()), matching, &sources);
    }
    let mut reply_from = |ports, sources: &[SourcePrefix]| {
        let replies = Match::replies(PortSet::between(ports), context.own.replies.tcp.clone());
        draft.allow(&context.rule("sip-reply"), replies, sources);
    };
    reply_from(TRUNK_REPLIES, &context.stated(&trunk.allow).collect::<Vec<_>>());
    for (prefix, port) in proxies {
        let ports = port.map_or(TRUNK_REPLIES, |port| port..=port);
        reply_from(ports, &context.stated(&[prefix]).collect::<Vec<_>>());
    }
}

/// What else this host needs.
pub(super) fn add_own_allows(draft: &mut Draft, file: &PolicyFile) {
    let document = Document::Policy(Arc::clone(&file.name));
    for allow in &file.allows {
        let rule = RuleInfo { name: format!("allow/{}", allow.name.value), provider: None };
        let sources: Vec<_> = allow
            .from
            .iter()
            .map(|Located { value, line }| SourcePrefix {
                prefix: *value,
                origin: Origin { document: document.clone(), line: *line },
            })
            .collect();
        let ports = [Match::opened(allow.tcp.clone()), Match::udp(PortSet::all(), allow.udp.clone())];
        let protocols = allow.protocols.iter().map(|protocol| Match::protocol(*protocol));
        ports.into_iter().chain(protocols).for_each(|matching| draft.allow(&rule, matching, &sources));
    }
}

//! From providers' rows to terms.

use std::{collections::BTreeSet, sync::Arc};

use ipnet::IpNet;

use super::{
    draft::{Draft, RuleInfo, SourcePrefix},
    matching::{self, MissingListen},
    own_ports::{OwnPorts, ProviderPorts},
    stated::stated,
    trunk,
};
use crate::{
    allowlist::{Allowlist, Entry, Service},
    policy::{
        Document, Origin,
        file::{PolicyFile, Provider},
        inputs::Policy,
        refusal::{Code, Refusal},
    },
};

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
pub(super) struct Context<'p> {
    place: usize,
    provider: &'p Provider,
    pub(super) own: ProviderPorts<'p>,
    /// The policy file.
    pub(super) policy: Document,
}

impl Context<'_> {
    /// The provider's rule for a service.
    pub(super) fn rule(&self, service: Service) -> RuleInfo {
        RuleInfo { service: Some(service), ..self.named_rule(service.name()) }
    }

    /// The rule of that name that is for no service.
    pub(super) fn named_rule(&self, name: &str) -> RuleInfo {
        let name = format!("{}/{name}", self.provider.name.value);
        RuleInfo { name, provider: Some(self.place), service: None }
    }

    fn deny(&self, SourcePrefix { prefix, origin }: SourcePrefix) -> ProviderDeny {
        ProviderDeny { provider: self.place, prefix, origin }
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
            trunk::add(draft, &context, trunk);
            let denied = stated(&trunk.always_deny, &context.policy);
            denies.extend(denied.into_iter().map(|source| context.deny(source)));
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
                Ok(matches) => draft.allow_all(&context.rule(service), matches, &sources),
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

fn denied_by_allowlist(context: &Context<'_>, allowlist: &Allowlist) -> Vec<ProviderDeny> {
    let document = allowlist_document(context.provider);
    let sources = allowlist.denied().map(|(prefix, line)| SourcePrefix {
        prefix: prefix.trunc(),
        origin: Origin { document: document.clone(), line },
    });
    sources.map(|source| context.deny(source)).collect()
}

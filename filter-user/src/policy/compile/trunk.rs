//! A trunk's SIP access control.

use std::ops::RangeInclusive;

use filter_common::packet::ip;
use ipnet::IpNet;

use super::{
    draft::{Draft, SourcePrefix},
    matching::Match,
    providers::Context,
    stated::stated,
};
use crate::{
    allowlist::Service,
    policy::{
        PortSet,
        file::{Listen, Located, Proxy, Trunk},
    },
};

/// Where an allowed address that is stated without a port answers from.
const USUAL_PORTS: RangeInclusive<u16> = 5060..=5061;

/// Adds the terms of the allow list and of the proxies, which are allowed without being on it.
pub(super) fn add(draft: &mut Draft, context: &Context<'_>, trunk: &Trunk) {
    let allowed = stated(&trunk.allow, &context.policy);
    let proxies: Vec<_> =
        trunk.outbound_proxies.iter().map(|proxy| (source(proxy, context), proxy.value.port)).collect();
    let callers: Vec<_> = allowed.iter().chain(proxies.iter().map(|(source, _)| source)).cloned().collect();
    for service in Listen::SIP {
        let listening = context.own.listening(service).cloned().unwrap_or_default();
        let matching = match service {
            Service::SipUdp => Match::udp(PortSet::all(), listening),
            _ => Match::opened(listening),
        };
        draft.allow(&context.rule(service), matching, &callers);
    }
    add_replies(draft, context, USUAL_PORTS, &allowed);
    for (source, port) in proxies {
        add_replies(draft, context, port.map_or(USUAL_PORTS, |port| port..=port), &[source]);
    }
}

fn source(proxy: &Located<Proxy>, context: &Context<'_>) -> SourcePrefix {
    let prefix = Located { value: IpNet::from(proxy.value.address), line: proxy.line };
    stated(&[prefix], &context.policy).remove(0)
}

/// Answers on the TCP connections that the SBC opened to these ports.
fn add_replies(draft: &mut Draft, context: &Context<'_>, ports: RangeInclusive<u16>, sources: &[SourcePrefix]) {
    let replies = Match::answers(ip::TCP, PortSet::between(ports), context.own.replies.tcp.clone());
    draft.allow(&context.named_rule("sip-reply"), replies, sources);
}

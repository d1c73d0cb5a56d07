//! Lints on the SBC's listening ports.

use super::{Advice, Lint, Subject};
use crate::{
    allowlist::Service,
    policy::{
        PortSet,
        file::{Listen, Located},
    },
};

/// Where Linux takes the ports of outgoing connections from, by default (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

pub(super) fn lint(subject: &Subject<'_>) -> Vec<Advice> {
    let file = subject.policy.file();
    let trunks = file.providers.iter().filter_map(|provider| provider.trunk.as_ref()?.listen.as_ref());
    let tables: Vec<_> = trunks.chain([&file.listen]).collect();
    let mut advice = Vec::new();
    advice.extend(tables.iter().flat_map(|listen| low_ports(listen)));
    advice.extend(media_overlaps_sip(&file.listen, &tables));
    advice.extend(replies_not_covered(subject));
    advice
}

/// 80 and 443 are WebSocket's own ports (RFC 6455, section 3).
fn low_ports(listen: &Listen) -> Vec<Advice> {
    let low = PortSet::between(1..=1023);
    let websocket = PortSet::between(80..=80).union(&PortSet::between(443..=443));
    let odd = |service, ports: &PortSet| match service {
        Service::SipWss => ports.intersection(&low).without(&websocket),
        _ => ports.intersection(&low),
    };
    let services = listen.0.iter().map(|(service, ports)| (service, ports.line, odd(*service, &ports.value)));
    services
        .filter(|(_, _, odd)| !odd.is_empty())
        .map(|(service, line, odd)| Advice {
            lint: Lint::LowListenPort,
            line,
            message: format!("`{service}` listens on port {odd}, below 1024"),
            hint: "such ports belong to other services: take one from 1024 on".to_owned(),
        })
        .collect()
}

fn media_overlaps_sip(own: &Listen, tables: &[&Listen]) -> Option<Advice> {
    let media = own.0.get(&Service::Media)?;
    let sip = tables.iter().filter_map(|listen| listen.ports(Service::SipUdp));
    let both = sip.fold(PortSet::default(), |both, ports| both.union(&ports.intersection(&media.value)));
    (!both.is_empty()).then(|| Advice {
        lint: Lint::MediaOverlapsSip,
        line: media.line,
        message: format!("the media range contains the SIP port {both}"),
        hint: "keep the range clear of SIP: one of the two cannot bind the port".to_owned(),
    })
}

/// Ports that are open as a range are hardly all bound: the host may open connections from them too.
fn replies_not_covered(subject: &Subject<'_>) -> Option<Advice> {
    let file = subject.policy.file();
    if file.providers.is_empty() {
        return None;
    }
    let opened = file.allows.iter().flat_map(|allow| allow.tcp.ranges()).filter(|(first, last)| first < last);
    let opened = opened.fold(PortSet::default(), |all, (first, last)| all.union(&PortSet::between(first..=last)));
    let ephemeral = PortSet::between(EPHEMERAL);
    let lost = ephemeral.without(&file.sbc.reply_ports).union(&ephemeral.intersection(&opened));
    let Located { line, .. } = &file.providers[0].name;
    (!lost.is_empty()).then(|| Advice {
        lint: Lint::RepliesNotCovered,
        line: *line,
        message: format!("answers to connections that this host opens from port {lost} are dropped"),
        hint:
            "let `reply_ports` cover `sysctl net.ipv4.ip_local_port_range`, and keep `[[allow]] tcp` ranges out of it"
                .to_owned(),
    })
}

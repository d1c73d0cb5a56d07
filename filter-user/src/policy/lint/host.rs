//! Lints on the host itself: modes, management, sources that are too wide.

use filter_common::{packet::ip, tables::flags};
use ipnet::IpNet;

use super::{Advice, Lint, Subject};
use crate::policy::file::Located;

pub(super) fn lint(subject: &Subject<'_>) -> Vec<Advice> {
    let checks = [no_rules, no_management_access, monitor_mode];
    let mut advice: Vec<_> = checks.iter().filter_map(|check| check(subject)).collect();
    advice.extend(wide_sources(subject));
    advice.extend(multicast_by_knob(subject));
    advice
}

fn no_rules(subject: &Subject<'_>) -> Option<Advice> {
    subject.compiled.rules.is_empty().then(|| Advice {
        lint: Lint::NoRules,
        line: 0,
        message: "the policy has no rule: nobody is let in".to_owned(),
        hint: "add a `[[provider]]` or an `[[allow]]`".to_owned(),
    })
}

fn no_management_access(subject: &Subject<'_>) -> Option<Advice> {
    let file = subject.policy.file();
    let managed = file.allows.iter().any(|allow| !allow.tcp.is_empty() || allow.protocols.contains(&ip::TCP));
    (!file.sbc.scope_ports && !managed).then(|| Advice {
        lint: Lint::NoManagementAccess,
        line: 0,
        message: "no `[[allow]]` opens a TCP port: over this interface nobody could log in".to_owned(),
        hint: "add one for SSH: `name = \"ssh\"`, `from = [\"203.0.113.0/24\"]`, `tcp = [22]`".to_owned(),
    })
}

fn monitor_mode(subject: &Subject<'_>) -> Option<Advice> {
    subject.policy.file().sbc.monitor.then(|| Advice {
        lint: Lint::MonitorMode,
        line: 0,
        message: "`mode = \"monitor\"`: what would be dropped is counted, and passes".to_owned(),
        hint: "set `mode = \"enforce\"` once `sipwall stats --since-policy` shows no drop that should not be"
            .to_owned(),
    })
}

/// Whether a prefix is wider than any provider's own network: shorter than /8 in IPv4, than /16 in IPv6.
pub fn is_wide(prefix: IpNet) -> bool {
    prefix.prefix_len() < if prefix.network().is_ipv4() { 8 } else { 16 }
}

fn wide_sources(subject: &Subject<'_>) -> Vec<Advice> {
    let file = subject.policy.file();
    let allows = file.allows.iter().flat_map(|allow| &allow.from);
    let trunks = file.providers.iter().filter_map(|provider| provider.trunk.as_ref()).flat_map(|trunk| &trunk.allow);
    let wide = allows.chain(trunks).filter(|prefix| is_wide(prefix.value));
    wide.map(|Located { value, line }| Advice {
        lint: Lint::WideSource,
        line: *line,
        message: format!("`{value}` is a large part of the internet"),
        hint: "name the networks that need it".to_owned(),
    })
    .collect()
}

/// Protocols whose packets go to multicast as a rule, with their keys and flags in `[classes]`.
const MULTICAST: [(u8, &str, u32); 2] = [(ip::VRRP, "vrrp", flags::VRRP), (ip::OSPF, "ospf", flags::OSPF)];

fn multicast_by_knob(subject: &Subject<'_>) -> Vec<Advice> {
    let sbc = &subject.policy.file().sbc;
    let allows = &subject.policy.file().allows;
    let ruled = allows.iter().flat_map(|allow| {
        let known = MULTICAST.iter().filter(|(protocol, _, _)| allow.protocols.contains(protocol));
        known.map(move |(_, key, flag)| (allow, key, flag))
    });
    let closed = ruled.filter(|(_, _, flag)| !sbc.scope_ports && !subject.compiled.tables.settings.has(**flag));
    closed
        .map(|(allow, key, _)| Advice {
            lint: Lint::MulticastByKnob,
            line: allow.name.line,
            message: format!(
                "`{}` lets in what goes to this host's own address, and nothing to multicast",
                allow.name.value
            ),
            hint: format!("set `{key} = \"pass\"` in `[classes]`, unless the peers send to each other's addresses"),
        })
        .collect()
}

//! What a policy comes to in the data plane, whoever compiled it and when: so that what a file says can be compared with
//! what runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::IpAddr,
};

use filter_common::{
    packet::ip,
    tables::{PortTables, Rate, Settings, TERMS, Tables, TermSet, flags},
};
use ipnet::IpNet;
use serde::Serialize;

use super::{CompiledPolicy, PortSet, rate::PacketRate};
use crate::ports::PortRange;

/// What a policy comes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outline {
    /// From where each rule lets in what.
    grants: BTreeMap<Grant, BTreeSet<IpNet>>,
    /// The SBC's own SIP and media ports, by protocol.
    own_ports: BTreeMap<&'static str, String>,
    /// Modes and knobs, by the name that the policy file has for them.
    settings: BTreeMap<&'static str, String>,
    denied: BTreeSet<IpNet>,
}

/// What a rule lets in: `twilio/media`, `udp from port 10000-60000 to port 16384-32767`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Grant {
    /// The rule.
    pub rule: String,
    /// Protocol and ports, theirs and yours.
    pub what: String,
}

/// How what runs would change if a file were applied.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct OutlineDiff {
    /// By rule and what it lets in: prefixes that come and go.
    pub rules: Vec<RuleDiff>,
    /// Modes, knobs and own ports that change.
    pub settings: Vec<SettingDiff>,
    /// Denied prefixes that come and go.
    pub denied: PrefixDiff,
}

/// How a rule changes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RuleDiff {
    /// The rule and what it lets in.
    #[serde(flatten)]
    pub grant: Grant,
    /// The prefixes.
    #[serde(flatten)]
    pub prefixes: PrefixDiff,
}

/// How a set of prefixes changes.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct PrefixDiff {
    /// What comes.
    pub added: Vec<IpNet>,
    /// What goes.
    pub removed: Vec<IpNet>,
}

/// How a setting changes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct SettingDiff {
    /// Its name in the policy file.
    pub setting: &'static str,
    /// What it is.
    pub from: String,
    /// What it would be.
    pub to: String,
}

impl CompiledPolicy {
    /// What the policy comes to.
    pub fn outline(&self) -> Outline {
        let name = |rule: u16| self.rules.get(usize::from(rule)).map(|rule| rule.name.clone()).unwrap_or_default();
        Outline::new(&self.tables, &self.sources, &self.denied, name)
    }
}

impl Outline {
    /// From tables, source tries and denied prefixes; `rule` names what terms have.
    pub(crate) fn new(
        tables: &Tables,
        sources: &[(IpNet, u32)],
        denied: &[IpNet],
        rule: impl Fn(u16) -> String,
    ) -> Self {
        let mut grants: BTreeMap<Grant, Vec<IpNet>> = BTreeMap::new();
        for term in 0..TERMS {
            if let Some(what) = what(tables, term) {
                let covered = sources
                    .iter()
                    .filter(|(_, set)| tables.source_sets.get(*set as usize).is_some_and(|set| set.contains(term)));
                let grant = Grant { rule: rule(tables.term(term).rule()), what };
                grants.entry(grant).or_default().extend(covered.map(|(prefix, _)| *prefix));
            }
        }
        // Prefixes are pushed down into those that they cover, which says nothing new.
        let grants = grants.into_iter().map(|(grant, all)| (grant, IpNet::aggregate(&all).into_iter().collect()));
        let own = |ports: &PortTables| ports_where(|port| ports.owns(port)).to_string();
        Self {
            grants: grants.collect(),
            own_ports: [
                ("listen udp", own(&tables.ports[Tables::UDP])),
                ("listen tcp", own(&tables.ports[Tables::TCP])),
            ]
            .into(),
            settings: settings(&tables.settings),
            // What a wider prefix covers says nothing new.
            denied: outermost(denied).into_iter().collect(),
        }
    }

    /// What would change if `new` took its place.
    pub fn diff(&self, new: &Self) -> OutlineDiff {
        let none = BTreeSet::new();
        let grants: BTreeSet<&Grant> = self.grants.keys().chain(new.grants.keys()).collect();
        let rules = grants.into_iter().map(|grant| RuleDiff {
            grant: grant.clone(),
            prefixes: prefixes(self.grants.get(grant).unwrap_or(&none), new.grants.get(grant).unwrap_or(&none)),
        });
        let settings = self.settings.iter().chain(&self.own_ports).filter_map(|(setting, from)| {
            let to = new.settings.get(setting).or_else(|| new.own_ports.get(setting))?;
            (from != to).then(|| SettingDiff { setting, from: from.clone(), to: to.clone() })
        });
        OutlineDiff {
            rules: rules.filter(|rule| !rule.prefixes.is_empty()).collect(),
            settings: settings.collect(),
            denied: prefixes(&self.denied, &new.denied),
        }
    }
}

impl OutlineDiff {
    /// Whether nothing changes that people would see.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.settings.is_empty() && self.denied.is_empty()
    }
}

impl PrefixDiff {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Those of the prefixes, which ascend, that no other one covers.
pub(crate) fn outermost(prefixes: &[IpNet]) -> Vec<IpNet> {
    let mut kept: Vec<IpNet> = Vec::with_capacity(prefixes.len());
    for prefix in prefixes {
        if !kept.last().is_some_and(|last| last.contains(prefix)) {
            kept.push(*prefix);
        }
    }
    kept
}

fn prefixes(old: &BTreeSet<IpNet>, new: &BTreeSet<IpNet>) -> PrefixDiff {
    PrefixDiff { added: new.difference(old).copied().collect(), removed: old.difference(new).copied().collect() }
}

/// What a term lets in; nothing if there is no such term.
fn what(tables: &Tables, term: usize) -> Option<String> {
    let protocols: Vec<u8> =
        (0..=u8::MAX).filter(|protocol| tables.protocols[usize::from(*protocol)].contains(term)).collect();
    match protocols[..] {
        [] => None,
        [ip::UDP] => Some(format!("udp {}", port_text(tables, &tables.ports[Tables::UDP], term))),
        [ip::TCP] => {
            let opening = if tables.opening.contains(term) { "" } else { ", answers only" };
            Some(format!("tcp {}{opening}", port_text(tables, &tables.ports[Tables::TCP], term)))
        }
        _ => Some(protocols.iter().fold("protocol".to_owned(), |mut text, protocol| {
            let _ = write!(text, " {protocol}");
            text
        })),
    }
}

fn port_text(tables: &Tables, ports: &PortTables, term: usize) -> String {
    let has = |class: u16| tables.port_sets.get(usize::from(class)).is_some_and(|set: &TermSet| set.contains(term));
    let theirs = ports_where(|port| has(ports.source[usize::from(port)]));
    let yours = ports_where(|port| has(ports.destination[usize::from(port)]));
    let from = if theirs == PortSet::all() { String::new() } else { format!("from port {theirs} ") };
    format!("{from}to port {yours}")
}

/// The ports of which something holds.
pub(crate) fn ports_where(has: impl Fn(u16) -> bool) -> PortSet {
    let ports = (1..=u16::MAX).filter(|port| has(*port));
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == port => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    ranges.into_iter().filter_map(|(first, last)| PortRange::new(first.into(), last.into()).ok()).collect()
}

/// Every mode and knob by the name that the policy file has for it.
pub(super) fn settings(settings: &Settings) -> BTreeMap<&'static str, String> {
    let choose = |flag, yes: &str, no: &str| if settings.has(flag) { yes } else { no }.to_owned();
    let pass = |flag| choose(flag, "pass", "drop");
    let inspect = |count, enforce| match (settings.has(count), settings.has(enforce)) {
        (_, true) => "enforce".to_owned(),
        (true, false) => "count".to_owned(),
        (false, false) => "off".to_owned(),
    };
    let fragments = match (settings.has(flags::FRAGMENTS_DROP), settings.has(flags::FRAGMENTS_TRACKED)) {
        (true, _) => "drop",
        (_, true) => "tracked",
        _ => "listed",
    };
    [
        ("mode", choose(flags::MONITOR, "monitor", "enforce")),
        ("scope", choose(flags::SCOPE_PORTS, "ports", "interface")),
        ("fragments", fragments.to_owned()),
        ("return_traffic", choose(flags::RETURN_TRAFFIC, "tracked", "off")),
        ("classes.link_control", pass(flags::LINK_CONTROL)),
        ("classes.ping", pass(flags::PING)),
        ("classes.dhcp", pass(flags::DHCP)),
        ("classes.vrrp", pass(flags::VRRP)),
        ("classes.ospf", pass(flags::OSPF)),
        ("classes.bfd", pass(flags::BFD)),
        ("inspect.sip", inspect(flags::INSPECT_SIP_COUNT, flags::INSPECT_SIP_ENFORCE)),
        ("inspect.media", inspect(flags::INSPECT_MEDIA_COUNT, flags::INSPECT_MEDIA_ENFORCE)),
        ("limits.sip", rate(settings.limits.sip)),
        ("limits.tcp", rate(settings.limits.tcp)),
        ("limits.icmp", rate(settings.limits.icmp)),
        ("addresses", addresses(settings)),
    ]
    .into()
}

fn rate(rate: Rate) -> String {
    PacketRate::of_table(rate).map_or_else(|| "off".to_owned(), |rate| rate.to_string())
}

fn addresses(settings: &Settings) -> String {
    let mut addresses: Vec<_> = settings.addresses.addresses().map(IpAddr::from).collect();
    if !settings.has(flags::ADDRESSES) || addresses.is_empty() {
        return "any".to_owned();
    }
    addresses.sort_unstable();
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_inside_others_are_left_out() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let mut all =
            nets(&["10.0.0.0/8", "10.0.0.0/9", "10.1.0.0/16", "11.0.0.0/8", "2001:db8::/32", "2001:db8:1::/48"]);
        all.sort_unstable();
        assert_eq!(outermost(&all), nets(&["10.0.0.0/8", "11.0.0.0/8", "2001:db8::/32"]));
    }
}

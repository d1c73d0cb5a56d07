//! `[sbc]`, `[sbc.listen]`, `[classes]`, `[limits]` and `[inspect]`.

use std::collections::BTreeMap;

use filter_common::tables::ADDRESSES;

use super::{
    document::{Section, Value},
    model::{CLASSES, DEFAULT_CLASSES, Fragments, Inspection, Inspections, LimitRates, Listen, Located, Sbc},
    values,
};
use crate::{
    allowlist::Service,
    policy::{PacketRate, PortSet, refusal::Code},
    ports::PortRange,
};

const FRAGMENTS: [(&str, Fragments); 3] =
    [("listed", Fragments::Listed), ("tracked", Fragments::Tracked), ("drop", Fragments::Drop)];

/// `[sbc]` without its `listen`.
pub(super) fn sbc(section: &mut Section<'_, '_>) -> Sbc {
    let defaults = Sbc::default();
    let interfaces = section.take("interfaces").and_then(Value::items).unwrap_or_default();
    let monitor = section.take("mode").and_then(|mode| mode.choice(&[("enforce", false), ("monitor", true)]));
    let scope_ports = section.take("scope").and_then(|scope| scope.choice(&[("interface", false), ("ports", true)]));
    let fragments = section.take("fragments").and_then(|value| value.choice(&FRAGMENTS));
    let addresses = section.take("addresses");
    let addresses_line = addresses.as_ref().map_or(0, |value| value.line);
    let reply_ports = section.take("reply_ports").map_or(defaults.reply_ports, values::ports);
    let tracked = section.take("return_traffic").and_then(|value| value.choice(&[("off", false), ("tracked", true)]));
    Sbc {
        interfaces: interfaces.iter().filter_map(values::interface).collect(),
        monitor: monitor.unwrap_or(defaults.monitor),
        scope_ports: scope_ports.unwrap_or(defaults.scope_ports),
        fragments: fragments.unwrap_or_default(),
        addresses: addresses.map_or_else(Vec::new, own_addresses),
        addresses_line,
        reply_ports,
        return_traffic: tracked.unwrap_or(defaults.return_traffic),
    }
}

fn own_addresses(value: Value<'_, '_>) -> Vec<std::net::IpAddr> {
    let (document, line) = (value.document, value.line);
    let items = value.items().unwrap_or_default();
    if items.len() > ADDRESSES {
        let message = format!("`addresses` has {} addresses, and a policy can have {ADDRESSES}", items.len());
        document.refuse(Code::TooManyAddresses, line, message);
    }
    items.iter().filter_map(values::address).collect()
}

/// A table of listening ports with keys for these services.
pub(super) fn listen(section: Option<Section<'_, '_>>, services: &[Service]) -> Listen {
    let Some(mut section) = section else {
        return Listen::default();
    };
    let mut ports = BTreeMap::new();
    for service in services {
        if let Some(value) = section.take(service.name()) {
            ports.insert(*service, Located { line: value.line, value: ports_or_off(value) });
        }
    }
    section.finish();
    Listen(ports)
}

fn ports_or_off(value: Value<'_, '_>) -> PortSet {
    match value.as_text() {
        Some("off") => PortSet::default(),
        Some(text) if text.parse::<PortRange>().is_err() => {
            value.choice(&[("off", ())]);
            PortSet::default()
        }
        _ => values::ports(value),
    }
}

/// `[classes]`: the flags of the classes that pass.
pub(super) fn classes(section: Option<Section<'_, '_>>) -> u32 {
    let Some(mut section) = section else {
        return DEFAULT_CLASSES;
    };
    let mut passing = DEFAULT_CLASSES;
    for (key, flag) in CLASSES {
        match section.take(key).and_then(|value| value.choice(&[("pass", true), ("drop", false)])) {
            Some(true) => passing |= flag,
            Some(false) => passing &= !flag,
            None => {}
        }
    }
    section.finish();
    passing
}

/// `[limits]`.
pub(super) fn limits(section: Option<Section<'_, '_>>) -> LimitRates {
    let mut limits = LimitRates::default();
    let Some(mut section) = section else {
        return limits;
    };
    for (key, limit) in [("sip", &mut limits.sip), ("tcp", &mut limits.tcp), ("icmp", &mut limits.icmp)] {
        if let Some(value) = section.take(key) {
            *limit = rate(&value);
        }
    }
    section.finish();
    limits
}

fn rate(value: &Value<'_, '_>) -> Option<PacketRate> {
    let text = value.text().filter(|text| text != "off")?;
    text.parse().map_err(|message| value.refuse(Code::BadRate, message)).ok()
}

/// `[inspect]`.
pub(super) fn inspect(section: Option<Section<'_, '_>>) -> Inspections {
    const CHOICES: [(&str, Inspection); 3] =
        [("off", Inspection::Off), ("count", Inspection::Count), ("enforce", Inspection::Enforce)];
    let Some(mut section) = section else {
        return Inspections::default();
    };
    let mut choice = |key| section.take(key).and_then(|value| value.choice(&CHOICES)).unwrap_or_default();
    let inspections = Inspections { sip: choice("sip"), media: choice("media") };
    section.finish();
    inspections
}

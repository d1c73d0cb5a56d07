//! `[sbc]`, `[sbc.listen]`, `[classes]` and `[limits]`.

use std::collections::BTreeMap;

use filter_common::tables::ADDRESSES;

use super::{
    document::{Section, Value},
    model::{CLASSES, DEFAULT_CLASSES, Listen, Located, Sbc},
    values,
};
use crate::{
    allowlist::Service,
    policy::{PortSet, refusal::Code},
};

/// `[sbc]` without its `listen`.
pub(super) fn sbc(section: &mut Section<'_, '_>) -> Sbc {
    let defaults = Sbc::default();
    let interfaces = section.take("interfaces").and_then(Value::items).unwrap_or_default();
    let monitor = section.take("mode").and_then(|mode| mode.choice(&[("enforce", false), ("monitor", true)]));
    let scope_ports = section.take("scope").and_then(|scope| scope.choice(&[("interface", false), ("ports", true)]));
    let addresses = section.take("addresses");
    let addresses_line = addresses.as_ref().map_or(0, |value| value.line);
    let sbc = Sbc {
        interfaces: interfaces.iter().filter_map(values::interface).collect(),
        monitor: monitor.unwrap_or(defaults.monitor),
        scope_ports: scope_ports.unwrap_or(defaults.scope_ports),
        fragments_drop: section.take("fragments").is_some_and(|value| fragments_drop(&value)),
        addresses: addresses.map_or_else(Vec::new, own_addresses),
        addresses_line,
        reply_ports: section.take("reply_ports").map_or(defaults.reply_ports, values::ports),
    };
    if let Some(value) = section.take("return_traffic") {
        return_traffic(&value);
    }
    sbc
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

fn fragments_drop(value: &Value<'_, '_>) -> bool {
    if value.as_text() == Some("tracked") {
        value.not_supported(
            "`fragments = \"tracked\"`",
            "use `\"listed\"`, which lets in later fragments of listed sources",
        );
        return false;
    }
    value.choice(&[("listed", false), ("drop", true)]).unwrap_or_default()
}

fn return_traffic(value: &Value<'_, '_>) {
    if value.as_text() == Some("tracked") {
        let hint = "list in `[[allow]]` the servers whose answers this host needs";
        value.not_supported("`return_traffic = \"tracked\"`", hint);
    } else {
        value.choice(&[("off", ())]);
    }
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
    if value.as_text().is_some() {
        value.choice(&[("off", ())]);
        return PortSet::default();
    }
    values::ports(value)
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

/// `[limits]`, of which this version knows only that there are none.
pub(super) fn limits(section: Option<Section<'_, '_>>) {
    let Some(mut section) = section else {
        return;
    };
    if let Some(value) = section.take("sip")
        && value.as_text() != Some("off")
    {
        value.not_supported("a limit on `sip`", "write `\"off\"` or leave the key out");
    }
    section.finish();
}

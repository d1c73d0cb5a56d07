//! `[[provider]]` and `[provider.trunk]`.

use super::{
    document::{Section, Value},
    model::{Listen, Located, Provider, Trunk},
    sbc, source, values,
};
use crate::{allowlist::Service, policy::refusal::Code};

/// The first part of the names of own allows' rules, which no provider can have.
const RESERVED: &str = "allow";

/// One `[[provider]]`; nothing if it has no name.
pub(super) fn provider(mut section: Section<'_, '_>) -> Option<Provider> {
    let name = section.require("name").and_then(|value| name(&value));
    let stated = section.take("allowlist").and_then(|value| located_text(&value));
    let (place, source) = source::source(&mut section).unzip();
    let regions = section.take("regions").and_then(Value::some_items).unwrap_or_default();
    let services = section.take("services").and_then(Value::some_items).unwrap_or_default();
    let media = section.take("media_source_ports");
    let t38 = section.take("t38").and_then(|value| value.boolean());
    let trunk = section.section("trunk", "[provider.trunk]").map(trunk);
    source::refuse_contradictions(&section, stated.as_ref(), source.as_ref(), services.is_empty());
    let allowlist = stated.or(place.flatten());
    if allowlist.is_none() && source.is_none() && trunk.is_none() {
        let message = "[[provider]] has neither an `allowlist` nor a `source` nor a `trunk`".to_owned();
        section.document.refuse(Code::MissingKey, section.line, message);
    }
    if let (Some(first), None) = (regions.first(), &allowlist) {
        first.refuse(Code::MissingKey, "`regions` chooses from an `allowlist`, and there is none".to_owned());
    }
    section.finish();
    Some(Provider {
        name: name?,
        allowlist,
        source,
        regions: regions.iter().filter_map(located_text).collect(),
        services: services.iter().filter_map(service).collect(),
        media_from_any_port: media
            .and_then(|value| value.choice(&[("published", false), ("any", true)]))
            .unwrap_or_default(),
        t38: t38.unwrap_or_default(),
        trunk,
    })
}

fn name(value: &Value<'_, '_>) -> Option<Located<String>> {
    let name = values::name(value)?;
    if name.value == RESERVED {
        value.refuse(Code::BadName, format!("no provider can be called `{RESERVED}`: own rules are named so"));
        return None;
    }
    Some(name)
}

pub(super) fn located_text(value: &Value<'_, '_>) -> Option<Located<String>> {
    Some(Located { value: value.text()?, line: value.line })
}

fn service(value: &Value<'_, '_>) -> Option<Service> {
    let choices: Vec<_> = Service::ALL
        .into_iter()
        .filter(|service| *service != Service::Unspecified)
        .map(|service| (service.name(), service))
        .collect();
    value.choice(&choices)
}

fn trunk(mut section: Section<'_, '_>) -> Trunk {
    let listen = section.section("listen", "`listen` of [provider.trunk]");
    let allow = section.take("allow").map(values::prefixes).unwrap_or_default();
    let always_deny = section.take("always_deny").map(values::prefixes).unwrap_or_default();
    let proxies = section.take("outbound_proxies").and_then(Value::some_items).unwrap_or_default();
    let use_source_address = section.take("use_source_address").and_then(|value| {
        let line = value.line;
        value.boolean().map(|value| Located { value, line })
    });
    let trunk = Trunk {
        listen: listen.map(|listen| sbc::listen(Some(listen), &Listen::SIP)),
        allow,
        always_deny,
        outbound_proxies: proxies.iter().filter_map(values::proxy).collect(),
        use_source_address: use_source_address.unwrap_or(Located { value: true, line: section.line }),
    };
    section.finish();
    trunk
}

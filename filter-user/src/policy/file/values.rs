//! What stands behind a key: names, prefixes, ports, protocols.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    document::Value,
    model::{Located, Proxy},
};
use crate::{
    policy::{PortSet, refusal::Code},
    ports::PortRange,
};

/// The longest name: a rule's name is two of them and a slash, and the kernel side keeps 63 octets.
pub const LONGEST_NAME: usize = 31;

/// A name of rules.
pub(super) fn name(value: &Value<'_, '_>) -> Option<Located<String>> {
    let text = value.text()?;
    if !is_name(&text) {
        let message = format!("`{}` cannot be a name", text.escape_debug());
        let hint = format!("use 1 to {LONGEST_NAME} of `a-z`, `0-9` and `-`");
        value.refuse_with_hint(Code::BadName, message, hint);
        return None;
    }
    Some(Located { value: text, line: value.line })
}

/// Whether this can be the name of a `[[provider]]`, `[[allow]]` or `[[deny]]`.
pub fn is_name(text: &str) -> bool {
    let plain = text.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    plain && (1..=LONGEST_NAME).contains(&text.len())
}

/// What is wrong with the text of a prefix.
pub(super) struct BadPrefix {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: String,
}

/// A host or CIDR without host bits.
pub(super) fn parse_prefix(text: &str) -> Result<IpNet, BadPrefix> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let prefix = text.parse::<IpNet>().map_err(|_| BadPrefix {
        code: Code::BadPrefix,
        message: format!("`{}` is neither an address nor a CIDR", text.escape_debug()),
        hint: "write `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` or `2001:db8::/32`".to_owned(),
    })?;
    if prefix != prefix.trunc() {
        return Err(BadPrefix {
            code: Code::HostBits,
            message: format!("`{text}` has bits set beyond its prefix length"),
            hint: format!("write `{}` for the network or `{}` for the host", prefix.trunc(), prefix.addr()),
        });
    }
    Ok(prefix)
}

fn prefix(value: &Value<'_, '_>) -> Option<Located<IpNet>> {
    match parse_prefix(&value.text()?) {
        Ok(prefix) => Some(Located { value: prefix, line: value.line }),
        Err(BadPrefix { code, message, hint }) => {
            value.refuse_with_hint(code, message, hint);
            None
        }
    }
}

/// A list of hosts and CIDRs.
pub(super) fn prefixes(value: Value<'_, '_>) -> Vec<Located<IpNet>> {
    value.some_items().unwrap_or_default().iter().filter_map(prefix).collect()
}

/// An address of the SBC.
pub(super) fn address(value: &Value<'_, '_>) -> Option<IpAddr> {
    let text = value.text()?;
    let address = text.parse().ok();
    if address.is_none() {
        let message = format!("`{}` is not an address", text.escape_debug());
        value.refuse_with_hint(Code::BadPrefix, message, "write `192.0.2.1` or `2001:db8::1`".to_owned());
    }
    address
}

/// A proxy: an address, or an address with a port.
pub(super) fn proxy(value: &Value<'_, '_>) -> Option<Located<Proxy>> {
    let text = value.text()?;
    let parsed = match (text.parse(), text.parse::<std::net::SocketAddr>()) {
        (Ok(address), _) => Some(Proxy { address, port: None }),
        (_, Ok(socket)) if socket.port() > 0 => Some(Proxy { address: socket.ip(), port: Some(socket.port()) }),
        _ => None,
    };
    let Some(proxy) = parsed else {
        let message = format!("`{}` is neither an address nor an address with a port", text.escape_debug());
        let hint = "write `203.0.113.9`, `203.0.113.9:5061` or `[2001:db8::9]:5061`; a name cannot be enforced";
        value.refuse_with_hint(Code::BadProxy, message, hint.to_owned());
        return None;
    };
    Some(Located { value: proxy, line: value.line })
}

fn port_range(value: &Value<'_, '_>) -> Option<PortRange> {
    let parsed = match (value.as_number(), value.as_text()) {
        (Some(port), _) => PortRange::new(port, port),
        (None, Some(text)) => text.parse(),
        (None, None) => {
            let message = format!("`{}` takes ports: numbers, or ranges in quotes", value.key);
            value.refuse(Code::WrongType, message);
            return None;
        }
    };
    parsed.map_err(|error| value.refuse(Code::BadPorts, error.to_string())).ok()
}

/// A list of ports and ranges of ports.
pub(super) fn ports(value: Value<'_, '_>) -> PortSet {
    value.some_items().unwrap_or_default().iter().filter_map(port_range).collect()
}

/// An IP protocol's number.
pub(super) fn protocol(value: &Value<'_, '_>) -> Option<u8> {
    let protocol = value.as_number().and_then(|number| u8::try_from(number).ok());
    if protocol.is_none() {
        let message = format!("`{}` takes IP protocol numbers from 0 to 255", value.key);
        value.refuse_with_hint(Code::BadProtocol, message, "the numbers stand in `/etc/protocols`".to_owned());
    }
    protocol
}

/// The name of a network interface (Linux, `dev_valid_name`): 1 to 15 octets without `/`, `:` or white space.
pub(super) fn interface(value: &Value<'_, '_>) -> Option<String> {
    let text = value.text()?;
    let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
    if !fits || text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control()) {
        value.refuse(Code::BadInterface, format!("`{}` cannot name an interface", text.escape_debug()));
        return None;
    }
    Some(text)
}

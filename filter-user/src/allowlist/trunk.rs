//! A trunk's SIP access control, as the `[provider.trunk]` table of a policy holds it.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZero,
};

use ipnet::IpNet;
use serde::Serialize;

/// The settings of one trunk that concern a filter.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trunk {
    /// The trunk's label.
    pub name: String,
    /// Prefixes that may call, canonical.
    pub allow: Vec<IpNet>,
    /// Prefixes that may never call, canonical.
    pub always_deny: Vec<IpNet>,
    /// SIP servers and proxies that are addresses; names cannot be filtered by.
    pub outbound_proxies: Vec<Proxy>,
    /// Whether the packet's source decides, not the Via header.
    pub use_source_address: Option<bool>,
    /// The port on which the trunk listens, from 1.
    pub listen_port: Option<u16>,
    /// `udp`, `tcp` or `tls`.
    pub transport: Option<String>,
}

/// A SIP server or proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Proxy {
    /// Its address.
    pub address: IpAddr,
    /// Its port, where one is stated.
    pub port: Option<NonZero<u16>>,
}

impl Proxy {
    /// Reads `ADDRESS` or `ADDRESS:PORT`; nothing of a name, or of a port that is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (host, port) = host_and_port(text);
        let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
        Some(Self { address: host.parse().ok()?, port })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port.get()).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

/// Parts `HOST` or `HOST:PORT`, an IPv6 host in brackets before a port; the port is empty where none is stated.
pub(crate) fn host_and_port(text: &str) -> (&str, &str) {
    let text = text.trim();
    let is_bare_ipv6 = text.matches(':').count() > 1 && !text.contains(']');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_bare_ipv6 && port.chars().all(|c| c.is_ascii_digit()) => (host, port),
        _ => (text, ""),
    };
    (host.trim_matches(['[', ']']), port)
}

#[derive(Serialize)]
struct Policy {
    provider: Vec<Provider>,
}

#[derive(Serialize)]
struct Provider {
    name: String,
    trunk: Table,
}

#[derive(Serialize)]
struct Table {
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<toml::Table>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<IpNet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    always_deny: Vec<IpNet>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outbound_proxies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    use_source_address: Option<bool>,
}

/// The `[[provider]]` tables of a policy for these trunks, named after `provider`.
///
/// # Errors
/// If TOML cannot express them.
pub fn render(trunks: &[Trunk], provider: &str) -> Result<String, toml::ser::Error> {
    let name = |index: usize| match index {
        0 => provider.to_owned(),
        _ => format!("{provider}-{}", index + 1),
    };
    let providers =
        trunks.iter().enumerate().map(|(index, trunk)| Provider { name: name(index), trunk: trunk.table() });
    toml::to_string_pretty(&Policy { provider: providers.collect() })
}

impl Trunk {
    fn table(&self) -> Table {
        Table {
            listen: self.listen(),
            allow: self.allow.clone(),
            always_deny: self.always_deny.clone(),
            outbound_proxies: self.outbound_proxies.iter().map(ToString::to_string).collect(),
            use_source_address: self.use_source_address,
        }
    }

    /// The `listen` keys, where the export states port and transport.
    fn listen(&self) -> Option<toml::Table> {
        let service = match self.transport.as_deref()? {
            "udp" => "sip-udp",
            "tcp" => "sip-tcp",
            "tls" => "sip-tls",
            _ => return None,
        };
        let ports = vec![toml::Value::Integer(self.listen_port?.into())];
        Some(toml::Table::from_iter([(service.to_owned(), toml::Value::Array(ports))]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunks_are_tables_of_a_policy() {
        let trunk = Trunk {
            allow: vec!["198.51.100.0/24".parse().unwrap()],
            listen_port: Some(5081),
            transport: Some("tls".to_owned()),
            use_source_address: Some(true),
            ..Trunk::default()
        };
        let text = render(&[trunk.clone(), trunk], "genesys").unwrap();
        let policy: toml::Table = text.parse().unwrap();
        let providers = policy["provider"].as_array().unwrap();
        assert_eq!(providers[1]["name"].as_str(), Some("genesys-2"));
        assert_eq!(providers[0]["trunk"]["listen"]["sip-tls"][0].as_integer(), Some(5081));
        assert_eq!(providers[0]["trunk"]["allow"][0].as_str(), Some("198.51.100.0/24"));
    }

    #[test]
    fn proxies_are_hosts_with_or_without_port() {
        for (text, expected) in [
            ("203.0.113.9:5061", ("203.0.113.9", "5061")),
            ("203.0.113.9", ("203.0.113.9", "")),
            ("sip.example.com:5060", ("sip.example.com", "5060")),
            ("2001:db8::1", ("2001:db8::1", "")),
            ("[2001:db8::1]:5061", ("2001:db8::1", "5061")),
        ] {
            assert_eq!(host_and_port(text), expected, "{text}");
        }
    }
}

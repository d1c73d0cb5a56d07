//! A trunk's SIP access control, as the `[provider.trunk]` table of a policy holds it.

use serde::Serialize;

/// The settings of one trunk that concern a filter, as its export states them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trunk {
    /// The trunk's label.
    pub name: String,
    /// Addresses that may call.
    pub allow: Vec<String>,
    /// Addresses that may never call.
    pub always_deny: Vec<String>,
    /// SIP servers and proxies, `HOST` or `HOST:PORT`.
    pub outbound_proxies: Vec<String>,
    /// Whether the packet's source decides, not the Via header.
    pub use_source_address: Option<bool>,
    /// The port on which the trunk listens.
    pub listen_port: Option<u16>,
    /// `udp`, `tcp` or `tls`.
    pub transport: Option<String>,
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
    allow: Vec<String>,
    always_deny: Vec<String>,
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
            outbound_proxies: self.outbound_proxies.clone(),
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
            allow: vec!["198.51.100.0/24".to_owned()],
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
}

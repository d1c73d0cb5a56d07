//! What an allowlist says: entries with their prefixes and ports, and the line that each came from.

use std::{fmt, iter};

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::problem::{Fault, Oddity, Problem, Why};
use crate::ports::PortRange;

/// What a provider publishes, in the provider's own direction: `remote` addresses and ports are the provider's.
///
/// The same shape is written as TOML by `sipwall import -o`, printed as JSON by `--json`, and read back from either.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Allowlist {
    /// The provider's short name, `kore` or `twilio`.
    pub provider: String,
    /// The document's title.
    pub title: String,
    /// What the document allows.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Prefixes that the provider's document says never to accept, canonical.
    #[serde(default, deserialize_with = "without_host_bits")]
    pub denied: Vec<IpNet>,
    /// The line of each of `denied` in the document, from 1; where the list is shorter, no line is known.
    #[serde(default)]
    pub denied_lines: Vec<u32>,
    /// Rows that an address filter cannot enforce.
    #[serde(default)]
    pub unenforced: Vec<Unenforced>,
    /// Findings that did not stop the import.
    #[serde(default)]
    pub warnings: Vec<Finding<Oddity>>,
    /// What could not be read; an allowlist with errors is written only on request.
    #[serde(default)]
    pub errors: Vec<Finding<Fault>>,
}

/// One service at a set of addresses, from one row or block of a document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What runs there.
    pub service: Service,
    /// The heading under which the row stands.
    pub section: String,
    /// The regions that the row belongs to, each with every name that it goes by; empty: not bound to a region.
    #[serde(default)]
    pub regions: Vec<String>,
    /// The provider's prefixes, canonical, each as the document states it.
    #[serde(deserialize_with = "canonical_prefixes")]
    pub remote: Vec<IpNet>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The provider's ports; empty where the document states none.
    #[serde(default)]
    pub remote_ports: Vec<PortRange>,
    /// The first line of the row or block in the document, from 1.
    pub line: u32,
}

/// The kind of traffic that an entry or rule is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// SIP over UDP.
    SipUdp,
    /// SIP over TCP.
    SipTcp,
    /// SIP over TLS.
    SipTls,
    /// SIP over secure WebSocket (RFC 7118).
    SipWss,
    /// RTP, SRTP and RTCP.
    Media,
    /// STUN and TURN relays.
    Turn,
    /// HTTPS.
    Https,
    /// A stated service that none of the others names.
    Other,
    /// The document does not say what runs there.
    Unspecified,
}

/// The transport protocol of an entry.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// The document does not say which.
    Any,
}

/// A row that an address filter cannot enforce, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unenforced {
    /// The text of the cell, `*.kore.ai`.
    pub name: String,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The provider's ports; empty where the document states none.
    #[serde(default)]
    pub remote_ports: Vec<PortRange>,
    /// The line in the document, from 1.
    pub line: u32,
    /// Why it is not enforced.
    pub why: Why,
}

impl Unenforced {
    /// The host name, if nothing else keeps the row from being enforced.
    pub fn host_name(&self) -> Option<&str> {
        (self.why == Why::HostName).then_some(&self.name)
    }
}

/// Something that the reader of a document should know, with its place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Finding<C> {
    /// What kind of thing it is; its documentation has an example.
    pub code: C,
    /// The line in the document, from 1; 0 for the document as a whole.
    pub line: u32,
    /// One sentence.
    pub message: String,
}

impl<C> Finding<C> {
    /// The finding on this line; 0 for the document as a whole.
    pub(crate) fn new(line: u32, problem: Problem<C>) -> Self {
        let Problem { code, message } = problem;
        Self { code, line, message }
    }
}

impl Allowlist {
    /// The denied prefixes, each with its line in the document, from 1; 0 where none is known.
    pub fn denied(&self) -> impl Iterator<Item = (IpNet, u32)> {
        let lines = self.denied_lines.iter().copied().chain(iter::repeat(0));
        self.denied.iter().copied().zip(lines)
    }
}

/// Reads the prefixes of an entry: at least one, none with host bits set.
fn canonical_prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let prefixes = without_host_bits(deserializer)?;
    if prefixes.is_empty() {
        return Err(D::Error::custom("an entry without prefixes allows nothing"));
    }
    Ok(prefixes)
}

fn without_host_bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let prefixes = Vec::<IpNet>::deserialize(deserializer)?;
    match prefixes.iter().find(|prefix| prefix.trunc() != **prefix) {
        Some(prefix) => Err(D::Error::custom(format!("`{prefix}` has host bits set: write `{}`", prefix.trunc()))),
        None => Ok(prefixes),
    }
}

impl Service {
    /// Every service, in the order in which people list them.
    pub const ALL: [Self; 9] = [
        Self::SipUdp,
        Self::SipTcp,
        Self::SipTls,
        Self::SipWss,
        Self::Media,
        Self::Turn,
        Self::Https,
        Self::Other,
        Self::Unspecified,
    ];

    /// The name in files, rule names and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SipUdp => "sip-udp",
            Self::SipTcp => "sip-tcp",
            Self::SipTls => "sip-tls",
            Self::SipWss => "sip-wss",
            Self::Media => "media",
            Self::Turn => "turn",
            Self::Https => "https",
            Self::Other => "other",
            Self::Unspecified => "unspecified",
        }
    }
}

impl Protocol {
    /// The name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

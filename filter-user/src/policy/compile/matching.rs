//! What a term lets in, and which terms a row of a provider's document stands for.
//!
//! Documents describe egress. At ingress the provider's address is the source; the provider's ports are source ports,
//! and the port that the provider opens is one of the SBC's own.

use std::fmt;

use filter_common::packet::ip;

use super::own_ports::ProviderPorts;
use crate::{
    allowlist::{Protocol, Service},
    policy::PortSet,
};

/// What a term lets in from its sources.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Match {
    /// The IP protocol.
    pub protocol: u8,
    /// The ports of TCP and UDP; nothing for every other protocol.
    pub ports: Option<PortMatch>,
}

/// The ports that a term lets in.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PortMatch {
    /// The source's ports.
    pub source: PortSet,
    /// The SBC's ports.
    pub destination: PortSet,
    /// Whether the source may send first. Of TCP, opening segments are dropped otherwise;
    /// of UDP, which has none, it says only what is meant.
    pub opening: bool,
}

impl Match {
    /// UDP datagrams.
    pub(super) const fn udp(source: PortSet, destination: PortSet) -> Self {
        Self { protocol: ip::UDP, ports: Some(PortMatch { source, destination, opening: true }) }
    }

    /// TCP connections that the source opens, from any port.
    pub(super) fn opened(destination: PortSet) -> Self {
        let ports = PortMatch { source: PortSet::all(), destination, opening: true };
        Self { protocol: ip::TCP, ports: Some(ports) }
    }

    /// What comes back when the SBC sent first.
    pub(super) const fn answers(protocol: u8, source: PortSet, destination: PortSet) -> Self {
        Self { protocol, ports: Some(PortMatch { source, destination, opening: false }) }
    }

    /// A whole protocol.
    pub(super) fn protocol(protocol: u8) -> Self {
        match protocol {
            ip::UDP => Self::udp(PortSet::all(), PortSet::all()),
            ip::TCP => Self::opened(PortSet::all()),
            protocol => Self { protocol, ports: None },
        }
    }

    /// Whether no packet at all fits it.
    pub(super) fn is_empty(&self) -> bool {
        self.ports.as_ref().is_some_and(|ports| ports.source.is_empty() || ports.destination.is_empty())
    }

    /// Whether it lets in all that `other` lets in.
    pub fn covers(&self, other: &Self) -> bool {
        let ports = match (&self.ports, &other.ports) {
            (Some(own), Some(other)) => {
                own.source.is_superset(&other.source)
                    && own.destination.is_superset(&other.destination)
                    && (own.opening || !other.opening || self.protocol == ip::UDP)
            }
            (None, None) => true,
            _ => false,
        };
        self.protocol == other.protocol && ports
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(ports) = &self.ports else {
            return write!(f, "IP protocol {}", self.protocol);
        };
        let (name, kind) = match (self.protocol, ports.opening) {
            (ip::UDP, _) => ("UDP", ""),
            (_, true) => ("TCP", ""),
            (_, false) => ("TCP", ", answers only"),
        };
        f.write_str(name)?;
        if ports.source != PortSet::all() {
            write!(f, " from port {}", ports.source)?;
        }
        write!(f, " to port {}{kind}", ports.destination)
    }
}

/// A service needs a port of the SBC, and the policy does not set one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MissingListen;

/// What a row lets in. An empty `remote` means that the row states no ports: any will do.
pub(super) fn of_row(
    service: Service,
    protocol: Protocol,
    remote: PortSet,
    own: &ProviderPorts<'_>,
) -> Result<Vec<Match>, MissingListen> {
    let remote = if remote.is_empty() { PortSet::all() } else { remote };
    let listening = || own.listening(service).cloned().ok_or(MissingListen);
    Ok(match service {
        // Usually from 5060, but senders behind a port translation are not.
        Service::SipUdp => vec![Match::udp(PortSet::all(), listening()?)],
        Service::SipTcp | Service::SipTls | Service::SipWss => {
            vec![Match::opened(listening()?), Match::answers(ip::TCP, remote, own.replies.tcp.clone())]
        }
        Service::Media if protocol != Protocol::Tcp => {
            let source = if own.media_from_any_port { PortSet::all() } else { remote };
            vec![Match::udp(source, listening()?)]
        }
        Service::Turn => turn(protocol, &remote, own),
        // A row that says nothing of QUIC does not mean it.
        Service::Https if protocol == Protocol::Any => answers(Protocol::Tcp, &remote, own),
        Service::Media | Service::Https | Service::Other | Service::Unspecified => answers(protocol, &remote, own),
    })
}

/// The answers to what the SBC sends to the row's ports.
fn answers(protocol: Protocol, remote: &PortSet, own: &ProviderPorts<'_>) -> Vec<Match> {
    let udp = || Match::answers(ip::UDP, remote.clone(), own.replies.udp.clone());
    let tcp = || Match::answers(ip::TCP, remote.clone(), own.replies.tcp.clone());
    match protocol {
        Protocol::Udp => vec![udp()],
        Protocol::Tcp => vec![tcp()],
        Protocol::Any => vec![udp(), tcp()],
    }
}

/// A STUN or TURN server's answers, which go to media ports too, and the media that it relays
/// from the ports that it allocates to others (RFC 8656, section 7.2).
fn turn(protocol: Protocol, remote: &PortSet, own: &ProviderPorts<'_>) -> Vec<Match> {
    let media = own.listening(Service::Media).cloned().unwrap_or_default();
    let mut matches = Vec::new();
    if protocol != Protocol::Udp {
        matches.push(Match::answers(ip::TCP, remote.clone(), own.replies.tcp.clone()));
    }
    if protocol != Protocol::Tcp {
        matches.push(Match::answers(ip::UDP, remote.clone(), own.replies.udp.union(&media)));
    }
    matches.push(Match::udp(PortSet::between(1024..=65535), media));
    matches
}

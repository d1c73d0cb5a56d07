//! The guard against locking oneself out: what a policy would cut of what this host is in the middle of.
//!
//! Each session's next packet is judged by the decision that the data plane makes.

mod foreign;
mod live;
mod network;
mod sessions;
mod tcp_sockets;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;
use filter_common::Reason;

pub use self::{
    foreign::foreign_addresses,
    live::live_cuts,
    sessions::{Purpose, Session},
};
use self::{network::Network, sessions::sessions};
use crate::policy::{Endpoint, Policy, Probe, Protocol, TcpFlags};

/// The type of a neighbour solicitation (RFC 4861, section 4.3).
const NEIGHBOR_SOLICITATION: u8 = 135;

/// What would be cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A session that is open.
    Session(Session),
    /// New connections like the one of this session: nobody could log in again.
    NewConnection(Session),
    /// The default gateway's neighbour discovery.
    Gateway(IpAddr),
}

/// Something that the policy would cut, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cut {
    /// What.
    pub subject: Subject,
    /// Why its next packet would be dropped.
    pub reason: Reason,
}

/// What the policy would cut if it were in force on `interface`; `fate`: why it would drop a packet then, be it let in or
/// dropped by what holds beside the policy. A policy in monitor mode cuts nothing.
///
/// # Errors
/// If the host's sockets or routes cannot be read, or a fate cannot be told.
pub fn cuts(interface: &str, policy: &Policy, fate: impl Fn(&[u8]) -> Result<Option<Reason>>) -> Result<Vec<Cut>> {
    if policy.file().sbc.monitor {
        return Ok(Vec::new());
    }
    let network = Network::of(interface).context("cannot read the host's addresses and routes")?;
    let sessions = sessions(&policy.file().sip_ports(), |_| true).context("cannot read the host's sockets")?;
    let mut cuts = Vec::new();
    for (gateway, own) in network.gateways() {
        let subject = Subject::Gateway(gateway);
        cuts.extend(fate(&solicitation(gateway, own)?)?.map(|reason| Cut { subject, reason }));
    }
    for session in sessions {
        if !network.carries(&session)? {
            continue;
        }
        for (subject, frame) in next_packets(session)? {
            cuts.extend(fate(&frame)?.map(|reason| Cut { subject, reason }));
        }
    }
    Ok(cuts)
}

/// What a session's peer sends next, and what it sends to log in again.
fn next_packets(session: Session) -> Result<Vec<(Subject, Vec<u8>)>> {
    let Session { purpose, protocol, local, remote, accepted } = session;
    let tcp = protocol == Protocol::TCP;
    let endpoint = |socket: SocketAddr, port| Endpoint { address: socket.ip(), port };
    let packet = |port, tcp_flags| {
        let source = endpoint(remote, port);
        Probe { protocol, source, destination: endpoint(local, Some(local.port())), tcp_flags }.frame()
    };
    let mut packets = vec![(Subject::Session(session), packet(Some(remote.port()), tcp.then_some(TcpFlags::ACK))?)];
    if purpose == Purpose::Login && accepted {
        packets.push((Subject::NewConnection(session), packet(None, Some(TcpFlags::SYN))?));
    }
    Ok(packets)
}

/// How the gateway asks whether this host is there; in IPv4 it does so by ARP, which every policy passes.
fn solicitation(gateway: IpAddr, own: IpAddr) -> Result<Vec<u8>> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let mut frame = Vec::new();
    if let (IpAddr::V6(gateway), IpAddr::V6(own)) = (gateway, own) {
        let header = ethernet.ipv6(gateway.octets(), own.octets(), u8::MAX);
        header.icmpv6_raw(NEIGHBOR_SOLICITATION, 0, [0; 4]).write(&mut frame, &own.octets())?;
    } else {
        // Destination, source, ethertype; Ethernet and IPv4, a request; its addresses are not judged.
        frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x06]);
        frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([0; 20]);
    }
    Ok(frame)
}

impl Cut {
    /// The keys of the `[[allow]]` that would let it in, where one would.
    pub fn allow(&self) -> Option<String> {
        let (Subject::Session(session) | Subject::NewConnection(session)) = self.subject else { return None };
        let unlisted = matches!(
            self.reason,
            Reason::SourceUnlisted | Reason::PortClosed | Reason::SourcePort | Reason::OpeningSegment
        );
        let Session { purpose, protocol, local, remote, .. } = session;
        let ports = if protocol == Protocol::TCP { "tcp" } else { "udp" };
        let name = match purpose {
            Purpose::Login => "login",
            Purpose::Sip => "sip",
        };
        let keys = format!("name = \"{name}\", from = [\"{}\"], {ports} = [{}]", remote.ip(), local.port());
        unlisted.then_some(keys)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the policy would cut {}: {}", self.subject, self.reason.description())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(Session { purpose, local, remote, .. }) => {
                write!(f, "the {purpose} from {remote} to {local}")
            }
            Self::NewConnection(Session { local, remote, .. }) => {
                write!(f, "new connections from {} to {local}", remote.ip())
            }
            Self::Gateway(gateway) => write!(f, "the neighbour discovery of the default gateway {gateway}"),
        }
    }
}

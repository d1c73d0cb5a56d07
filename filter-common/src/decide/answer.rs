//! Return traffic: the answers to what this host sent where no rule covers them.

use super::{
    Policy,
    classify::{self, Ports},
    icmp::{self, Message},
};
use crate::{
    Flow, State,
    packet::{self, Content, Frame, Packet, Port, Transport},
    tables::{Tables, flags},
};

/// Whether the packet answers something that this host sent. What opens a TCP connection never does.
#[inline(always)]
pub(super) fn is_answer<P: Policy, S: State>(packet: &Packet, policy: &P, state: &S) -> bool {
    if !policy.knobs().has(flags::RETURN_TRAFFIC) {
        return false;
    }
    let tables = policy.tables();
    let (local_port, remote_port) = match packet.transport {
        Transport::Tcp { opening: true, .. } => return false,
        // Own ports open no flow: what floods them is spared the look-up.
        Transport::Tcp { destination, .. } if tables.ports[Tables::TCP].owns(destination.number()) => return false,
        Transport::Udp { destination, .. } if tables.ports[Tables::UDP].owns(destination.number()) => return false,
        Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
            (destination.number(), source.number())
        }
        Transport::Icmp { identifier, .. } if is_message(packet, Message::EchoReply) => (identifier, 0),
        _ => return false,
    };
    state.is_answer(&Flow {
        local: packet.destination.words(),
        remote: packet.source.words(),
        local_port,
        remote_port,
        protocol: packet.protocol.into(),
    })
}

/// Something that this host sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// The flow that it belongs to.
    pub flow: Flow,
    /// Whether it may begin the flow; else it only keeps one alive.
    pub opens: bool,
}

/// Which flow a frame that this host sends belongs to, if its answers need one: where a rule lets them in they do not,
/// and what comes from the SBC's own SIP and media ports never opens one, for there answers cannot be told from attempts.
#[inline(always)]
pub fn outgoing<F: Frame + ?Sized, P: Policy>(frame: &F, policy: &P) -> Option<Outgoing> {
    let tables = policy.tables();
    let Ok(Content::Ip(packet)) = packet::parse(frame) else {
        return None;
    };
    if !policy.knobs().has(flags::RETURN_TRAFFIC) || packet.destination.is_multicast_or_broadcast() {
        return None;
    }
    let (ports, opens) = match packet.transport {
        Transport::Tcp { source, destination, opening } => (answering(Tables::TCP, source, destination), opening),
        Transport::Udp { source, destination } => (answering(Tables::UDP, source, destination), true),
        Transport::Icmp { identifier, .. } if is_message(&packet, Message::EchoRequest) => {
            return Some(Outgoing { flow: flow(&packet, identifier, 0), opens: true });
        }
        _ => return None,
    };
    let own = tables.ports[ports.protocol].owns(ports.destination.number());
    let listed = || match policy.source_set(packet.destination) {
        0 => false,
        set => classify::ports(&ports, tables, set).is_ok(),
    };
    if own || listed() {
        return None;
    }
    Some(Outgoing { flow: flow(&packet, ports.destination.number(), ports.source.number()), opens })
}

/// The ports of the answer to what goes from `source` to `destination`.
#[inline(always)]
const fn answering(protocol: usize, source: Port, destination: Port) -> Ports {
    Ports { protocol, source: destination, destination: source, opening: false }
}

/// The flow of a packet that this host sends.
#[inline(always)]
const fn flow(packet: &Packet, local_port: u16, remote_port: u16) -> Flow {
    Flow {
        local: packet.source.words(),
        remote: packet.destination.words(),
        local_port,
        remote_port,
        protocol: packet.protocol as u32,
    }
}

#[inline(always)]
fn is_message(packet: &Packet, wanted: Message) -> bool {
    icmp::message(packet).is_some_and(|message| message as u8 == wanted as u8)
}

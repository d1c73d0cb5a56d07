//! What people want to know of a frame: who sent it, and what for.
//!
//! Read leniently, since malformed frames have senders too. It decides nothing.

use std::{fmt, net::IpAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, LinkSlice, TransportSlice};

/// A frame's sender and what it wanted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Flow {
    /// Who sent it.
    pub sender: Sender,
    /// What it wanted.
    pub wanted: Wanted,
}

/// Who sent a frame.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sender {
    /// The source of the IP packet in it.
    Address(IpAddr),
    /// The source of a frame without an IP packet.
    Station([u8; 6]),
    /// It cannot be read.
    Unreadable,
}

/// What a frame wanted.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Wanted {
    /// A UDP port.
    Udp(u16),
    /// A TCP port.
    Tcp(u16),
    /// An ICMP message of this type.
    Icmp(u8),
    /// An ICMPv6 message of this type.
    Icmpv6(u8),
    /// To be joined to the other fragments of a packet of this IP protocol.
    Fragment(u8),
    /// Another IP protocol, or one whose header cannot be read.
    Protocol(u8),
    /// A protocol beside IP, by its ethertype.
    Ethertype(u16),
    /// It cannot be read.
    Unreadable,
}

impl Flow {
    /// The flow of a frame of which these octets are known.
    pub fn of(octets: &[u8]) -> Self {
        let Ok(packet) = LaxSlicedPacket::from_ethernet(octets) else {
            return Self { sender: Sender::Unreadable, wanted: Wanted::Unreadable };
        };
        Self { sender: sender(&packet), wanted: wanted(&packet) }
    }
}

fn sender(packet: &LaxSlicedPacket<'_>) -> Sender {
    match (&packet.net, &packet.link) {
        (Some(LaxNetSlice::Ipv4(ip)), _) => Sender::Address(ip.header().source_addr().into()),
        (Some(LaxNetSlice::Ipv6(ip)), _) => Sender::Address(ip.header().source_addr().into()),
        (_, Some(LinkSlice::Ethernet2(ethernet))) => Sender::Station(ethernet.source()),
        _ => Sender::Unreadable,
    }
}

fn wanted(packet: &LaxSlicedPacket<'_>) -> Wanted {
    match &packet.transport {
        Some(TransportSlice::Udp(udp)) => Wanted::Udp(udp.destination_port()),
        Some(TransportSlice::Tcp(tcp)) => Wanted::Tcp(tcp.destination_port()),
        Some(TransportSlice::Icmpv4(icmp)) => Wanted::Icmp(icmp.type_u8()),
        Some(TransportSlice::Icmpv6(icmp)) => Wanted::Icmpv6(icmp.type_u8()),
        Some(TransportSlice::Igmp(_)) | None => wanted_of_network(packet),
    }
}

fn wanted_of_network(packet: &LaxSlicedPacket<'_>) -> Wanted {
    match (packet.ip_payload(), packet.ether_payload()) {
        (Some(ip), _) if ip.fragmented => Wanted::Fragment(ip.ip_number.0),
        (Some(ip), _) => Wanted::Protocol(ip.ip_number.0),
        (None, Some(ethernet)) => Wanted::Ethertype(ethernet.ether_type.0),
        (None, None) => Wanted::Unreadable,
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Station([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(port) => write!(f, "udp {port}"),
            Self::Tcp(port) => write!(f, "tcp {port}"),
            Self::Icmp(kind) => write!(f, "icmp type {kind}"),
            Self::Icmpv6(kind) => write!(f, "icmpv6 type {kind}"),
            Self::Fragment(protocol) => write!(f, "fragment of protocol {protocol}"),
            Self::Protocol(protocol) => write!(f, "protocol {protocol}"),
            Self::Ethertype(ethertype) => write!(f, "ethertype {ethertype:#06x}"),
            Self::Unreadable => f.write_str("unreadable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{IpNumber, PacketBuilder};

    use super::*;

    fn check(frame: &[u8], sender: &str, wanted: &str) {
        let flow = Flow::of(frame);
        assert_eq!((flow.sender.to_string().as_str(), flow.wanted.to_string().as_str()), (sender, wanted));
    }

    fn udp() -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 1], [198, 51, 100, 10], 64);
        let mut frame = Vec::new();
        builder.udp(40000, 5060).write(&mut frame, b"OPTIONS").unwrap();
        frame
    }

    #[test]
    fn ports_and_types_are_what_is_wanted() {
        check(&udp(), "192.0.2.1", "udp 5060");
        let ethernet = || PacketBuilder::ethernet2([2; 6], [4; 6]);
        let mut frame = Vec::new();
        ethernet().ipv6([0x20; 16], [0x21; 16], 64).tcp(40000, 22, 0, 0).write(&mut frame, &[]).unwrap();
        check(&frame, "2020:2020:2020:2020:2020:2020:2020:2020", "tcp 22");
        frame.clear();
        ethernet().ipv4([192, 0, 2, 1], [1; 4], 64).icmpv4_raw(8, 0, [0; 4]).write(&mut frame, &[]).unwrap();
        check(&frame, "192.0.2.1", "icmp type 8");
        frame.clear();
        ethernet().ipv4([192, 0, 2, 1], [1; 4], 64).write(&mut frame, IpNumber(47), &[0; 4]).unwrap();
        check(&frame, "192.0.2.1", "protocol 47");
    }

    #[test]
    fn what_is_malformed_or_cut_off_still_has_a_sender() {
        let mut lying = udp();
        lying[16..18].copy_from_slice(&[0xff, 0xff]);
        check(&lying, "192.0.2.1", "udp 5060");
        check(&udp()[..36], "192.0.2.1", "protocol 17");
        let mut fragment = udp();
        fragment[20..22].copy_from_slice(&[0x20, 0x01]);
        check(&fragment, "192.0.2.1", "fragment of protocol 17");
    }

    #[test]
    fn what_is_not_ip_has_a_station_and_an_ethertype() {
        let frame = [[4; 6].as_slice(), &[2; 6], &[0x88, 0x64], &[0; 46]].concat();
        check(&frame, "02:02:02:02:02:02", "ethertype 0x8864");
        check(&frame[..13], "unreadable", "unreadable");
    }
}

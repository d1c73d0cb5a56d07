//! TCP, UDP and ICMP headers.

use etherparse::{TcpHeaderSlice, UdpHeaderSlice, err};
use filter_common::Reason;

use super::network::Piece;

/// What rules look at, behind the IP header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transport {
    /// Source port, destination port, and whether the segment opens a connection.
    Tcp((u16, u16), bool),
    /// Source port, destination port.
    Udp((u16, u16)),
    /// The type of an ICMP message in IPv4.
    Icmpv4(u8),
    /// The type of an ICMPv6 message in IPv6.
    Icmpv6(u8),
    /// A protocol whose header no rule looks into.
    Other,
    /// A later fragment has no header.
    Absent,
}

/// Reads the transport header at the beginning of an IP packet's payload.
pub(super) fn read(protocol: u8, ipv6: bool, piece: Piece, payload: &[u8]) -> Result<Transport, Reason> {
    let cut = |reason| if piece == Piece::First { Reason::FragmentTruncated } else { reason };
    match (protocol, ipv6) {
        // RFC 1858, section 4.2.
        (6, _) if piece == Piece::Later(8) => Err(Reason::FragmentOverlap),
        _ if matches!(piece, Piece::Later(_)) => Ok(Transport::Absent),
        (6, _) => tcp(payload, cut),
        (17, _) => udp(payload, piece, cut),
        (1, false) | (58, true) if payload.len() < 8 => Err(cut(Reason::IcmpTruncated)),
        (1, false) => Ok(Transport::Icmpv4(payload[0])),
        (58, true) => Ok(Transport::Icmpv6(payload[0])),
        _ => Ok(Transport::Other),
    }
}

fn tcp(payload: &[u8], cut: impl Fn(Reason) -> Reason) -> Result<Transport, Reason> {
    let header = TcpHeaderSlice::from_slice(payload).map_err(|error| match error {
        err::tcp::HeaderSliceError::Len(_) if payload.len() < 20 => cut(Reason::TcpTruncated),
        err::tcp::HeaderSliceError::Len(_) => cut(Reason::TcpDataOffset),
        err::tcp::HeaderSliceError::Content(_) => Reason::TcpDataOffset,
    })?;
    let (fin, syn, rst, psh) = (header.fin(), header.syn(), header.rst(), header.psh());
    let (ack, urg) = (header.ack(), header.urg());
    let none = !(fin || syn || rst || psh || ack || urg);
    if none || syn && (fin || rst) || fin && psh && urg && !ack {
        return Err(Reason::TcpFlags);
    }
    Ok(Transport::Tcp(ports(header.source_port(), header.destination_port())?, syn && !ack))
}

fn udp(payload: &[u8], piece: Piece, cut: impl Fn(Reason) -> Reason) -> Result<Transport, Reason> {
    let header = UdpHeaderSlice::from_slice(payload).map_err(|_| cut(Reason::UdpTruncated))?;
    let length = usize::from(header.length());
    // The length of a first fragment is that of the whole datagram.
    if length < 8 || length > payload.len() && piece != Piece::First {
        return Err(Reason::UdpLength);
    }
    Ok(Transport::Udp(ports(header.source_port(), header.destination_port())?))
}

const fn ports(source: u16, destination: u16) -> Result<(u16, u16), Reason> {
    if source == 0 || destination == 0 { Err(Reason::PortZero) } else { Ok((source, destination)) }
}

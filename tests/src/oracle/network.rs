//! IPv4 and IPv6 headers.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice, err};
use filter_common::Reason;

use super::{
    extensions::{self, Fragment},
    transport::{self, Transport},
};

/// An IP packet.
pub(super) struct Datagram {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) hop_limit: u8,
    /// The IP protocol, behind IPv6 extension headers.
    pub(super) protocol: u8,
    pub(super) transport: Transport,
    pub(super) piece: Piece,
    /// What the fragments of one datagram have in common, beside addresses and protocol.
    pub(super) identification: u32,
    /// Octets of the datagram that this packet carries: behind the IPv4 header, or the IPv6 fragment header.
    pub(super) carried: u32,
    /// What the packet carries behind all IP headers.
    pub(super) payload: Vec<u8>,
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    /// All of it; an atomic fragment is that too.
    Whole,
    First,
    /// A later one, at this offset in octets.
    Later(u32),
}

impl Piece {
    pub(super) const fn new(offset: u32, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::First,
            _ => Self::Later(offset),
        }
    }
}

impl Datagram {
    /// The first octet of a UDP datagram's payload; nothing where it has none.
    pub(super) fn first_octet(&self) -> Option<u8> {
        let header = UdpHeaderSlice::from_slice(&self.payload).ok()?;
        if header.length() > 8 { self.payload.get(8).copied() } else { None }
    }

    /// The identifier of an echo request or reply (RFC 792, RFC 4443 section 4).
    pub(super) fn echo_identifier(&self) -> Option<u16> {
        Some(u16::from_be_bytes([*self.payload.get(4)?, *self.payload.get(5)?]))
    }

    /// Whether it is a message that a host without an address yet sends from `::`: router and neighbour solicitation
    /// (RFC 4861, sections 4.1 and 4.3), multicast listener reports and done (RFC 3590, section 4).
    pub(super) fn is_sent_before_an_address(&self) -> bool {
        let from_nowhere = self.source == IpAddr::from(Ipv6Addr::UNSPECIFIED);
        from_nowhere && matches!(self.transport, Transport::Icmpv6(133 | 135 | 131 | 132 | 143))
    }
}

pub(super) fn read_ipv4(frame: &[u8]) -> Result<Datagram, Reason> {
    use err::ipv4::{HeaderError, HeaderSliceError};
    let header = Ipv4HeaderSlice::from_slice(frame).map_err(|error| match error {
        HeaderSliceError::Content(HeaderError::UnexpectedVersion { .. }) => Reason::Ipv4Version,
        HeaderSliceError::Content(HeaderError::HeaderLengthSmallerThanHeader { .. }) => Reason::Ipv4HeaderLength,
        HeaderSliceError::Len(_) if frame.len() < 20 => Reason::Ipv4Truncated,
        // Options beyond the frame: so is the total length, unless it is short of the header.
        HeaderSliceError::Len(_) => Reason::Ipv4TotalLength,
    })?;
    let packet = frame.get(..header.total_len().into()).ok_or(Reason::Ipv4TotalLength)?;
    let payload = packet.get(header.slice().len()..).ok_or(Reason::Ipv4TotalLength)?;
    let offset = u32::from(header.fragments_offset().value()) * 8;
    let piece = Piece::new(offset, header.more_fragments());
    let protocol = header.protocol().0;
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        hop_limit: header.ttl(),
        protocol,
        transport: transport::read(protocol, false, piece, payload)?,
        piece,
        identification: header.identification().into(),
        carried: octets(payload),
        payload: payload.to_vec(),
    })
}

pub(super) fn read_ipv6(frame: &[u8]) -> Result<Datagram, Reason> {
    let header = Ipv6HeaderSlice::from_slice(frame).map_err(|error| match error {
        err::ipv6::HeaderSliceError::Len(_) => Reason::Ipv6Truncated,
        err::ipv6::HeaderSliceError::Content(_) => Reason::Ipv6Version,
    })?;
    let length = usize::from(header.payload_length());
    let payload = frame[header.slice().len()..].get(..length).ok_or(Reason::Ipv6PayloadLength)?;
    // RFC 2675, section 2: a length of 0 before a hop-by-hop header, which has the true one.
    if length == 0 && header.next_header().0 == extensions::HOP_BY_HOP {
        return Err(Reason::Ipv6Jumbogram);
    }
    let walked = extensions::walk(header.next_header().0, payload)?;
    let protocol = walked.protocol;
    let (piece, identification, carried) = match walked.fragment {
        Some(Fragment { piece, identification, carried }) => (piece, identification, carried),
        None => (Piece::Whole, 0, octets(payload)),
    };
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        hop_limit: header.hop_limit(),
        protocol,
        transport: transport::read(protocol, true, piece, walked.payload)?,
        piece,
        identification,
        carried,
        payload: walked.payload.to_vec(),
    })
}

/// How many octets there are of what comes in a frame.
pub(super) fn octets(payload: &[u8]) -> u32 {
    u32::try_from(payload.len()).expect("a frame is short")
}

//! IPv4 and IPv6 headers.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, err};
use filter_common::Reason;

use super::{
    extensions,
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
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Eq, PartialEq)]
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
    let (protocol, piece, payload) = extensions::walk(header.next_header().0, payload)?;
    Ok(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        hop_limit: header.hop_limit(),
        protocol,
        transport: transport::read(protocol, true, piece, payload)?,
    })
}

//! TCP (RFC 9293), UDP (RFC 768) and ICMP (RFC 792, RFC 4443) headers.

use super::{Frame, Header, Network, ip};
use crate::{Address, Reason, verifier::place};

/// What the decision needs of a transport header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// A TCP segment.
    Tcp {
        /// Source port.
        source: Port,
        /// Destination port.
        destination: Port,
        /// Whether the segment opens a connection: SYN without ACK.
        opening: bool,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source: Port,
        /// Destination port.
        destination: Port,
    },
    /// An ICMP message, in a packet of its own family.
    Icmp {
        /// The message type; ICMP and ICMPv6 number them each in its own way.
        kind: u8,
        /// The identifier, where the message is an echo request or reply.
        identifier: u16,
    },
    /// Another protocol.
    Other,
    /// A later fragment: there is no header.
    Absent,
}

/// A port, as it stands in the header: its octets are turned round only where its number is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Port {
    /// As wide as a register: LLVM would put two narrow ones into one, and take them apart again.
    in_network_order: u64,
}

impl Port {
    /// Its number.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "it was made of 16 bits")]
    pub const fn number(self) -> u16 {
        u16::from_be(self.in_network_order as u16)
    }

    /// Whether it has this number.
    #[inline(always)]
    pub const fn is(self, number: u16) -> bool {
        self.in_network_order == number.to_be() as u64
    }
}

/// The flags of a TCP segment (RFC 9293, section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 1 << 0;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 1 << 1;
    /// Reset the connection.
    pub const RST: u8 = 1 << 2;
    /// Push.
    pub const PSH: u8 = 1 << 3;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 1 << 4;
    /// The urgent pointer is significant.
    pub const URG: u8 = 1 << 5;
}

const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
/// How many octets the header of a plain packet has at the least, that of UDP.
pub(super) const SMALLEST_HEADER: usize = UDP_HEADER;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, network: &Network) -> Result<Transport, Reason> {
    if network.fragment.is_later() {
        // RFC 1858, section 4.2: such a fragment rewrites the flags that the first one showed.
        if network.protocol == ip::TCP && network.fragment.offset() == 8 {
            return Err(Reason::FragmentOverlap);
        }
        return Ok(Transport::Absent);
    }
    match (network.protocol, network.source) {
        (ip::TCP, _) => tcp(fixed_header::<TCP_HEADER, F>(frame, network, Reason::TcpTruncated)?, network),
        (ip::UDP, _) => udp(fixed_header::<UDP_HEADER, F>(frame, network, Reason::UdpTruncated)?, network),
        (ip::ICMP, Address::V4(_)) | (ip::ICMPV6, Address::V6(_)) => icmp(frame, network),
        _ => Ok(Transport::Other),
    }
}

/// The transport header of a whole packet without options and extension headers, whose first octets are these; nothing where
/// it is another, or malformed.
#[inline(always)]
pub(super) fn plain<F: Frame + ?Sized, H: Header>(frame: &F, network: &Network, header: H) -> Option<Transport> {
    match network.protocol {
        // The datagram's own length tells whether the packet ends before the header does.
        ip::UDP => udp(header, network).ok(),
        ip::TCP => tcp(plain_header::<TCP_HEADER, F>(frame, network)?, network).ok(),
        _ => None,
    }
}

#[inline(always)]
fn tcp<H: Header>(header: H, network: &Network) -> Result<Transport, Reason> {
    let header_length = usize::from(header.u8::<12>() >> 4) * 4;
    if header_length < TCP_HEADER {
        return Err(Reason::TcpDataOffset);
    }
    if network.offset + header_length > network.end {
        return Err(truncated(network, Reason::TcpDataOffset));
    }
    let flags = header.u8::<13>();
    if is_impossible(flags) {
        return Err(Reason::TcpFlags);
    }
    let (source, destination) = ports(header)?;
    Ok(Transport::Tcp { source, destination, opening: flags & (tcp_flags::SYN | tcp_flags::ACK) == tcp_flags::SYN })
}

#[inline(always)]
fn udp<H: Header>(header: H, network: &Network) -> Result<Transport, Reason> {
    let length = usize::from(header.u16::<4>());
    // The length of a fragmented datagram is that of the whole.
    let beyond = network.offset + length > network.end && network.fragment.is_whole();
    if length < UDP_HEADER || beyond {
        return Err(Reason::UdpLength);
    }
    let (source, destination) = ports(header)?;
    Ok(Transport::Udp { source, destination })
}

#[inline(always)]
fn icmp<F: Frame + ?Sized>(frame: &F, network: &Network) -> Result<Transport, Reason> {
    let header = fixed_header::<ICMP_HEADER, F>(frame, network, Reason::IcmpTruncated)?;
    Ok(Transport::Icmp { kind: header.u8::<0>(), identifier: header.u16::<4>() })
}

/// The fixed part of the transport header, which must lie within the IP packet.
#[inline(always)]
fn fixed_header<const N: usize, F: Frame + ?Sized>(
    frame: &F,
    network: &Network,
    reason: Reason,
) -> Result<F::Header<N>, Reason> {
    if network.offset + N > network.end {
        return Err(truncated(network, reason));
    }
    frame.read::<N>(place(network.offset)).ok_or(truncated(network, reason))
}

/// The same where it begins in one of few places, which the verifier knows.
#[inline(always)]
fn plain_header<const N: usize, F: Frame + ?Sized>(frame: &F, network: &Network) -> Option<F::Header<N>> {
    if network.offset + N > network.end { None } else { frame.read::<N>(network.offset) }
}

/// The reason of a header that is cut short: on a first fragment that is an evasion of its own.
#[inline(always)]
const fn truncated(network: &Network, reason: Reason) -> Reason {
    if network.fragment.is_first() { Reason::FragmentTruncated } else { reason }
}

#[inline(always)]
fn ports<H: Header>(header: H) -> Result<(Port, Port), Reason> {
    let source = Port { in_network_order: header.u16_in_network_order::<0>().into() };
    let destination = Port { in_network_order: header.u16_in_network_order::<2>().into() };
    if source.is(0) || destination.is(0) {
        return Err(Reason::PortZero);
    }
    Ok((source, destination))
}

/// Whether no TCP sends these flags together: none at all, SYN with FIN or RST, or FIN, PSH and URG without ACK.
#[inline(always)]
const fn is_impossible(flags: u8) -> bool {
    use tcp_flags::{ACK, FIN, PSH, RST, SYN, URG};
    let any = flags & (FIN | SYN | RST | PSH | ACK | URG) != 0;
    let syn = flags & SYN != 0 && flags & (FIN | RST) != 0;
    let christmas_tree = flags & (FIN | PSH | URG | ACK) == FIN | PSH | URG;
    !any || syn || christmas_tree
}

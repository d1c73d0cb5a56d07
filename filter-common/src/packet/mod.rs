//! The parser: from a frame to what the decision needs of it, or the reason why it is malformed.

mod ethernet;
pub mod ip;
mod ipv4;
mod ipv6;
mod octets;
mod transport;

pub use ipv6::ExtensionWalk;
pub use octets::{Header, Octets};
pub use transport::{Port, Transport, tcp_flags};

use crate::{Address, Reason, verifier::apart};

/// The octets of a frame, wherever they are.
pub trait Frame {
    /// Whether the frame has so many octets or more.
    fn reaches(&self, length: usize) -> bool;

    /// A header of `N` octets.
    type Header<const N: usize>: Header;

    /// The `N` octets from `offset`, or nothing if the frame ends before them.
    fn read<const N: usize>(&self, offset: usize) -> Option<Self::Header<N>>;

    /// The same, of octets that the decision may do without.
    #[inline(always)]
    fn read_ahead<const N: usize>(&self, offset: usize) -> Option<Self::Header<N>> {
        self.read(offset)
    }

    /// Walks over IPv6 extension headers, as [`ExtensionWalk::new`] does.
    ///
    /// The kernel calls a function for it: in line, the ways through six headers multiply with all that follows them,
    /// and the verifier gives up.
    #[inline(always)]
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        ExtensionWalk::new(self, offset, end, next_header)
    }
}

impl Frame for [u8] {
    type Header<const N: usize> = Octets<N>;

    fn reaches(&self, length: usize) -> bool {
        length <= self.len()
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<Octets<N>> {
        self.get(offset..)?.first_chunk().copied().map(Octets)
    }
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Content {
    /// ARP.
    Arp,
    /// LLDP, LACP and slow protocols, EAPOL, PTP, or an LLC frame to the bridge group addresses.
    LinkControl,
    /// Anything else that is not IP.
    OtherEthertype,
    /// IPv4 or IPv6.
    Ip(Packet),
}

/// What the decision needs of an IP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Where it says that it comes from.
    pub source: Address,
    /// Where it goes.
    pub destination: Address,
    /// IPv4 time to live or IPv6 hop limit.
    pub hop_limit: u8,
    /// The IP protocol, behind IPv6 extension headers.
    pub protocol: u8,
    /// Whether it is a fragment.
    pub fragment: Fragment,
    /// What the fragments of one datagram share; 0 where it is no fragment.
    pub identification: u32,
    /// How many octets of the fragmented datagram it carries, where it is a fragment.
    pub fragment_length: u16,
    /// Its transport header.
    pub transport: Transport,
    /// Where the transport header begins.
    pub offset: usize,
    /// Where the IP packet ends.
    pub end: usize,
}

/// A packet's place in a fragmented datagram: the offset in octets, and in the lowest bit whether more comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fragment(u16);

impl Fragment {
    /// Not fragmented, or an atomic fragment (RFC 6946).
    pub const WHOLE: Self = Self(0);

    /// From the offset in units of 8 octets and the more-fragments flag.
    #[inline(always)]
    const fn new(offset: u16, more: bool) -> Self {
        Self(offset << 3 | more as u16)
    }

    /// Whether it is no fragment.
    #[inline(always)]
    pub const fn is_whole(self) -> bool {
        self.0 == 0
    }

    /// Whether it is the first fragment of several: the only one with a transport header.
    #[inline(always)]
    pub const fn is_first(self) -> bool {
        self.0 == 1
    }

    /// Whether it is a later fragment.
    #[inline(always)]
    pub const fn is_later(self) -> bool {
        self.offset() != 0
    }

    /// Where it begins in the datagram, in octets.
    #[inline(always)]
    pub const fn offset(self) -> u16 {
        self.0 & !7
    }
}

/// An IP packet up to its transport header, as either family's parser leaves it.
///
/// The order is fixed, with an octet first: in a `Result` the reason shares the first octet's place. Were that of
/// `offset`, LLVM would put it together from two parts by OR, after which the verifier of Linux 6.1 knows nothing of it.
#[repr(C)]
struct Network {
    protocol: u8,
    hop_limit: u8,
    source: Address,
    destination: Address,
    fragment: Fragment,
    identification: u32,
    /// Where what is fragmented begins, behind the header that says so; means nothing where that is none.
    fragment_start: usize,
    /// Where the transport header begins.
    offset: usize,
    /// Where the IP packet ends; Ethernet padding may follow.
    end: usize,
}

/// What a frame carries, with the place of its IP header.
pub(crate) use ethernet::{Payload, UNTAGGED};

/// Reads a frame.
///
/// # Errors
/// The reason why it is malformed or cannot be walked.
#[inline(always)]
pub fn parse<F: Frame + ?Sized>(frame: &F) -> Result<Content, Reason> {
    Ok(match payload(frame)? {
        Payload::Arp => Content::Arp,
        Payload::LinkControl => Content::LinkControl,
        Payload::Other => Content::OtherEthertype,
        Payload::Ipv4(offset) => Content::Ip(parse_odd(frame, OddPacket::V4(offset))?),
        Payload::Ipv6(offset) => Content::Ip(parse_odd(frame, OddPacket::V6(offset))?),
    })
}

/// Reads a frame that carries a plain packet; nothing where it carries another, or a malformed one.
#[inline(always)]
pub fn parse_plain<F: Frame + ?Sized>(frame: &F) -> Option<PlainPacket> {
    if let Some(packet) = untagged_ipv4(frame) {
        return Some(packet);
    }
    match payload(frame) {
        Ok(Payload::Ipv4(UNTAGGED)) => None,
        Ok(Payload::Ipv4(offset)) => plain_ipv4(frame, offset),
        Ok(Payload::Ipv6(offset)) => plain_ipv6(frame, offset),
        _ => None,
    }
}

/// Reads a frame up to its IP header.
#[inline(always)]
pub(crate) fn payload<F: Frame + ?Sized>(frame: &F) -> Result<Payload, Reason> {
    ethernet::parse(frame)
}

/// A whole UDP datagram or TCP segment without options and extension headers, as nearly all packets are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlainPacket {
    /// UDP.
    Udp(Packet),
    /// TCP.
    Tcp(Packet),
}

/// An IP packet that is not a plain one, by the place of its header: a fragment, one with options, extension headers or another
/// protocol, or a malformed one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OddPacket {
    /// IPv4.
    V4(usize),
    /// IPv6.
    V6(usize),
}

/// Reads an odd packet, or any other.
///
/// # Errors
/// The reason why it is malformed or cannot be walked.
#[inline(always)]
pub fn parse_odd<F: Frame + ?Sized>(frame: &F, odd: OddPacket) -> Result<Packet, Reason> {
    let network = match odd {
        OddPacket::V4(offset) => ipv4::parse(frame, offset)?,
        OddPacket::V6(offset) => ipv6::parse(frame, offset)?,
    };
    Ok(packet(&network, transport::parse(frame, &network)?))
}

/// Reads a frame without tags that carries a plain IPv4 packet.
#[inline(always)]
pub(crate) fn untagged_ipv4<F: Frame + ?Sized>(frame: &F) -> Option<PlainPacket> {
    // All headers at once: the frame's end is compared once.
    let header = frame.read_ahead::<{ UNTAGGED + ipv4::WITH_TRANSPORT }>(0)?;
    if !ethernet::carries_ipv4_without_options(header) {
        return None;
    }
    let (header, rest) = (header.within::<UNTAGGED>(), header.within::<{ UNTAGGED + ipv4::HEADER }>());
    plain_ipv4_of(frame, UNTAGGED, header, rest)
}

/// Reads the IPv4 packet at `offset` if it is a plain one.
#[inline(always)]
pub(crate) fn plain_ipv4<F: Frame + ?Sized>(frame: &F, offset: usize) -> Option<PlainPacket> {
    let header = frame.read::<{ ipv4::WITH_TRANSPORT }>(offset)?;
    if !ipv4::has_no_options(header) {
        return None;
    }
    plain_ipv4_of(frame, offset, header, header.within::<{ ipv4::HEADER }>())
}

/// The same with its header, which has no options, and the first octets of the one behind it.
#[inline(always)]
fn plain_ipv4_of<F: Frame + ?Sized>(
    frame: &F,
    offset: usize,
    header: impl Header,
    rest: impl Header,
) -> Option<PlainPacket> {
    if ipv4::is_whole(header, ip::UDP) {
        return plain(frame, &ipv4::plain(frame, header, offset, ip::UDP)?, rest);
    }
    // Not put together with the one before: then both would have to be told apart again.
    apart();
    if ipv4::is_whole(header, ip::TCP) {
        return plain(frame, &ipv4::plain(frame, header, offset, ip::TCP)?, rest);
    }
    None
}

/// The same of an IPv6 packet.
#[inline(always)]
pub(crate) fn plain_ipv6<F: Frame + ?Sized>(frame: &F, offset: usize) -> Option<PlainPacket> {
    let header = frame.read::<{ ipv6::WITH_TRANSPORT }>(offset)?;
    let network = ipv6::plain(frame, header, offset)?;
    plain(frame, &network, header.within::<{ ipv6::HEADER }>())
}

/// A plain packet, the first octets of whose transport header are these.
#[inline(always)]
fn plain<F: Frame + ?Sized, H: Header>(frame: &F, network: &Network, header: H) -> Option<PlainPacket> {
    let transport = transport::plain(frame, network, header)?;
    let packet = packet(network, transport);
    Some(match transport {
        Transport::Udp { .. } => PlainPacket::Udp(packet),
        _ => PlainPacket::Tcp(packet),
    })
}

#[inline(always)]
const fn packet(network: &Network, transport: Transport) -> Packet {
    let Network { source, destination, hop_limit, protocol, fragment, identification, fragment_start, offset, end } =
        *network;
    Packet {
        source,
        destination,
        hop_limit,
        protocol,
        fragment,
        identification,
        fragment_length: octets(end.wrapping_sub(fragment_start)),
        transport,
        offset,
        end,
    }
}

/// A length within an IP packet.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length fields of IP have 16 bits")]
const fn octets(length: usize) -> u16 {
    length as u16
}

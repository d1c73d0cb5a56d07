//! The parser: from a frame to what the decision needs of it, or the reason why it is malformed.

mod ethernet;
pub mod ip;
mod ipv4;
mod ipv6;
mod transport;

pub use ipv6::ExtensionWalk;
pub use transport::{Transport, tcp_flags};

use core::hint::black_box;

use crate::{Address, Reason};

/// The octets of a frame, wherever they are.
pub trait Frame {
    /// How many octets the frame has.
    fn length(&self) -> usize;

    /// The `N` octets from `offset`, or nothing if the frame ends before them.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

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
    fn length(&self) -> usize {
        self.len()
    }

    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
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

/// A packet's place in a fragmented datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fragment {
    /// Not fragmented, or an atomic fragment (RFC 6946).
    Whole,
    /// The first fragment: the only one with a transport header.
    First,
    /// A later fragment, at this offset in units of 8 octets.
    Later(u16),
}

impl Fragment {
    /// From the offset in units of 8 octets and the more-fragments flag.
    #[inline(always)]
    const fn new(offset: u16, more: bool) -> Self {
        match (offset, more) {
            (0, false) => Self::Whole,
            (0, true) => Self::First,
            (offset, _) => Self::Later(offset),
        }
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

/// Reads a frame.
///
/// # Errors
/// The reason why it is malformed or cannot be walked.
#[inline(always)]
pub fn parse<F: Frame + ?Sized>(frame: &F) -> Result<Content, Reason> {
    let network = match ethernet::parse(frame)? {
        ethernet::Payload::Arp => return Ok(Content::Arp),
        ethernet::Payload::LinkControl => return Ok(Content::LinkControl),
        ethernet::Payload::Other => return Ok(Content::OtherEthertype),
        ethernet::Payload::Ipv4(offset) => ipv4::parse(frame, offset)?,
        ethernet::Payload::Ipv6(offset) => ipv6::parse(frame, offset)?,
    };
    let transport = transport::parse(frame, &network)?;
    let Network { source, destination, hop_limit, protocol, fragment, identification, fragment_start, offset, end } =
        network;
    Ok(Content::Ip(Packet {
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
    }))
}

/// A length within an IP packet.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the length fields of IP have 16 bits")]
const fn octets(length: usize) -> u16 {
    length as u16
}

/// The furthest that a header begins: behind six extension headers of 2,048 octets.
const LAST_PLACE: usize = 0x3fff;

/// Where a header begins, in a form that the verifier sees the bound of.
///
/// LLVM packs an offset together with the reason that there could have been instead, and takes it apart again,
/// after which the verifier of Linux 6.1 has lost its bound. Nor may LLVM know of it, or it leaves the bound out.
#[inline(always)]
pub(crate) fn place(offset: usize) -> usize {
    black_box(offset) & LAST_PLACE
}

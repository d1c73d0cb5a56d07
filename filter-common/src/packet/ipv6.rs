//! IPv6 (RFC 8200), with a bounded walk over its extension headers.

use super::{Fragment, Frame, Header, Network, ip, transport::SMALLEST_HEADER};
use crate::{Address, Reason, verifier::place};

/// The header without extensions.
pub(super) const HEADER: usize = 40;
/// The same with the smallest header that follows.
pub(super) const WITH_TRANSPORT: usize = HEADER + SMALLEST_HEADER;
/// Every extension header has at least this many octets, and its length in units of this many.
const UNIT: usize = 8;
const MAX_EXTENSIONS: usize = 6;

/// Reads the header at `start` of a packet that has no extension headers, or nothing that this tells from them; nothing where
/// it is malformed.
#[inline(always)]
pub(super) fn plain<F: Frame + ?Sized, H: Header>(frame: &F, header: H, start: usize) -> Option<Network> {
    let offset = start + HEADER;
    let end = offset + usize::from(header.u16::<4>());
    (header.u8::<0>() >> 4 == 6 && frame.reaches(end)).then(|| Network {
        source: Address::V6([header.u64::<8>(), header.u64::<16>()]),
        destination: Address::V6([header.u64::<24>(), header.u64::<32>()]),
        hop_limit: header.u8::<7>(),
        protocol: header.u8::<6>(),
        fragment: Fragment::WHOLE,
        identification: 0,
        fragment_start: UNIT,
        offset,
        end,
    })
}

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Network, Reason> {
    let header = frame.read::<HEADER>(start).ok_or(Reason::Ipv6Truncated)?;
    if header.u8::<0>() >> 4 != 6 {
        return Err(Reason::Ipv6Version);
    }
    let payload_length = usize::from(header.u16::<4>());
    let next_header = header.u8::<6>();
    // RFC 2675, section 2: the length of a jumbogram is zero, and a hop-by-hop option has the true one.
    if payload_length == 0 && next_header == ip::HOP_BY_HOP {
        return Err(Reason::Ipv6Jumbogram);
    }
    let end = start + HEADER + payload_length;
    if !frame.reaches(end) {
        return Err(Reason::Ipv6PayloadLength);
    }
    let offset = start + HEADER;
    let extensions = if is_extension(next_header) {
        frame.walk_extensions(offset, end, next_header).outcome()?
    } else {
        Extensions { next_header, offset, fragment: None, fragment_header: 0 }
    };
    let Extensions { next_header, offset, fragment, fragment_header } = extensions;
    Ok(Network {
        source: Address::V6([header.u64::<8>(), header.u64::<16>()]),
        destination: Address::V6([header.u64::<24>(), header.u64::<32>()]),
        hop_limit: header.u8::<7>(),
        protocol: next_header,
        fragment: fragment.unwrap_or(Fragment::WHOLE),
        identification: identification(frame, fragment, fragment_header),
        fragment_start: fragment_header + UNIT,
        offset,
        end,
    })
}

/// The identification, which ends the fragment header.
#[inline(always)]
fn identification<F: Frame + ?Sized>(frame: &F, fragment: Option<Fragment>, fragment_header: usize) -> u32 {
    match (fragment, frame.read::<UNIT>(place(fragment_header))) {
        (Some(_), Some(header)) => header.u32::<4>(),
        _ => 0,
    }
}

/// How far the walk over the extension headers came, or the reason why it ended, as one number:
/// the kernel walks in a function of its own, which can return no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtensionWalk(pub u64);

/// What the extension headers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Extensions {
    next_header: u8,
    /// Where the walk ended.
    offset: usize,
    /// Set once a fragment header was met.
    fragment: Option<Fragment>,
    /// Where that begins.
    fragment_header: usize,
}

impl ExtensionWalk {
    const FAILED: u64 = 1 << 63;
    /// A walk that was not begun.
    pub const REFUSED: Self = Self(Self::FAILED | Reason::Ipv6ExtensionChain as u64);
    const FRAGMENTED: u64 = 1 << 62;

    /// Walks from the header at `offset`, which is an extension of this kind, to the first one that is none,
    /// or to what follows a later fragment's header.
    #[inline(always)]
    pub fn new<F: Frame + ?Sized>(frame: &F, offset: usize, end: usize, next_header: u8) -> Self {
        let mut chain = Chain { next_header, offset, fragment: Chain::UNFRAGMENTED, fragment_header: 0 };
        match chain.walk(frame, end) {
            Ok(()) => chain.encode(),
            Err(reason) => Self(Self::FAILED | u64::from(reason.index())),
        }
    }

    #[inline(always)]
    fn outcome(self) -> Result<Extensions, Reason> {
        let [next_header, o0, o1, h0, h1, f0, f1, _] = self.0.to_le_bytes();
        if self.0 & Self::FAILED != 0 {
            return Err(reason(next_header));
        }
        let field = u16::from_le_bytes([f0, f1]);
        let fragmented = self.0 & Self::FRAGMENTED != 0;
        Ok(Extensions {
            next_header,
            offset: usize::from(u16::from_le_bytes([o0, o1])),
            fragment: fragmented.then_some(Fragment::new(field >> 3, field & 1 != 0)),
            fragment_header: usize::from(u16::from_le_bytes([h0, h1])),
        })
    }
}

/// The reasons that end a walk, from their numbers.
#[inline(always)]
const fn reason(index: u8) -> Reason {
    const TRUNCATED: u8 = Reason::Ipv6ExtensionTruncated as u8;
    const ROUTING: u8 = Reason::Ipv6RoutingType0 as u8;
    const FRAGMENT: u8 = Reason::FragmentTruncated as u8;
    match index {
        TRUNCATED => Reason::Ipv6ExtensionTruncated,
        ROUTING => Reason::Ipv6RoutingType0,
        FRAGMENT => Reason::FragmentTruncated,
        _ => Reason::Ipv6ExtensionChain,
    }
}

/// How far the walk has come.
struct Chain {
    next_header: u8,
    offset: usize,
    /// The field of the fragment header that has the offset and the more-fragments flag, once it was met.
    ///
    /// No `Option`: LLVM would look at what is in it before it knows that something is, which the verifier refuses.
    fragment: u32,
    /// Where that begins.
    fragment_header: usize,
}

/// The bits of that field that mean nothing (RFC 8200, section 4.5).
const RESERVED: u32 = 0b110;

impl Chain {
    const UNFRAGMENTED: u32 = 1 << 16;

    #[inline(always)]
    const fn encode(&self) -> ExtensionWalk {
        let fragmented = if self.fragment == Self::UNFRAGMENTED { 0 } else { ExtensionWalk::FRAGMENTED };
        let field = self.fragment & 0xffff;
        let places = (self.offset as u64) << 8 | (self.fragment_header as u64) << 24;
        ExtensionWalk(fragmented | (field as u64) << 40 | places | self.next_header as u64)
    }

    #[inline(always)]
    fn walk<F: Frame + ?Sized>(&mut self, frame: &F, end: usize) -> Result<(), Reason> {
        let mut index = 0;
        while index < MAX_EXTENSIONS {
            if self.is_at_rest() {
                return Ok(());
            }
            self.step(frame, end, index)?;
            index += 1;
        }
        if self.is_at_rest() { Ok(()) } else { Err(Reason::Ipv6ExtensionChain) }
    }

    /// What follows the header of a later fragment is payload, whatever its next header says.
    #[inline(always)]
    const fn is_at_rest(&self) -> bool {
        let is_later = self.fragment & 0xfff8 != 0;
        !is_extension(self.next_header) || is_later
    }

    /// Walks over the extension header with this index in the chain.
    #[inline(always)]
    fn step<F: Frame + ?Sized>(&mut self, frame: &F, end: usize, index: usize) -> Result<(), Reason> {
        // Offset 0 and more to come: a first fragment.
        let truncated =
            if self.fragment & !RESERVED == 1 { Reason::FragmentTruncated } else { Reason::Ipv6ExtensionTruncated };
        if self.offset + UNIT > end {
            return Err(truncated);
        }
        let header = frame.read::<UNIT>(self.offset).ok_or(truncated)?;
        let (next_header, length) = (header.u8::<0>(), header.u8::<1>());
        let size = match self.next_header {
            ip::FRAGMENT => {
                if self.fragment != Self::UNFRAGMENTED {
                    return Err(Reason::Ipv6ExtensionChain);
                }
                self.fragment = header.u16::<2>().into();
                self.fragment_header = self.offset;
                UNIT
            }
            // RFC 4302, section 2.2: in units of 4 octets, less 2.
            ip::AUTHENTICATION => (usize::from(length) + 2) * 4,
            // RFC 8200, section 4.1: immediately after the IPv6 header only.
            ip::HOP_BY_HOP if index > 0 => return Err(Reason::Ipv6ExtensionChain),
            ip::ROUTING if header.u8::<2>() == 0 && header.u8::<3>() != 0 => return Err(Reason::Ipv6RoutingType0),
            _ => (usize::from(length) + 1) * UNIT,
        };
        // RFC 4302, section 2: an authentication header has 12 octets at least.
        let least = if self.next_header == ip::AUTHENTICATION { 12 } else { UNIT };
        if size < least || self.offset + size > end {
            return Err(truncated);
        }
        self.offset += size;
        self.next_header = next_header;
        Ok(())
    }
}

#[inline(always)]
const fn is_extension(next_header: u8) -> bool {
    matches!(next_header, ip::HOP_BY_HOP | ip::ROUTING | ip::FRAGMENT | ip::AUTHENTICATION | ip::DESTINATION_OPTIONS)
}

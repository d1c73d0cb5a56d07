//! IPv6 (RFC 8200), with a bounded walk over its extension headers.

use super::{Fragment, Frame, Network, ip};
use crate::{Address, Reason};

const HEADER: usize = 40;
/// Every extension header has at least this many octets, and its length in units of this many.
const UNIT: usize = 8;
const MAX_EXTENSIONS: usize = 6;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Network, Reason> {
    let [version, _, _, _, l0, l1, next_header, hop_limit] = frame.read(start).ok_or(Reason::Ipv6Truncated)?;
    let source = frame.read(start + 8).ok_or(Reason::Ipv6Truncated)?;
    let destination = frame.read(start + 24).ok_or(Reason::Ipv6Truncated)?;
    if version >> 4 != 6 {
        return Err(Reason::Ipv6Version);
    }
    let payload_length = usize::from(u16::from_be_bytes([l0, l1]));
    // RFC 2675, section 2: the length of a jumbogram is zero, and a hop-by-hop option has the true one.
    if payload_length == 0 && next_header == ip::HOP_BY_HOP {
        return Err(Reason::Ipv6Jumbogram);
    }
    let end = start + HEADER + payload_length;
    if end > frame.length() {
        return Err(Reason::Ipv6PayloadLength);
    }
    let mut chain = Chain { next_header, offset: start + HEADER, fragment: None };
    chain.walk(frame, end)?;
    Ok(Network {
        source: Address::V6(source),
        destination: Address::V6(destination),
        hop_limit,
        protocol: chain.next_header,
        fragment: chain.fragment.unwrap_or(Fragment::Whole),
        offset: chain.offset,
        end,
    })
}

/// How far the walk over the extension headers has come.
struct Chain {
    next_header: u8,
    offset: usize,
    /// Set once a fragment header was met.
    fragment: Option<Fragment>,
}

impl Chain {
    /// Walks to the first header that is no extension, or to what follows a later fragment's header.
    #[inline(always)]
    fn walk<F: Frame + ?Sized>(&mut self, frame: &F, end: usize) -> Result<(), Reason> {
        let mut index = 0;
        while index < MAX_EXTENSIONS {
            // What follows the header of a later fragment is payload, whatever its next header says.
            if matches!(self.fragment, Some(Fragment::Later(_))) || !is_extension(self.next_header) {
                return Ok(());
            }
            self.step(frame, end, index)?;
            index += 1;
        }
        let at_rest = matches!(self.fragment, Some(Fragment::Later(_))) || !is_extension(self.next_header);
        if at_rest { Ok(()) } else { Err(Reason::Ipv6ExtensionChain) }
    }

    /// Walks over the extension header with this index in the chain.
    #[inline(always)]
    fn step<F: Frame + ?Sized>(&mut self, frame: &F, end: usize, index: usize) -> Result<(), Reason> {
        let truncated = match self.fragment {
            Some(Fragment::First) => Reason::FragmentTruncated,
            _ => Reason::Ipv6ExtensionTruncated,
        };
        if self.offset + UNIT > end {
            return Err(truncated);
        }
        let header = frame.read::<UNIT>(self.offset).ok_or(truncated)?;
        let [next_header, length, f0, f1, ..] = header;
        let size = match self.next_header {
            ip::FRAGMENT => {
                if self.fragment.is_some() {
                    return Err(Reason::Ipv6ExtensionChain);
                }
                let field = u16::from_be_bytes([f0, f1]);
                self.fragment = Some(Fragment::new(field >> 3, field & 1 != 0));
                UNIT
            }
            // RFC 4302, section 2: 12 octets at least.
            ip::AUTHENTICATION if length == 0 => return Err(truncated),
            // RFC 4302, section 2.2: in units of 4 octets, less 2.
            ip::AUTHENTICATION => (usize::from(length) + 2) * 4,
            // RFC 8200, section 4.1: immediately after the IPv6 header only.
            ip::HOP_BY_HOP if index > 0 => return Err(Reason::Ipv6ExtensionChain),
            ip::ROUTING if f0 == 0 && f1 != 0 => return Err(Reason::Ipv6RoutingType0),
            _ => (usize::from(length) + 1) * UNIT,
        };
        if self.offset + size > end {
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

//! IPv4 (RFC 791), with options.

use super::{Fragment, Frame, Header, Network, transport::SMALLEST_HEADER};
use crate::{Address, Reason};

/// The header without options.
pub(super) const HEADER: usize = 20;
/// The same with the smallest header that follows.
pub(super) const WITH_TRANSPORT: usize = HEADER + SMALLEST_HEADER;

/// The first octet of a header without options.
pub(super) const WITHOUT_OPTIONS: u8 = 0x45;
/// The more-fragments flag, the offset and the protocol, in the four octets that have them and the time to live.
const FRAGMENT_AND_PROTOCOL: u32 = u32::from_ne_bytes([0x3f, 0xff, 0, 0xff]);

/// Whether this is the header of a packet that has no options.
#[inline(always)]
pub(super) fn has_no_options<H: Header>(header: H) -> bool {
    header.u8::<0>() == WITHOUT_OPTIONS
}

/// Whether a header without options is that of a packet of a protocol that is no fragment.
#[inline(always)]
pub(super) fn is_whole<H: Header>(header: H, protocol: u8) -> bool {
    header.u32_in_network_order::<6>() & FRAGMENT_AND_PROTOCOL == u32::from_ne_bytes([0, 0, 0, protocol])
}

/// Reads the header at `start` of such a packet; nothing where it is malformed.
#[inline(always)]
pub(super) fn plain<F: Frame + ?Sized, H: Header>(frame: &F, header: H, start: usize, protocol: u8) -> Option<Network> {
    let end = start + usize::from(header.u16::<2>());
    frame.reaches(end).then(|| Network {
        source: Address::V4(header.u32::<12>()),
        destination: Address::V4(header.u32::<16>()),
        hop_limit: header.u8::<8>(),
        protocol,
        fragment: Fragment::WHOLE,
        identification: header.u16::<4>().into(),
        fragment_start: start + HEADER,
        offset: start + HEADER,
        end,
    })
}

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Network, Reason> {
    let header = frame.read::<HEADER>(start).ok_or(Reason::Ipv4Truncated)?;
    let version_ihl = header.u8::<0>();
    if version_ihl >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let header_length = usize::from(version_ihl & 0xf) * 4;
    if header_length < HEADER {
        return Err(Reason::Ipv4HeaderLength);
    }
    let total_length = usize::from(header.u16::<2>());
    if total_length < header_length || !frame.reaches(start + total_length) {
        return Err(Reason::Ipv4TotalLength);
    }
    let fragment = header.u16::<6>();
    Ok(Network {
        source: Address::V4(header.u32::<12>()),
        destination: Address::V4(header.u32::<16>()),
        hop_limit: header.u8::<8>(),
        protocol: header.u8::<9>(),
        fragment: Fragment::new(fragment & 0x1fff, fragment & 0x2000 != 0),
        identification: header.u16::<4>().into(),
        fragment_start: start + header_length,
        offset: start + header_length,
        end: start + total_length,
    })
}

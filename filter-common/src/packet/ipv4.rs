//! IPv4 (RFC 791), with options.

use super::{Fragment, Frame, Header, Network, transport::SMALLEST_HEADER};
use crate::{Address, Reason};

const HEADER: usize = 20;
/// The header of a plain packet with the smallest header that follows.
pub(super) const WITH_TRANSPORT: usize = HEADER + SMALLEST_HEADER;

/// The first octet of a header without options.
const WITHOUT_OPTIONS: u8 = 0x45;
/// The more-fragments flag and the offset, in the field that has them.
const FRAGMENT: u16 = 0x3fff;

/// Reads a packet that has neither options nor fragments; nothing where it is another, or malformed.
#[inline(always)]
pub(super) fn plain<F: Frame + ?Sized>(frame: &F, start: usize) -> Option<Network> {
    // Both headers at once: the frame's end is compared once.
    let header = frame.read::<WITH_TRANSPORT>(start)?;
    let total_length = usize::from(header.u16::<2>());
    let plain = header.u8::<0>() == WITHOUT_OPTIONS && header.u16::<6>() & FRAGMENT == 0;
    (plain && frame.reaches(start + total_length)).then(|| Network {
        source: Address::V4(header.u32::<12>()),
        destination: Address::V4(header.u32::<16>()),
        hop_limit: header.u8::<8>(),
        protocol: header.u8::<9>(),
        fragment: Fragment::WHOLE,
        identification: header.u16::<4>().into(),
        fragment_start: start + HEADER,
        offset: start + HEADER,
        end: start + total_length,
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

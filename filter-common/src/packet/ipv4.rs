//! IPv4 (RFC 791), with options.

use super::{Fragment, Frame, Network};
use crate::{Address, Reason};

const HEADER: usize = 20;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F, start: usize) -> Result<Network, Reason> {
    let header = frame.read::<HEADER>(start).ok_or(Reason::Ipv4Truncated)?;
    let [version_ihl, _, l0, l1, i0, i1, f0, f1, hop_limit, protocol, _, _, addresses @ ..] = header;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    if version_ihl >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let header_length = usize::from(version_ihl & 0xf) * 4;
    if header_length < HEADER {
        return Err(Reason::Ipv4HeaderLength);
    }
    let total_length = usize::from(u16::from_be_bytes([l0, l1]));
    if total_length < header_length || start + total_length > frame.length() {
        return Err(Reason::Ipv4TotalLength);
    }
    let fragment = u16::from_be_bytes([f0, f1]);
    Ok(Network {
        source: Address::V4([s0, s1, s2, s3]),
        destination: Address::V4([d0, d1, d2, d3]),
        hop_limit,
        protocol,
        fragment: Fragment::new(fragment & 0x1fff, fragment & 0x2000 != 0),
        identification: u16::from_be_bytes([i0, i1]).into(),
        fragment_start: start + header_length,
        offset: start + header_length,
        end: start + total_length,
    })
}

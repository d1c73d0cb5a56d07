//! IPv6 extension headers: at most six, the hop-by-hop options first only, one fragment header.

use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};
use filter_common::Reason;

use super::network::{Piece, octets};

pub(super) const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// Every extension header has at least this many octets.
const SHORTEST: usize = 8;
const MOST: usize = 6;

/// What a fragment header says, and what comes behind it.
#[derive(Clone, Copy)]
pub(super) struct Fragment {
    pub(super) piece: Piece,
    pub(super) identification: u32,
    /// Octets behind the header.
    pub(super) carried: u32,
}

/// What is behind the extension headers.
pub(super) struct Walked<'p> {
    pub(super) protocol: u8,
    pub(super) fragment: Option<Fragment>,
    pub(super) payload: &'p [u8],
}

/// Walks over the extension headers.
pub(super) fn walk(mut next: u8, mut rest: &[u8]) -> Result<Walked<'_>, Reason> {
    let mut fragment = None;
    for place in 0..=MOST {
        let extension = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION].contains(&next);
        let piece = fragment.map(|fragment: Fragment| fragment.piece);
        // What follows the header of a later fragment is a piece of payload.
        if !extension || matches!(piece, Some(Piece::Later(_))) {
            return Ok(Walked { protocol: next, fragment, payload: rest });
        }
        if place == MOST {
            break;
        }
        let cut = if piece == Some(Piece::First) { Reason::FragmentTruncated } else { Reason::Ipv6ExtensionTruncated };
        if rest.len() < SHORTEST {
            return Err(cut);
        }
        refuse_misplaced(next, place, piece, rest)?;
        if next == FRAGMENT {
            fragment = read(rest);
        }
        let (length, following) = header(next, rest).ok_or(cut)?;
        (next, rest) = (following, &rest[length..]);
    }
    Err(Reason::Ipv6ExtensionChain)
}

fn refuse_misplaced(kind: u8, place: usize, piece: Option<Piece>, header: &[u8]) -> Result<(), Reason> {
    let (routing_type, segments_left) = (header[2], header[3]);
    match kind {
        HOP_BY_HOP if place > 0 => Err(Reason::Ipv6ExtensionChain),
        FRAGMENT if piece.is_some() => Err(Reason::Ipv6ExtensionChain),
        ROUTING if routing_type == 0 && segments_left > 0 => Err(Reason::Ipv6RoutingType0),
        _ => Ok(()),
    }
}

fn read(rest: &[u8]) -> Option<Fragment> {
    let header = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
    let offset = u32::from(header.fragment_offset().value()) * 8;
    Some(Fragment {
        piece: Piece::new(offset, header.more_fragments()),
        identification: header.identification(),
        carried: octets(&rest[SHORTEST..]),
    })
}

/// The length of the header at the beginning of `rest`, and what follows it; nothing if it is not all there.
fn header(kind: u8, rest: &[u8]) -> Option<(usize, u8)> {
    Some(match kind {
        FRAGMENT => (SHORTEST, Ipv6FragmentHeaderSlice::from_slice(rest).ok()?.next_header().0),
        AUTHENTICATION => {
            let header = IpAuthHeaderSlice::from_slice(rest).ok()?;
            (header.slice().len(), header.next_header().0)
        }
        _ => {
            let header = Ipv6RawExtHeaderSlice::from_slice(rest).ok()?;
            (header.slice().len(), header.next_header().0)
        }
    })
}

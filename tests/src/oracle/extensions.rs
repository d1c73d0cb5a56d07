//! IPv6 extension headers: at most six, the hop-by-hop options first only, one fragment header.

use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};
use filter_common::Reason;

use super::network::Piece;

pub(super) const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// Every extension header has at least this many octets.
const SHORTEST: usize = 8;
const MOST: usize = 6;

/// The protocol behind the extension headers, which part of a datagram this is, and what it carries.
pub(super) fn walk(mut next: u8, mut rest: &[u8]) -> Result<(u8, Piece, &[u8]), Reason> {
    let mut piece = None;
    for place in 0..=MOST {
        let extension = [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION].contains(&next);
        // What follows the header of a later fragment is a piece of payload.
        if !extension || matches!(piece, Some(Piece::Later(_))) {
            return Ok((next, piece.unwrap_or(Piece::Whole), rest));
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
            piece = fragment(rest);
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

fn fragment(rest: &[u8]) -> Option<Piece> {
    let header = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
    Some(Piece::new(u32::from(header.fragment_offset().value()) * 8, header.more_fragments()))
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

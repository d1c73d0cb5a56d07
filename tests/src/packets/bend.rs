//! Ways to bend a well-formed frame. Lengths are mended, so that only what is meant is odd; checksums are not.

use super::ETHERNET;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The frame with these octets at `offset`.
pub fn patch(mut frame: Vec<u8>, offset: usize, octets: &[u8]) -> Vec<u8> {
    frame[offset..offset + octets.len()].copy_from_slice(octets);
    frame
}

/// The first `length` octets of the frame.
pub fn cut(mut frame: Vec<u8>, length: usize) -> Vec<u8> {
    frame.truncate(length);
    frame
}

/// The frame with VLAN tags of these kinds, outermost first.
pub fn tagged(frame: Vec<u8>, kinds: &[u16]) -> Vec<u8> {
    let tags: Vec<u8> = kinds.iter().flat_map(|kind| [kind.to_be_bytes(), [0, 7]].concat()).collect();
    insert(frame, ETHERNET - 2, &tags)
}

/// The IPv4 frame with `words` words of options (no-operation), up to 10.
pub fn ipv4_options(frame: Vec<u8>, words: u8) -> Vec<u8> {
    let frame = insert(frame, ETHERNET + IPV4_HEADER, &vec![1; usize::from(words) * 4]);
    let frame = patch(frame, ETHERNET, &[0x45 + words]);
    let total = length(frame.len() - ETHERNET);
    patch(frame, ETHERNET + 2, &total)
}

/// The frame as a fragment: IPv4 in the header's own field, IPv6 with a fragment header, at an offset in octets.
pub fn fragment(frame: Vec<u8>, offset: u16, more: bool) -> Vec<u8> {
    if frame[ETHERNET] >> 4 == 6 {
        let protocol = frame[ETHERNET + 6];
        return ipv6_extension(frame, 44, ipv6_fragment(protocol, offset, more));
    }
    let field = (offset / 8) | if more { 0x2000 } else { 0 };
    patch(frame, ETHERNET + 6, &field.to_be_bytes())
}

/// The frame's IP packet, without options or extension headers, in two fragments: the second begins at this octet of the
/// payload.
pub fn in_fragments(frame: &[u8], at: usize, identification: u8) -> [Vec<u8>; 2] {
    let is_ipv6 = frame[ETHERNET] >> 4 == 6;
    let (header, length_at, before) = if is_ipv6 { (IPV6_HEADER, 4, IPV6_HEADER) } else { (IPV4_HEADER, 2, 0) };
    let start = ETHERNET + header;
    let piece = |payload: &[u8], offset, more| {
        let frame = [&frame[..start], payload].concat();
        let total = length(frame.len() - ETHERNET - before);
        let fragment = fragment(patch(frame, ETHERNET + length_at, &total), offset, more);
        patch(fragment, ETHERNET + if is_ipv6 { IPV6_HEADER + 7 } else { 5 }, &[identification])
    };
    let offset = u16::try_from(at).expect("test frames are short");
    [piece(&frame[start..start + at], 0, true), piece(&frame[start + at..], offset, false)]
}

/// An IPv6 fragment header, at an offset in octets.
pub fn ipv6_fragment(next_header: u8, offset: u16, more: bool) -> [u8; 8] {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    [next_header, 0, high, low, 0, 0, 0, 1]
}

/// The IPv6 frame with an extension header of this kind put first; the header's next header field is set.
pub fn ipv6_extension<const N: usize>(frame: Vec<u8>, kind: u8, mut header: [u8; N]) -> Vec<u8> {
    header[0] = frame[ETHERNET + 6];
    let frame = patch(insert(frame, ETHERNET + IPV6_HEADER, &header), ETHERNET + 6, &[kind]);
    let payload = length(frame.len() - ETHERNET - IPV6_HEADER);
    patch(frame, ETHERNET + 4, &payload)
}

fn insert(mut frame: Vec<u8>, at: usize, octets: &[u8]) -> Vec<u8> {
    frame.splice(at..at, octets.iter().copied());
    frame
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).expect("test frames are short").to_be_bytes()
}

//! Inspection: whether a listed datagram begins like what its rule is for.
//!
//! The first octet of the payload is all that is looked at, never of TCP, never of a later fragment.

use super::Policy;
use crate::{
    Reason, Verdict,
    packet::{Frame, Header as _, Packet, Transport},
    tables::{Term, flags, services},
    verifier::place,
};

/// The octets of a UDP header and the first one of its payload.
const UDP_HEADER_AND_FIRST: usize = 9;

/// What begins neither SIP nor media.
const UNREADABLE: u8 = 0xff;

/// The verdict of a packet that `term` allows.
#[inline(always)]
pub(super) fn listed<F: Frame + ?Sized, P: Policy>(frame: &F, packet: &Packet, policy: &P, term: Term) -> Verdict {
    let passed = Verdict::of(Reason::Listed).by_rule(term.rule());
    match suspicion(frame, packet, policy, term) {
        Some((reason, true)) => Verdict::of(reason),
        Some((reason, false)) => passed.noting(reason),
        None => passed,
    }
}

/// What is wrong with the datagram, and whether that drops it.
#[inline(always)]
fn suspicion<F: Frame + ?Sized, P: Policy>(
    frame: &F,
    packet: &Packet,
    policy: &P,
    term: Term,
) -> Option<(Reason, bool)> {
    const SIP: u32 = flags::INSPECT_SIP_COUNT | flags::INSPECT_SIP_ENFORCE;
    const MEDIA: u32 = flags::INSPECT_MEDIA_COUNT | flags::INSPECT_MEDIA_ENFORCE;
    let knobs = policy.knobs();
    if !knobs.has(SIP | MEDIA) || !matches!(packet.transport, Transport::Udp { .. }) {
        return None;
    }
    // An empty datagram is a keep-alive.
    if packet.offset + UDP_HEADER_AND_FIRST > packet.end {
        return None;
    }
    // With its header, for the verifier does not follow how LLVM compares a single octet with the end.
    // A payload that begins where the program cannot look is not taken for what it may not be.
    let first = match frame.read::<UDP_HEADER_AND_FIRST>(place(packet.offset)) {
        // What comes behind the datagram is none of it (RFC 768).
        Some(header) if usize::from(header.u16::<4>()) < UDP_HEADER_AND_FIRST => return None,
        Some(header) => header.u8::<{ UDP_HEADER_AND_FIRST - 1 }>(),
        None => UNREADABLE,
    };
    if knobs.has(SIP) && term.service() == services::SIP && !begins_sip(first) {
        return Some((Reason::InspectSip, knobs.has(flags::INSPECT_SIP_ENFORCE)));
    }
    if knobs.has(MEDIA) && term.service() == services::MEDIA && !begins_media(first) {
        return Some((Reason::InspectMedia, knobs.has(flags::INSPECT_MEDIA_ENFORCE)));
    }
    None
}

/// Whether this octet begins a SIP message (a `token`, RFC 3261, section 25.1: a method, or `SIP/2.0`), a keep-alive
/// (CR, LF or NUL; RFC 5626, section 3.5.1) or a STUN message (RFC 7983).
const fn begins_sip(first: u8) -> bool {
    matches!(first, 0..=3 | b'\r' | b'\n' | b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
        || first.is_ascii_alphanumeric()
}

/// Whether this octet begins STUN, ZRTP, DTLS, a TURN channel, RTP or RTCP (RFC 7983, section 7).
const fn begins_media(first: u8) -> bool {
    matches!(first, 0..=3 | 16..=79 | 128..=191)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_keep_alive_and_stun_message_begins_sip() {
        for text in ["INVITE", "OPTIONS", "SIP/2.0 200 OK", "xyzzy", "!odd", "\r\n\r\n", "\n", "\0\0\0\0"] {
            assert!(begins_sip(text.as_bytes()[0]), "{text}");
        }
        for first in [0x80, b' ', b'<', b'{', UNREADABLE, 4, b'/', b':'] {
            assert!(!begins_sip(first), "{first}");
        }
        assert!(!begins_media(UNREADABLE));
    }

    #[test]
    fn the_ranges_of_rfc_7983_begin_media() {
        for (first, expected) in [
            (0, true),
            (3, true),
            (4, false),
            (15, false),
            (16, true),
            (19, true),
            (20, true),
            (63, true),
            (64, true),
            (79, true),
            (80, false),
            (127, false),
            (128, true),
            (191, true),
            (192, false),
            (255, false),
        ] {
            assert_eq!(begins_media(first), expected, "{first}");
        }
    }
}

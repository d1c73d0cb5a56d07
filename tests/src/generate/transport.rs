//! Transport headers, true and untrue.

use super::{Choices, aim::Shot, damage};

/// The payload of an IP packet with this protocol.
pub(super) fn segment(choices: &mut Choices, shot: &Shot) -> Vec<u8> {
    let payload = vec![choices.one_of(&[b'x', 0x80, b' ', 0]); choices.one_of(&[4, 0, 1, 20, 7, 8])];
    let header = match shot.protocol {
        6 => tcp(choices, shot),
        17 => udp(choices, shot, payload.len()),
        1 => icmp(choices, &[8, 0, 3, 4, 5, 11, 12, 13, 30, 9]),
        58 => icmp(choices, &[128, 129, 1, 2, 3, 4, 5, 130, 131, 132, 133, 134, 135, 136, 137, 138, 143, 144, 127]),
        _ => vec![0; choices.one_of(&[8, 0, 1, 4, 20])],
    };
    [header, payload].concat()
}

fn ports(shot: &Shot) -> [u8; 4] {
    let ([s0, s1], [d0, d1]) = (shot.source_port.to_be_bytes(), shot.destination_port.to_be_bytes());
    [s0, s1, d0, d1]
}

/// A TCP header with any flags, the probable ones more often.
fn tcp(choices: &mut Choices, shot: &Shot) -> Vec<u8> {
    let flags = if choices.chance(30) { choices.octet() } else { choices.one_of(&[2, 16, 18, 24, 17, 4, 20]) };
    let words = if choices.chance(15) { choices.below(16) } else { 5 };
    let words = u8::try_from(words).unwrap_or_default();
    let options = vec![1; usize::from(words.saturating_sub(5)) * 4];
    let options = if choices.chance(20) { Vec::new() } else { options };
    let fixed = [0, 0, 0, 1, 0, 0, 0, 0, words << 4, flags, 0xff, 0xff, 0, 0, 0, 0];
    [ports(shot).as_slice(), &fixed, &options].concat()
}

fn udp(choices: &mut Choices, shot: &Shot, payload: usize) -> Vec<u8> {
    let length = damage::length(choices, 8 + payload);
    [ports(shot).as_slice(), &length, &[0, 0]].concat()
}

fn icmp(choices: &mut Choices, kinds: &[u8]) -> Vec<u8> {
    let kind = if choices.chance(5) { choices.octet() } else { choices.one_of(kinds) };
    vec![kind, 0, 0, 0, 0x12, 0x34, 0, 1]
}

//! Chains of IPv6 extension headers.

use super::{Choices, damage};

pub(super) const FRAGMENT: u8 = 44;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const AUTHENTICATION: u8 = 51;
const DESTINATION: u8 = 60;

/// The octets of a chain before `protocol`, and the next header value that begins it.
pub(super) fn chain(choices: &mut Choices, protocol: u8) -> (u8, Vec<u8>) {
    let kinds = kinds(choices);
    let mut octets = Vec::new();
    for (place, kind) in kinds.iter().enumerate() {
        let next = kinds.get(place + 1).copied().unwrap_or(protocol);
        octets.extend(header(choices, *kind, next));
    }
    (kinds.first().copied().unwrap_or(protocol), octets)
}

/// Mostly none; else some in a good order, or any in any order.
fn kinds(choices: &mut Choices) -> Vec<u8> {
    const GOOD: [&[u8]; 6] = [
        &[FRAGMENT],
        &[HOP_BY_HOP],
        &[DESTINATION],
        &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT],
        &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION],
        &[AUTHENTICATION],
    ];
    match choices.below(10) {
        0..=5 => Vec::new(),
        6..=7 => choices.one_of(&GOOD).to_vec(),
        _ => {
            let any = [DESTINATION, FRAGMENT, ROUTING, AUTHENTICATION, HOP_BY_HOP];
            choices.many(1, 8, |choices| choices.one_of(&any))
        }
    }
}

fn header(choices: &mut Choices, kind: u8, next: u8) -> Vec<u8> {
    match kind {
        FRAGMENT => {
            let [high, low] = (damage::fragment_offset(choices) << 3 | u16::from(choices.chance(50))).to_be_bytes();
            vec![next, 0, high, low, 0, 0, 0, 1]
        }
        // RFC 4302, section 2.2: in units of 4 octets, less 2.
        AUTHENTICATION => sized(next, choices.one_of(&[4, 1, 0, 2, 3, 200]), 4, 2),
        ROUTING => {
            let mut header = sized(next, choices.one_of(&[0, 2]), 8, 1);
            header[2..4].copy_from_slice(&[choices.one_of(&[2, 0, 4]), choices.one_of(&[0, 1, 255])]);
            header
        }
        _ => {
            let length = if choices.chance(10) { choices.octet() } else { choices.one_of(&[0, 1, 2]) };
            sized(next, length, 8, 1)
        }
    }
}

/// A header of the length that its length octet says, as far as frames go: one that says more lies.
fn sized(next: u8, length: u8, unit: usize, less: usize) -> Vec<u8> {
    let mut header = vec![0; ((usize::from(length) + less) * unit).clamp(8, 64)];
    header[..2].copy_from_slice(&[next, length]);
    header
}

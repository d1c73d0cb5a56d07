//! What is wrong with frames: lengths that lie, octets that are missing, added or different.

use super::Choices;

/// The octets of a length field: the true length, mostly.
pub(super) fn length(choices: &mut Choices, octets: usize) -> [u8; 2] {
    let octets = u16::try_from(octets).unwrap_or(u16::MAX);
    let stated = match choices.below(40) {
        0..=36 => octets,
        37 => choices.one_of(&[octets.wrapping_sub(1), octets.wrapping_add(1)]),
        38 => choices.one_of(&[0, 7, 8, 19, 20, u16::MAX]),
        _ => u16::try_from(choices.below(u32::from(octets) + 8)).unwrap_or_default(),
    };
    stated.to_be_bytes()
}

/// The offset of a fragment in units of 8 octets.
pub(super) fn fragment_offset(choices: &mut Choices) -> u16 {
    choices.one_of(&[0, 0, 1, 185, 2, 0x1fff])
}

/// The frame, mostly whole.
pub(super) fn damaged(choices: &mut Choices, mut frame: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    match choices.below(20) {
        0..=15 => {}
        16 => frame.truncate(choices.below(length) as usize),
        17 => frame.extend(vec![0; choices.between(1, 18) as usize]),
        _ => {
            let at = choices.below(length) as usize;
            frame[at] = choices.octet();
        }
    }
    frame
}

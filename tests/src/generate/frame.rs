//! Frames: link layer, IP and what it carries.

use std::net::IpAddr;

use super::{
    Choices,
    aim::{Aim, Shot},
    damage, extensions, transport,
};

/// A frame aimed at a policy.
pub fn frame(choices: &mut Choices, aim: &Aim<'_>) -> Vec<u8> {
    let (ethertype, payload) = if choices.chance(4) { not_ip(choices) } else { packet(choices, aim) };
    let header = link(choices, ethertype);
    damage::damaged(choices, [header, payload].concat())
}

fn not_ip(choices: &mut Choices) -> (u16, Vec<u8>) {
    let kinds = [0x0806, 0x88cc, 0x8809, 0x888e, 0x88f7, 0x8864, 0x8847, 38, 0x05ff, 0x0600, 0, 0x8035, 0x86dc, 0x0801];
    (choices.one_of(&kinds), vec![0x42; choices.one_of(&[46, 0, 4])])
}

fn packet(choices: &mut Choices, aim: &Aim<'_>) -> (u16, Vec<u8>) {
    let shot = aim.shot(choices);
    let segment = transport::segment(choices, &shot);
    let (ethertype, other, packet) = match (shot.source, shot.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (0x0800, 0x86dd, ipv4(choices, &shot, &[source.octets(), destination.octets()].concat(), &segment))
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            (0x86dd, 0x0800, ipv6(choices, &shot, &[source.octets(), destination.octets()].concat(), &segment))
        }
        (source, destination) => unreachable!("{source} and {destination} are of two families"),
    };
    (if choices.chance(1) { other } else { ethertype }, packet)
}

fn hop_limit(choices: &mut Choices) -> u8 {
    choices.one_of(&[255, 64, 1, 254, 0])
}

fn ipv4(choices: &mut Choices, shot: &Shot, addresses: &[u8], segment: &[u8]) -> Vec<u8> {
    let options = if choices.chance(15) { vec![1; choices.between(1, 10) as usize * 4] } else { Vec::new() };
    let words = 5 + options.len() / 4;
    let words = if choices.chance(2) { choices.below(16) } else { u32::try_from(words).unwrap_or_default() };
    let version = if choices.chance(1) { choices.below(16) } else { 4 };
    let [total_high, total_low] = damage::length(choices, 20 + options.len() + segment.len());
    let [field_high, field_low] = fragment_field(choices).to_be_bytes();
    let first = u8::try_from(version << 4 | words).unwrap_or_default();
    let header =
        [first, 0, total_high, total_low, 0, 1, field_high, field_low, hop_limit(choices), shot.protocol, 0, 0];
    [header.as_slice(), addresses, &options, segment].concat()
}

/// Flags and offset: mostly no fragment.
fn fragment_field(choices: &mut Choices) -> u16 {
    match choices.below(8) {
        0..=5 => choices.one_of(&[0, 0x4000, 0x8000]),
        6 => damage::fragment_offset(choices) | 0x2000,
        _ => damage::fragment_offset(choices),
    }
}

fn ipv6(choices: &mut Choices, shot: &Shot, addresses: &[u8], segment: &[u8]) -> Vec<u8> {
    let (next_header, chain) = extensions::chain(choices, shot.protocol);
    let version = if choices.chance(1) { choices.below(16) } else { 6 };
    let [length_high, length_low] = damage::length(choices, chain.len() + segment.len());
    let first = u8::try_from(version << 4).unwrap_or_default();
    let header = [first, 0, 0, 0, length_high, length_low, next_header, hop_limit(choices)];
    [header.as_slice(), addresses, &chain, segment].concat()
}

fn link(choices: &mut Choices, ethertype: u16) -> Vec<u8> {
    let destinations = [[2, 0, 0, 0, 0, 2], [0x01, 0x80, 0xc2, 0, 0, 0], [0xff; 6], [0x01, 0x80, 0xc3, 0, 0, 0]];
    let mut header = choices.one_of(&destinations).to_vec();
    header.extend([2, 0, 0, 0, 0, 1]);
    let tags = if choices.chance(10) { choices.one_of(&[1, 1, 2, 2, 3]) } else { 0 };
    for _ in 0..tags {
        header.extend(choices.one_of(&[0x8100u16, 0x88a8, 0x9100]).to_be_bytes());
        header.extend(choices.one_of(&[[0, 7], [0xa0, 0]]));
    }
    header.extend(ethertype.to_be_bytes());
    header
}

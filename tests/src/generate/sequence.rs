//! Packets that have to do with each other: fragments of one datagram, what the host sends and its answers, bursts.

use std::net::SocketAddr;

use filter_common::packet::tcp_flags::{ACK, SYN};

use super::{
    Choices,
    aim::{Aim, Shot},
    frame,
};
use crate::packets::{ETHERNET, cut, echo, in_fragments, tcp, udp_with};

/// Something that the filter sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A frame arrives.
    Arrives(Vec<u8>),
    /// The host sends a frame.
    Sends(Vec<u8>),
}

/// Events aimed at a policy, in a few groups that belong together.
pub fn sequence(choices: &mut Choices, aim: &Aim<'_>) -> Vec<Event> {
    let groups = choices.many(1, 60, |choices| group(choices, aim));
    groups.concat()
}

fn group(choices: &mut Choices, aim: &Aim<'_>) -> Vec<Event> {
    let shot = aim.shot(choices);
    match choices.below(8) {
        0 => vec![Event::Arrives(frame(choices, aim))],
        1..=3 => fragments(choices, &shot),
        4 | 5 => answer(choices, &shot),
        _ => {
            let frame = plain(choices, &shot, false);
            vec![Event::Arrives(frame); choices.between(1, 5) as usize]
        }
    }
}

/// A datagram in two fragments, in either order, with one of them once more or cut short now and then.
fn fragments(choices: &mut Choices, shot: &Shot) -> Vec<Event> {
    let whole = udp_with(&socket(shot, true), &socket(shot, false), &[choices.one_of(&[b'x', 0x80]); 56]);
    let at = choices.one_of(&[32, 8, 16]);
    // Few identifications, so that datagrams meet.
    let identification = choices.one_of(&[1, 2, 3]);
    let [first, later] = in_fragments(&whole, at, identification);
    let other = in_fragments(&whole, choices.one_of(&[32, 8, 16, 24]), identification);
    let mut pieces = vec![first, later];
    if choices.chance(30) {
        pieces.swap(0, 1);
    }
    if choices.chance(30) {
        pieces.extend(other);
    }
    if choices.chance(5) {
        let shorter = pieces[0].len().saturating_sub(choices.below(40) as usize).max(ETHERNET);
        pieces[0] = cut(pieces[0].clone(), shorter);
    }
    pieces.into_iter().map(Event::Arrives).collect()
}

/// What the host sends, and what may be its answer.
fn answer(choices: &mut Choices, shot: &Shot) -> Vec<Event> {
    let sent = plain(choices, &reversed(shot), true);
    let answers = choices.many(1, 2, |choices| {
        let mut shot = Shot { ..*shot };
        match choices.below(8) {
            0 => shot.source_port = shot.source_port.wrapping_add(1),
            1 => shot.destination_port ^= 1,
            2 => shot.protocol = choices.one_of(&[6, 17]),
            _ => {}
        }
        Event::Arrives(plain(choices, &shot, false))
    });
    let mut events = vec![Event::Sends(sent)];
    events.extend(answers);
    if choices.chance(10) {
        events.swap(0, 1);
    }
    events
}

const fn reversed(shot: &Shot) -> Shot {
    let Shot { source, destination, protocol, source_port, destination_port } = *shot;
    Shot {
        source: destination,
        destination: source,
        protocol,
        source_port: destination_port,
        destination_port: source_port,
    }
}

/// A sound packet; what is neither TCP nor UDP is an echo: a request where it is sent, else either.
fn plain(choices: &mut Choices, shot: &Shot, sent: bool) -> Vec<u8> {
    let (from, to) = (socket(shot, true), socket(shot, false));
    match shot.protocol {
        17 => udp_with(&from, &to, &vec![choices.one_of(&[b'x', 0x80, b' ']); choices.one_of(&[4, 0, 20])]),
        6 => tcp(&from, &to, choices.one_of(&[SYN, ACK, SYN | ACK])),
        _ => {
            let [request, reply, error] = if shot.source.is_ipv6() { [128, 129, 1] } else { [8, 0, 3] };
            let kind = if sent { request } else { choices.one_of(&[reply, request, error]) };
            let (from, to) = (shot.source.to_string(), shot.destination.to_string());
            let identifier = choices.one_of(&[1, 2]);
            echo(&from, &to, kind, identifier)
        }
    }
}

fn socket(shot: &Shot, source: bool) -> String {
    let (address, port) =
        if source { (shot.source, shot.source_port) } else { (shot.destination, shot.destination_port) };
    SocketAddr::from((address, port)).to_string()
}

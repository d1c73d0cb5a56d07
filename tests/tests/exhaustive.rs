//! The three judges on every cut of every combination of headers, and on every value of every octet of some.

#![expect(clippy::expect_used, clippy::panic, reason = "tests panic")]

use filter_common::packet::tcp_flags::SYN;
use filter_user::kernel::Sandbox;
use tests::{
    contest::Contest,
    judge::fixture,
    packets::{cut, fragment, icmp, ipv4_options, ipv6_extension, patch, raw, tagged, tcp, udp},
};

/// A listed source and the SBC, in either family.
const ENDS: [[&str; 2]; 2] = [["203.0.113.17", "198.51.100.10"], ["2001:db8:1:5::1", "2001:db8:ffff::10"]];

fn check(frames: impl IntoIterator<Item = Vec<u8>>) {
    let contest = Contest::new(&fixture(&[]).expect("the fixture is a policy")).expect("the fixture compiles");
    let mut kernel = Sandbox::new().expect("the program loads (this needs root)");
    contest.publish(&mut kernel);
    for frame in frames {
        if let Err(dissent) = contest.agreed(&frame, Some(&mut kernel)) {
            panic!("{dissent}, on {frame:02x?}");
        }
    }
}

fn with_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// Every transport in both families, listed where a rule is for it.
fn transports() -> Vec<Vec<u8>> {
    let of_family = |[from, to]: [&str; 2]| {
        let (source, destination) = (with_port(from, 5060), with_port(to, 5060));
        let echo = if from.contains(':') { 128 } else { 8 };
        [
            udp(&source, &destination),
            tcp(&source, &destination, SYN),
            icmp(from, to, echo, 64),
            raw(from, to, 47, 64, &[0; 8]),
        ]
    };
    ENDS.into_iter().flat_map(of_family).collect()
}

/// The frame with everything between the IP header's fixed part and the transport header.
fn with_options(frame: &[u8]) -> Vec<Vec<u8>> {
    let frame = || frame.to_vec();
    if frame()[14] >> 4 == 4 {
        return vec![frame(), ipv4_options(frame(), 1), ipv4_options(frame(), 10)];
    }
    // The second octet is the length, in units of 8 octets less 1, and of 4 octets less 2.
    let (mut options, mut authentication) = ([0; 16], [0; 24]);
    (options[1], authentication[1]) = (1, 4);
    vec![
        frame(),
        ipv6_extension(frame(), 0, [0; 8]),
        ipv6_extension(frame(), 60, options),
        ipv6_extension(frame(), 51, authentication),
        ipv6_extension(ipv6_extension(frame(), 43, [0; 8]), 0, [0; 8]),
    ]
}

fn fragments(frame: &[u8]) -> [Vec<u8>; 4] {
    let frame = || frame.to_vec();
    [frame(), fragment(frame(), 0, true), fragment(frame(), 8, true), fragment(frame(), 1480, false)]
}

/// Every combination of headers.
fn combinations() -> impl Iterator<Item = Vec<u8>> {
    let packets = transports().into_iter().flat_map(|frame| with_options(&frame));
    let packets = packets.flat_map(|frame| fragments(&frame));
    packets.flat_map(|frame| (0..=3).map(move |tags| tagged(frame.clone(), &[0x88a8, 0x8100, 0x8100][..tags])))
}

#[test]
fn frames_cut_at_any_octet_have_one_verdict() {
    check(combinations().flat_map(|frame| (0..=frame.len()).map(move |length| cut(frame.clone(), length))));
}

#[test]
fn frames_with_any_value_in_any_octet_have_one_verdict() {
    let frames = transports().into_iter().flat_map(|frame| [with_options(&frame).swap_remove(1), frame]);
    let changed = |frame: Vec<u8>| {
        let octets = frame.len().min(80);
        (0..octets).flat_map(move |at| {
            let frame = frame.clone();
            (0..=u8::MAX).map(move |value| patch(frame.clone(), at, &[value]))
        })
    };
    check(frames.flat_map(changed));
}

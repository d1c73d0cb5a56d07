//! Captures in all their forms, as the reader sees them.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::io::{Cursor, Read};

use filter_user::replay::{Capture, CaptureError};
use tests::captures::{
    ByteOrder::{Big, Little},
    ETHERNET, MICROSECONDS, NANOSECONDS, Pcap, Pcapng,
};

/// A frame's captured octets and the length that it had.
type Seen = (Vec<u8>, usize);

/// A source that gives at most 7 octets at a time, as a slow pipe might.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(7);
        self.0.read(&mut buffer[..most])
    }
}

fn read_from(source: impl Read + Send + 'static) -> Result<Vec<Seen>, CaptureError> {
    let mut capture = Capture::new(source, None)?;
    let mut seen = Vec::new();
    while let Some(frame) = capture.next_frame()? {
        seen.push((frame.octets().to_vec(), frame.length()));
    }
    Ok(seen)
}

fn check(capture: &[u8], expected: &[Seen]) {
    assert_eq!(read_from(Cursor::new(capture.to_vec())).expect("a sound capture"), expected);
    assert_eq!(read_from(Slow(Cursor::new(capture.to_vec()))).expect("a sound capture"), expected, "slowly");
}

fn check_refused(capture: &[u8], expected: &str) {
    let error = read_from(Cursor::new(capture.to_vec())).expect_err(expected);
    assert_eq!(error.to_string().lines().next(), Some(expected));
}

/// A frame of this many octets, none like its neighbours.
fn frame(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn whole(length: usize) -> Seen {
    (frame(length), length)
}

#[test]
fn pcap_is_read_in_every_byte_order_and_resolution() {
    for order in [Little, Big] {
        for magic in [MICROSECONDS, NANOSECONDS] {
            let capture =
                Pcap::of(order, magic, ETHERNET.into()).frame(&frame(60)).cut(&frame(90), 33).frame(&frame(1));
            check(&capture.octets(), &[whole(60), (frame(33), 90), whole(1)]);
        }
    }
}

#[test]
fn pcapng_is_read_in_every_byte_order() {
    for order in [Little, Big] {
        let capture = Pcapng::of(order).interface(ETHERNET, 0, &[]).interface(ETHERNET, 64, &[]);
        let capture = capture.frame(0, &frame(61)).cut(1, &frame(90), 64).frame(1, &frame(14));
        check(&capture.octets(), &[whole(61), (frame(64), 90), whole(14)]);
    }
}

#[test]
fn records_of_pcapng_without_a_frame_are_passed_over() {
    for order in [Little, Big] {
        let capture = Pcapng::of(order).interface(ETHERNET, 0, &[]).block(5, &[0; 12]);
        let capture = capture.block(0x7777_7777, b"something new").frame(0, &frame(60)).block(4, &[0; 4]);
        check(&capture.octets(), &[whole(60)]);
    }
}

#[test]
fn sections_of_pcapng_have_interfaces_and_a_byte_order_of_their_own() {
    let capture = Pcapng::of(Little).interface(ETHERNET, 0, &[]).frame(0, &frame(60));
    let capture = capture.section(Big).interface(ETHERNET, 0, &[]).frame(0, &frame(61));
    check(&capture.octets(), &[whole(60), whole(61)]);
    let without = Pcapng::of(Little).interface(ETHERNET, 0, &[]).section(Little).frame(0, &frame(60)).octets();
    check_refused(&without, "is broken in the record at octet 76: it names an interface that is not described");
}

#[test]
fn a_simple_record_has_as_much_as_its_interface_keeps() {
    let capture = |snapshot| Pcapng::of(Little).interface(ETHERNET, snapshot, &[]);
    check(&capture(0).simple(&frame(61), 61).octets(), &[whole(61)]);
    check(&capture(64).simple(&frame(61), 61).octets(), &[whole(61)]);
    // Three octets of padding follow.
    check(&capture(33).simple(&frame(61), 33).octets(), &[(frame(33), 61)]);
}

#[test]
fn a_frame_check_sequence_is_not_of_the_frame() {
    let pcap = Pcap::of(Little, MICROSECONDS, 0x2400_0001).frame(&frame(64)).cut(&frame(64), 62).cut(&frame(64), 50);
    let expected = [(frame(60), 60), (frame(60), 60), (frame(50), 60)];
    check(&pcap.octets(), &expected);
    let option = [13, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    let pcapng = Pcapng::of(Little).interface(ETHERNET, 0, &option);
    check(&pcapng.frame(0, &frame(64)).cut(0, &frame(64), 62).cut(0, &frame(64), 50).octets(), &expected);
}

#[test]
fn a_capture_without_frames_is_one() {
    check(&Pcap::new().octets(), &[]);
    check(&Pcapng::of(Big).octets(), &[]);
}

#[test]
fn frames_and_records_can_be_longer_than_what_is_read_at_once() {
    let long = frame(3 << 20);
    let seen = [whole(60), (long.clone(), long.len()), whole(60)];
    check(&Pcap::new().frame(&frame(60)).frame(&long).frame(&frame(60)).octets(), &seen);
    let capture = Pcapng::of(Little).interface(ETHERNET, 0, &[]).frame(0, &frame(60));
    check(&capture.frame(0, &long).frame(0, &frame(60)).octets(), &seen);
}

#[test]
fn what_is_no_capture_is_refused() {
    check_refused(&[], "is empty");
    check_refused(b"#!/bin/sh\necho this is no capture\n", "is neither pcap nor pcapng");
    check_refused(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "is neither pcap nor pcapng");
    check_refused(&[0xd4], "ends in the middle of the record at octet 0");
    check_refused(&Pcap::new().octets()[..23], "ends in the middle of the record at octet 0");
}

#[test]
fn a_capture_that_ends_within_a_record_is_refused() {
    let pcap = Pcap::new().frame(&frame(60)).frame(&frame(60)).octets();
    for cut in [1, 59, 60, 75] {
        check_refused(&pcap[..pcap.len() - cut], "ends in the middle of the record at octet 100");
    }
    let pcapng = Pcapng::of(Little).interface(ETHERNET, 0, &[]).frame(0, &frame(60)).octets();
    for cut in [1, 60, 91] {
        check_refused(&pcapng[..pcapng.len() - cut], "ends in the middle of the record at octet 48");
    }
}

#[test]
fn a_record_that_contradicts_itself_is_refused() {
    let too_long = Pcap::new().octets();
    let more_than_there_was = [too_long.as_slice(), &[0; 8], &[60, 0, 0, 0, 59, 0, 0, 0], &frame(60)].concat();
    check_refused(&more_than_there_was, "is broken in the record at octet 24: it has more octets than the frame had");
    let giant = [too_long.as_slice(), &[0; 8], &[0xff; 8], &vec![0; 40 << 20]].concat();
    check_refused(&giant, "is broken in the record at octet 24: it is too long to be one");
    let mut lengths = Pcapng::of(Little).interface(ETHERNET, 0, &[]).frame(0, &frame(60)).octets();
    let last = lengths.len() - 4;
    lengths[last] += 4;
    check_refused(&lengths, "is broken in the record at octet 48: its length or its contents contradict the format");
}

#[test]
fn other_links_than_ethernet_are_refused_by_name() {
    let any = "has frames of Linux's `any` interface (link type 276), and only those of Ethernet can be judged";
    check_refused(&Pcap::of(Little, MICROSECONDS, 276).octets(), any);
    let capture = Pcapng::of(Little).interface(ETHERNET, 0, &[]).interface(276, 0, &[]);
    check(&capture.clone().frame(0, &frame(60)).octets(), &[whole(60)]);
    check_refused(&capture.frame(1, &frame(60)).octets(), any);
    let other = "has frames of link type 147, and only those of Ethernet can be judged";
    check_refused(&Pcap::of(Big, NANOSECONDS, 147).octets(), other);
}

#[test]
fn packets_in_pcapng_s_obsolete_form_are_not_passed_over() {
    let capture = Pcapng::of(Little).interface(ETHERNET, 0, &[]).block(2, &[0; 84]).octets();
    check_refused(&capture, "has a packet in an obsolete form at octet 48 (pcapng Packet Block)");
}

//! Frames for tests: well-formed ones, and the ways in which they are bent.
//!
//! Well-formed frames come from `etherparse`, which shares no code with the parser under test.

mod bend;

use std::net::{IpAddr, SocketAddr};

pub use bend::{cut, fragment, in_fragments, ipv4_options, ipv6_extension, ipv6_fragment, patch, tagged};
use etherparse::{IpHeaders, IpNumber, PacketBuilder, PacketBuilderStep, TcpHeader};

/// The Ethernet header's length in octets.
pub const ETHERNET: usize = 14;
const SOURCE_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const DESTINATION_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const PAYLOAD: &[u8] = b"payload of a test";

/// A UDP datagram, `udp("192.0.2.1:5060", "198.51.100.10:5060")`.
pub fn udp(from: &str, to: &str) -> Vec<u8> {
    udp_with(from, to, PAYLOAD)
}

/// A UDP datagram with this payload.
pub fn udp_with(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let (from, to) = (socket(from), socket(to));
    let builder = ip(from.ip(), to.ip(), 64).udp(from.port(), to.port());
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).expect("a vector takes every write");
    frame
}

/// A TCP segment with these flags, of `filter_common::packet::tcp_flags`.
pub fn tcp(from: &str, to: &str, flags: u8) -> Vec<u8> {
    let (from, to) = (socket(from), socket(to));
    let builder = ip(from.ip(), to.ip(), 64).tcp_header(TcpHeader::new(from.port(), to.port(), 1, 65535));
    let mut frame = Vec::new();
    builder.write(&mut frame, PAYLOAD).expect("a vector takes every write");
    let flags_at = frame.len() - PAYLOAD.len() - 7;
    patch(frame, flags_at, &[flags])
}

/// An ICMP message of this type, ICMPv6 where the addresses are IPv6.
pub fn icmp(from: &str, to: &str, kind: u8, hop_limit: u8) -> Vec<u8> {
    let protocol = if address(from).is_ipv4() { 1 } else { 58 };
    let mut message = [0; 32];
    message[0] = kind;
    raw(from, to, protocol, hop_limit, &message)
}

/// An echo request or reply of this type and identifier.
pub fn echo(from: &str, to: &str, kind: u8, identifier: u8) -> Vec<u8> {
    let frame = icmp(from, to, kind, 64);
    let identifier_at = frame.len() - 32 + 5;
    patch(frame, identifier_at, &[identifier])
}

/// An IP packet of any protocol.
pub fn raw(from: &str, to: &str, protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = ip(address(from), address(to), hop_limit);
    builder.write(&mut frame, IpNumber(protocol), payload).expect("a vector takes every write");
    frame
}

/// A frame that is not IP.
pub fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [destination.as_slice(), &SOURCE_MAC, &ethertype.to_be_bytes(), payload].concat()
}

fn ip(from: IpAddr, to: IpAddr, hop_limit: u8) -> PacketBuilderStep<IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(SOURCE_MAC, DESTINATION_MAC);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), hop_limit),
        (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), hop_limit),
        _ => panic!("{from} and {to} are of two families"),
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no ADDRESS:PORT"))
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no address"))
}

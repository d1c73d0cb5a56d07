//! As much of STUN (RFC 8489) and TURN (RFC 8656) as the demo's relay speaks, over IPv4.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

const COOKIE: u32 = 0x2112_A442;
const HEADER: usize = 20;
const SUCCESS: u16 = 0x0100;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;

/// A request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub(super) enum Method {
    /// "What is my address?"
    Binding = 0x0001,
    /// "Give me a port on the relay."
    Allocate = 0x0003,
}

/// A request with this transaction number.
pub(super) fn request(method: Method, transaction: u8) -> Vec<u8> {
    message(method as u16, &[transaction; 12], &[])
}

/// The relay's answer to a request that came from `peer`; none to anything else.
pub(super) fn answer(request: &[u8], peer: SocketAddr, relayed: SocketAddrV4) -> Option<Vec<u8>> {
    let SocketAddr::V4(peer) = peer else { return None };
    let transaction = request.get(8..HEADER)?;
    let mapped = attribute(XOR_MAPPED_ADDRESS, peer);
    match u16::from_be_bytes(request.get(..2)?.try_into().ok()?) {
        method if method == Method::Binding as u16 => Some(message(method | SUCCESS, transaction, &mapped)),
        method if method == Method::Allocate as u16 => {
            let relayed = attribute(XOR_RELAYED_ADDRESS, relayed);
            Some(message(method | SUCCESS, transaction, &[relayed, mapped].concat()))
        }
        _ => None,
    }
}

/// The client's own address, as an answer to the request states it.
pub(super) fn mapped_address(request: &[u8], answer: &[u8]) -> Option<SocketAddr> {
    let same_transaction = answer.get(4..HEADER)? == request.get(4..HEADER)?;
    let success = u16::from_be_bytes(answer.get(..2)?.try_into().ok()?) & SUCCESS != 0;
    let attributes = answer.get(HEADER..)?.chunks_exact(12);
    let mut mapped = attributes.filter(|attribute| attribute.starts_with(&XOR_MAPPED_ADDRESS.to_be_bytes()));
    let attribute = mapped.next().filter(|_| same_transaction && success)?;
    let port = u16::from_be_bytes([attribute[6], attribute[7]]) ^ port_mask();
    let address = u32::from_be_bytes(attribute[8..12].try_into().ok()?) ^ COOKIE;
    Some(SocketAddr::new(IpAddr::from(Ipv4Addr::from(address)), port))
}

fn message(kind: u16, transaction: &[u8], attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap_or(u16::MAX);
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), &COOKIE.to_be_bytes(), transaction, attributes].concat()
}

/// An address attribute, which has 12 octets for IPv4.
fn attribute(kind: u16, address: SocketAddrV4) -> Vec<u8> {
    let port = address.port() ^ port_mask();
    let octets = u32::from(*address.ip()) ^ COOKIE;
    [&kind.to_be_bytes()[..], &[0, 8, 0, 1], &port.to_be_bytes(), &octets.to_be_bytes()].concat()
}

/// Ports are masked with the cookie's upper half.
const fn port_mask() -> u16 {
    (COOKIE >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "198.51.100.10:40000";

    fn check(method: Method) {
        let request = request(method, 7);
        let peer = PEER.parse().unwrap();
        let answer = answer(&request, peer, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 50_000)).unwrap();
        assert_eq!(mapped_address(&request, &answer), Some(peer), "{method:?}");
    }

    #[test]
    fn a_client_learns_its_address_from_the_relay() {
        check(Method::Binding);
        check(Method::Allocate);
    }

    #[test]
    fn a_mapped_address_is_masked_as_in_the_rfc_s_test_vector() {
        // RFC 5769, section 2.2: 192.0.2.1, port 32853.
        let attribute = attribute(XOR_MAPPED_ADDRESS, "192.0.2.1:32853".parse().unwrap());
        assert_eq!(attribute, [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    }

    #[test]
    fn an_answer_to_another_request_is_not_believed() {
        let (one, other) = (request(Method::Binding, 1), request(Method::Binding, 2));
        let answer = answer(&one, PEER.parse().unwrap(), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)).unwrap();
        assert_eq!(mapped_address(&other, &answer), None);
        assert_eq!(mapped_address(&one, &one), None);
    }
}

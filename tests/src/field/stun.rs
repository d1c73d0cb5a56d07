//! A STUN binding over any transport (RFC 8489): the client asks from where its request came.

use crate::ports::bound;
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, pki_types::pem::PemObject as _};

use super::{
    network::{Field, PATIENCE, RELAY, SBC},
    sbc::certificate,
};

/// What every message has after its type and length.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// The request: its type, no attributes, the cookie, and a transaction of twelve octets.
const REQUEST: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/// The type of the answer.
const SUCCESS: [u8; 2] = [1, 1];
/// The attribute that has the address.
const XOR_MAPPED_ADDRESS: u16 = 0x20;
/// Octets of a message's header, and of an attribute's.
const HEADER: usize = 20;
const ATTRIBUTE: usize = 4;

/// Asks over UDP, and returns from where the relay says that the request came, and from where it did.
pub(super) fn over_udp(field: &Field, port: u16) -> [SocketAddr; 2] {
    let socket = bound(field.host("sbc"), || UdpSocket::bind((SBC, 0)));
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send_to(&REQUEST, (RELAY, port)).expect("a datagram leaves");
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).expect("an answer");
    [mapped(&answer[..length]), socket.local_addr().expect("an address")]
}

/// The same over TCP.
pub(super) fn over_tcp(field: &Field, port: u16) -> [SocketAddr; 2] {
    let (mut stream, local) = connect(field, port);
    [ask(&mut stream), local]
}

/// The same over TLS.
pub(super) fn over_tls(field: &Field, port: u16) -> [SocketAddr; 2] {
    let (stream, local) = connect(field, port);
    let [certificate, _] = certificate(field);
    let certificate = rustls::pki_types::CertificateDer::from_pem_slice(&fs::read(certificate).expect("a file"));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.expect("a certificate")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("TLS").with_root_certificates(roots).with_no_client_auth();
    let name = RELAY.parse::<IpAddr>().expect("an address").into();
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    [ask(&mut StreamOwned::new(client, stream)), local]
}

fn connect(field: &Field, port: u16) -> (TcpStream, SocketAddr) {
    let connected = field.host("sbc").enter(|| TcpStream::connect((RELAY, port))).expect("a host");
    let stream = connected.unwrap_or_else(|error| panic!("the relay's port {port}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let local = stream.local_addr().expect("an address");
    (stream, local)
}

fn ask(stream: &mut (impl Read + Write)) -> SocketAddr {
    stream.write_all(&REQUEST).expect("a request leaves");
    let mut answer = vec![0; HEADER];
    stream.read_exact(&mut answer).expect("an answer");
    let length = usize::from(u16::from_be_bytes([answer[2], answer[3]]));
    answer.resize(HEADER + length, 0);
    stream.read_exact(&mut answer[HEADER..]).expect("its attributes");
    mapped(&answer)
}

/// The address in an answer.
fn mapped(answer: &[u8]) -> SocketAddr {
    assert_eq!((&answer[..2], &answer[4..HEADER]), (&SUCCESS[..], &REQUEST[4..]), "no answer to this: {answer:02x?}");
    let mut attributes = &answer[HEADER..];
    while let [kind_high, kind_low, length_high, length_low, rest @ ..] = attributes {
        let kind = u16::from_be_bytes([*kind_high, *kind_low]);
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        if let (XOR_MAPPED_ADDRESS, [_, 1, port_high, port_low, address @ ..]) = (kind, &rest[..length]) {
            let port = [port_high ^ COOKIE[0], port_low ^ COOKIE[1]];
            let address: [u8; 4] = std::array::from_fn(|octet| address[octet] ^ COOKIE[octet]);
            return SocketAddrV4::new(Ipv4Addr::from(address), u16::from_be_bytes(port)).into();
        }
        attributes = &attributes[ATTRIBUTE + length.next_multiple_of(4)..];
    }
    panic!("an answer without an address: {answer:02x?}");
}

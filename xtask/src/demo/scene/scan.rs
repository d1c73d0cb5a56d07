//! A scanner that tries every low port and the SIP ports, over IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type};
use lab::{Host, Lab};
use socket2::{Domain, Socket, Type};

use super::Scene;
use crate::demo::{
    flow::{ANY, Fate, Flow, Icmp, Protocol},
    network::{SBC, SBC_IPV6, SCANNER, SCANNER_IPV6},
    sockets::{knock, paced, spray, udp},
};

/// What scanners for SIP servers send.
const OPTIONS: &[u8] = b"OPTIONS sip:100@198.51.100.10 SIP/2.0\r\nUser-Agent: friendly-scanner\r\n\r\n";
const PINGS: u16 = 10;

pub(super) fn scene() -> Scene {
    let flow = |title, source: IpAddr, protocol, reason| Flow {
        title,
        source: source.into(),
        protocol,
        source_ports: ANY,
        ports: ANY,
        fate: Fate::Dropped(reason),
    };
    Scene {
        flows: vec![
            flow("scan of UDP ports", SCANNER, Protocol::Udp, "source_unlisted"),
            flow("scan of TCP ports", SCANNER, Protocol::Tcp, "source_unlisted"),
            flow("scan of UDP ports, IPv6", SCANNER_IPV6, Protocol::Udp, "source_unlisted"),
            flow("scan of TCP ports, IPv6", SCANNER_IPV6, Protocol::Tcp, "source_unlisted"),
            flow("ping", SCANNER, Protocol::Icmp(Icmp::EchoRequest), "echo_request"),
        ],
        play,
    }
}

fn play(lab: &Lab) -> Result<String> {
    let scanner = lab.host("scanner")?;
    for (from, to) in [(SCANNER, SBC), (SCANNER_IPV6, SBC_IPV6)] {
        let socket = udp(scanner, from, 0)?;
        spray(&socket, OPTIONS, to, ports())?;
        knock(scanner, (from, 0).into(), to, ports())?;
        ensure!(is_silent(&socket)?, "the scanner got an answer from {to}");
    }
    ping(scanner)?;
    Ok(format!("the scanner tried {} ports over UDP and TCP, IPv4 and IPv6, and got no answer", ports().count()))
}

/// All well-known ports, those of SIP, and some where media is expected.
fn ports() -> impl Iterator<Item = u16> {
    (1..=1024).chain(5060..=5090).chain(16_384..=16_484)
}

fn is_silent(socket: &UdpSocket) -> Result<bool> {
    socket.set_nonblocking(true)?;
    Ok(socket.recv(&mut [0; 16]).is_err())
}

fn ping(scanner: &Host) -> Result<()> {
    let socket = scanner.enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(socket2::Protocol::ICMPV4)))??;
    let to = SocketAddr::new(SBC, 0).into();
    paced(0..PINGS, |seq| {
        let header = Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq }), &[]);
        socket.send_to(&header.to_bytes(), &to)?;
        Ok(())
    })
}

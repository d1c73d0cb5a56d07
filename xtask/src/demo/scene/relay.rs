//! The SBC as the client of a provider's TURN relay: STUN over UDP and TCP, and media through it.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::Lab;

use super::Scene;
use crate::demo::{
    flow::{ANY, Fate, Flow, Protocol},
    network::SBC,
    sockets::{connect, listen, spray, udp},
    stun::{self, Method},
};

/// An address in a published range of TURN relays, 54.172.60.0 - 54.172.61.255.
const RELAY: Ipv4Addr = Ipv4Addr::new(54, 172, 60, 10);
const PORT: u16 = 3478;

/// The relay's port for the SBC, and the SBC's for the media that comes from there.
const RELAYED_PORT: u16 = 50_000;
const MEDIA_PORT: u16 = 17_000;

const REQUESTS: [Method; 3] = [Method::Binding, Method::Allocate, Method::Binding];
const MEDIA_PACKETS: usize = 50;

pub(super) fn scene() -> Scene {
    let flow = |title, protocol, source_port: u16, ports| Flow {
        title,
        source: IpAddr::from(RELAY).into(),
        protocol,
        source_ports: source_port..=source_port,
        ports,
        fate: Fate::Listed("kore/turn"),
    };
    Scene {
        flows: vec![
            flow("STUN and TURN answers, UDP 3478", Protocol::Udp, PORT, ANY),
            flow("STUN and TURN answers, TCP 3478", Protocol::Tcp, PORT, 32_768..=u16::MAX),
            flow("media through the relay", Protocol::Udp, RELAYED_PORT, MEDIA_PORT..=MEDIA_PORT),
        ],
        play,
    }
}

fn play(lab: &Lab) -> Result<String> {
    over_udp(lab).context("STUN over UDP")?;
    over_tcp(lab).context("STUN over TCP")?;
    let (sbc, kore) = (lab.host("sbc")?, lab.host("kore")?);
    let receiver = udp(sbc, SBC, MEDIA_PORT)?;
    let relay = udp(kore, RELAY.into(), RELAYED_PORT)?;
    spray(&relay, &[0x80; 172], SBC, [MEDIA_PORT; MEDIA_PACKETS])?;
    let mut buffer = [0; 256];
    for number in 0..MEDIA_PACKETS {
        receiver.recv(&mut buffer).with_context(|| format!("relayed packet {number} does not arrive"))?;
    }
    Ok(format!("the relay told the SBC its address over UDP and TCP, and relayed {MEDIA_PACKETS} packets"))
}

fn over_udp(lab: &Lab) -> Result<()> {
    let relay = udp(lab.host("kore")?, RELAY.into(), PORT)?;
    let client = udp(lab.host("sbc")?, SBC, 0)?;
    let local = client.local_addr()?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve_udp(&relay));
        for (method, number) in REQUESTS.into_iter().zip(1..) {
            let request = stun::request(method, number);
            client.send_to(&request, (RELAY, PORT))?;
            let mut answer = [0; 128];
            let length = client.recv(&mut answer)?;
            ensure!(stun::mapped_address(&request, &answer[..length]) == Some(local), "a wrong answer came");
        }
        serving.join().map_err(|_| anyhow!("the relay panicked"))?
    })
}

fn serve_udp(relay: &UdpSocket) -> Result<()> {
    let mut request = [0; 128];
    for _ in REQUESTS {
        let (length, peer) = relay.recv_from(&mut request)?;
        let answer = stun::answer(&request[..length], peer, relayed()).context("no STUN request came")?;
        relay.send_to(&answer, peer)?;
    }
    Ok(())
}

fn over_tcp(lab: &Lab) -> Result<()> {
    let listener = listen(lab.host("kore")?, RELAY.into(), PORT)?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve_tcp(&listener));
        let mut client = connect(lab.host("sbc")?, SBC, (RELAY, PORT).into())?;
        let local = client.local_addr()?;
        for (method, number) in REQUESTS.into_iter().zip(1..) {
            let request = stun::request(method, number);
            client.write_all(&request)?;
            let mut answer = [0; 128];
            let length = client.read(&mut answer)?;
            ensure!(stun::mapped_address(&request, &answer[..length]) == Some(local), "a wrong answer came");
        }
        drop(client);
        serving.join().map_err(|_| anyhow!("the relay panicked"))?
    })
}

fn serve_tcp(listener: &TcpListener) -> Result<()> {
    let (mut stream, peer) = listener.accept()?;
    let mut request = [0; 128];
    loop {
        match stream.read(&mut request)? {
            0 => return Ok(()),
            length => {
                let answer = stun::answer(&request[..length], peer, relayed()).context("no STUN request came")?;
                stream.write_all(&answer)?;
            }
        }
    }
}

fn relayed() -> SocketAddrV4 {
    SocketAddrV4::new(RELAY, RELAYED_PORT)
}

//! Sockets of the lab's hosts.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::Host;
use socket2::{Domain, Protocol, Socket, Type};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How many packets are sent without a pause: a veth queues 256 for its XDP program.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(2);

/// A UDP socket of the host at one of its addresses; port 0 is any.
pub(super) fn udp(host: &Host, address: IpAddr, port: u16) -> Result<UdpSocket> {
    let local = SocketAddr::new(address, port);
    let socket = host.enter(|| UdpSocket::bind(local))?;
    let socket = socket.with_context(|| format!("cannot bind {local} on `{}`", host.name()))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// A TCP socket of the host that listens.
pub(super) fn listen(host: &Host, address: IpAddr, port: u16) -> Result<TcpListener> {
    let local = SocketAddr::new(address, port);
    let listener = host.enter(|| TcpListener::bind(local))?;
    listener.with_context(|| format!("cannot listen at {local} on `{}`", host.name()))
}

/// A connection of the host, from one of its addresses.
pub(super) fn connect(host: &Host, from: IpAddr, to: SocketAddr) -> Result<TcpStream> {
    let socket = tcp(host, SocketAddr::new(from, 0))?;
    let connected = socket.connect_timeout(&to.into(), PATIENCE);
    connected.with_context(|| format!("no connection from {from} to {to}"))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Sends one opening segment from `from` to each of the ports, and does not wait for answers.
pub(super) fn knock(host: &Host, from: SocketAddr, to: IpAddr, ports: impl IntoIterator<Item = u16>) -> Result<()> {
    paced(ports, |port| {
        let socket = tcp(host, from)?;
        socket.set_nonblocking(true)?;
        // It is under way: a socket that is closed meanwhile sends nothing more.
        let _ = socket.connect(&SocketAddr::new(to, port).into());
        Ok(())
    })
}

/// Sends a datagram to each of the ports.
pub(super) fn spray(
    socket: &UdpSocket,
    payload: &[u8],
    to: IpAddr,
    ports: impl IntoIterator<Item = u16>,
) -> Result<()> {
    paced(ports, |port| {
        socket.send_to(payload, (to, port))?;
        Ok(())
    })
}

/// Does something with each item, with pauses that keep queues short.
pub(super) fn paced<T>(items: impl IntoIterator<Item = T>, mut action: impl FnMut(T) -> Result<()>) -> Result<()> {
    for (number, item) in items.into_iter().enumerate() {
        if number % BURST == BURST - 1 {
            std::thread::sleep(PAUSE);
        }
        action(item)?;
    }
    Ok(())
}

fn tcp(host: &Host, from: SocketAddr) -> Result<Socket> {
    let make = || Socket::new(Domain::for_address(from), Type::STREAM, Some(Protocol::TCP));
    let socket = host.enter(make)??;
    socket.set_reuse_address(true)?;
    socket.bind(&from.into()).with_context(|| format!("cannot bind {from} on `{}`", host.name()))?;
    Ok(socket)
}

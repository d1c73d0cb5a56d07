//! The TCP sockets of this network namespace, as the kernel tells them by `sock_diag` (`net/ipv4/inet_diag.c`).
//!
//! What `/proc/net/tcp` says takes twenty times as long: it goes by the size of the kernel's table, which goes by that of the
//! memory. It is read where the kernel has no `tcp_diag`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, TCP_ESTABLISHED, TCP_LISTEN},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
};
use netlink_sys::{Socket, SocketAddr as NetlinkAddr, protocols::NETLINK_SOCK_DIAG};
use procfs::{ProcResult, net::TcpState};

/// A socket that listens, or has a peer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TcpSocket {
    pub(super) state: State,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) inode: u64,
}

/// What a socket is in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum State {
    Listening,
    Established,
}

/// All that listen or have a peer.
pub(super) fn tcp_sockets() -> Result<Vec<TcpSocket>> {
    told_by_netlink().or_else(|_| read_from_procfs())
}

fn told_by_netlink() -> Result<Vec<TcpSocket>> {
    let mut sockets = Vec::new();
    for (family, any) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        dump(family, any, &mut sockets)?;
    }
    Ok(sockets)
}

/// Adds all sockets of a family. `any`: the end of any socket.
fn dump(family: u8, any: SocketId, sockets: &mut Vec<TcpSocket>) -> Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).context("cannot open a netlink socket")?;
    socket.bind_auto()?;
    socket.connect(&NetlinkAddr::new(0, 0))?;
    let question = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::ESTABLISHED | StateFlags::LISTEN,
        socket_id: any,
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(question).into());
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    socket.send(&octets, 0)?;
    loop {
        let (answers, _) = socket.recv_from_full()?;
        if take(&answers, sockets)? {
            return Ok(());
        }
    }
}

/// Adds the sockets of some answers; says whether the last one is among them.
fn take(mut answers: &[u8], sockets: &mut Vec<TcpSocket>) -> Result<bool> {
    while !answers.is_empty() {
        let answer = NetlinkMessage::<SockDiagMessage>::deserialize(answers)?;
        match answer.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(told)) => sockets.extend(TcpSocket::told(&told)),
            NetlinkPayload::Done(_) => return Ok(true),
            other => bail!("the kernel answers with {other:?}"),
        }
        let length = usize::try_from(answer.header.length)?.next_multiple_of(4);
        answers = answers.get(length..).unwrap_or_default();
    }
    Ok(false)
}

impl TcpSocket {
    fn told(InetResponse { header, .. }: &InetResponse) -> Option<Self> {
        let SocketId { source_address, source_port, destination_address, destination_port, .. } = header.socket_id;
        let state = match header.state {
            TCP_LISTEN => State::Listening,
            TCP_ESTABLISHED => State::Established,
            _ => return None,
        };
        let local = SocketAddr::new(source_address, source_port);
        let remote = SocketAddr::new(destination_address, destination_port);
        Some(Self { state, local, remote, inode: header.inode.into() })
    }
}

fn read_from_procfs() -> Result<Vec<TcpSocket>> {
    let mut entries = procfs::net::tcp().context("cannot read `/proc/net/tcp`")?;
    entries.extend(without_ipv6(procfs::net::tcp6()).context("cannot read `/proc/net/tcp6`")?);
    let sockets = entries.into_iter().filter_map(|entry| {
        let state = match entry.state {
            TcpState::Listen => State::Listening,
            TcpState::Established => State::Established,
            _ => return None,
        };
        Some(TcpSocket { state, local: entry.local_address, remote: entry.remote_address, inode: entry.inode })
    });
    Ok(sockets.collect())
}

/// A kernel without IPv6 has no such table.
pub(super) fn without_ipv6<T>(table: ProcResult<Vec<T>>) -> ProcResult<Vec<T>> {
    match table {
        Err(procfs::ProcError::NotFound(_)) => Ok(Vec::new()),
        table => table,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn netlink_tells_what_is_in_procfs() {
        let listeners: Vec<_> = ["127.0.0.1:0", "[::1]:0", "[::]:0"].map(|to| TcpListener::bind(to).unwrap()).into();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let connected: Vec<_> = ["127.0.0.1", "::1", "127.0.0.1"]
            .into_iter()
            .zip(&ports)
            .map(|(to, port)| TcpStream::connect((to, *port)).unwrap())
            .collect();
        let ours = |sockets: Vec<TcpSocket>| {
            let of_us =
                |socket: &TcpSocket| ports.contains(&socket.local.port()) || ports.contains(&socket.remote.port());
            let mut ours: Vec<_> = sockets.into_iter().filter(of_us).collect();
            ours.sort_unstable();
            ours
        };
        let told = ours(told_by_netlink().unwrap());
        assert_eq!(told, ours(read_from_procfs().unwrap()));
        let count = |state| told.iter().filter(|socket| socket.state == state).count();
        assert_eq!((count(State::Listening), count(State::Established)), (listeners.len(), 2 * connected.len()));
        assert!(told.iter().all(|socket| socket.state == State::Established || socket.inode != 0), "{told:?}");
    }
}

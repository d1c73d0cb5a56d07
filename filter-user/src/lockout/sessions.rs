//! The sessions that must not be cut: the one that this command runs in, and those of SIP.

use std::{
    collections::{BTreeSet, HashSet},
    env, fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use procfs::{
    net::UdpState,
    process::{FDTarget, Process},
};

use super::tcp_sockets::{State, TcpSocket, tcp_sockets, without_ipv6};
use crate::policy::{PortSet, Protocol};

/// A session of this host with a peer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Session {
    /// What it is for.
    pub purpose: Purpose,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Whether the peer opened it.
    pub accepted: bool,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Somebody is logged in, and runs this command.
    Login,
    /// Signalling.
    Sip,
}

/// The sessions of this network namespace with peers that `concern` whoever asks.
pub(super) fn sessions(sip_ports: &PortSet, concern: impl Fn(IpAddr) -> bool) -> Result<BTreeSet<Session>> {
    let sockets = tcp_sockets()?;
    let (listening, mut established): (Vec<_>, Vec<_>) =
        sockets.into_iter().partition(|socket| socket.state == State::Listening);
    let listening: HashSet<u16> = listening.iter().map(|socket| socket.local.port()).collect();
    established.retain(|socket| concern(canonical(socket.remote).ip()));
    let tcp = |purpose, socket: &TcpSocket| Session {
        purpose,
        protocol: Protocol::TCP,
        local: canonical(socket.local),
        remote: canonical(socket.remote),
        accepted: listening.contains(&socket.local.port()),
    };
    let is_sip =
        |local: SocketAddr, remote: SocketAddr| sip_ports.contains(local.port()) || sip_ports.contains(remote.port());
    let mut sessions: BTreeSet<_> = established
        .iter()
        .filter(|socket| is_sip(socket.local, socket.remote))
        .map(|socket| tcp(Purpose::Sip, socket))
        .collect();
    let udp = udp_sessions()?.into_iter().filter(|session| is_sip(session.local, session.remote));
    sessions.extend(udp.filter(|session| concern(session.remote.ip())));
    if let Some(login) = env::var("SSH_CONNECTION").ok().and_then(|text| ssh_connection(&text)) {
        sessions.extend(Some(login).filter(|session| concern(session.remote.ip())));
    } else if !established.is_empty() {
        // `sudo` and `su -` take the variable away: then the connection is a socket of an ancestor, `sshd`.
        let inherited = ancestors_sockets();
        let of_ancestor = established.iter().filter(|socket| inherited.contains(&socket.inode));
        sessions.extend(of_ancestor.map(|socket| tcp(Purpose::Login, socket)));
    }
    Ok(sessions)
}

/// The UDP sockets that are connected: of others the kernel knows no peer.
fn udp_sessions() -> Result<Vec<Session>> {
    let mut sockets = procfs::net::udp().context("cannot read `/proc/net/udp`")?;
    sockets.extend(without_ipv6(procfs::net::udp6()).context("cannot read `/proc/net/udp6`")?);
    let connected = sockets.into_iter().filter(|socket| socket.state == UdpState::Established);
    Ok(connected
        .map(|socket| Session {
            purpose: Purpose::Sip,
            protocol: Protocol::UDP,
            local: canonical(socket.local_address),
            remote: canonical(socket.remote_address),
            accepted: false,
        })
        .collect())
}

/// A socket for both families shows IPv4 as mapped into IPv6.
fn canonical(socket: SocketAddr) -> SocketAddr {
    SocketAddr::new(socket.ip().to_canonical(), socket.port())
}

/// What `sshd` tells of its client: its address and port, then the host's.
fn ssh_connection(text: &str) -> Option<Session> {
    let mut words = text.split_whitespace();
    let mut socket = || {
        // A link-local address names its interface too.
        let address = words.next()?.split('%').next()?.parse().ok()?;
        Some(canonical(SocketAddr::new(address, words.next()?.parse().ok()?)))
    };
    let (remote, local) = (socket()?, socket()?);
    Some(Session { purpose: Purpose::Login, protocol: Protocol::TCP, local, remote, accepted: true })
}

/// The sockets that this process and those above it have open, as far as it may look.
fn ancestors_sockets() -> HashSet<u64> {
    let mut sockets = HashSet::new();
    let mut next = Process::myself().ok();
    while let Some(process) = next {
        let descriptors = process.fd().into_iter().flatten().filter_map(Result::ok);
        sockets.extend(descriptors.filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        }));
        let parent = process.stat().map_or(0, |stat| stat.ppid);
        next = if parent > 0 { Process::new(parent).ok() } else { None };
    }
    sockets
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login => "login session",
            Self::Sip => "SIP session",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_of_ssh_is_read() {
        let ends = |text| ssh_connection(text).map(|session| (session.remote.to_string(), session.local.to_string()));
        let pair = |remote: &str, local: &str| Some((remote.to_owned(), local.to_owned()));
        assert_eq!(ends("192.0.2.1 50000 198.51.100.10 22"), pair("192.0.2.1:50000", "198.51.100.10:22"));
        assert_eq!(ends("::ffff:192.0.2.1 5 ::ffff:198.51.100.10 22"), pair("192.0.2.1:5", "198.51.100.10:22"));
        assert_eq!(ends("fe80::1%eth0 5 fe80::2%eth0 22"), pair("[fe80::1]:5", "[fe80::2]:22"));
        assert_eq!(ends("192.0.2.1 50000"), None);
        assert_eq!(ends(""), None);
    }
}

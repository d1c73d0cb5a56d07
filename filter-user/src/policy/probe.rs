//! A packet that somebody asks about, made into a real frame.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, err::packet::BuildWriteError};
use filter_common::packet::{ip, tcp_flags};

/// A packet as it is asked about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// The IP protocol.
    pub protocol: Protocol,
    /// Where it comes from.
    pub source: Endpoint,
    /// Where it goes.
    pub destination: Endpoint,
    /// The flags of a TCP segment; a new connection's if nobody says.
    pub tcp_flags: Option<TcpFlags>,
}

/// An IP protocol. Text form: `udp`, `tcp`, `icmp`, `icmpv6` or a number from 0 to 255.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Protocol(u8);

impl Protocol {
    /// TCP.
    pub const TCP: Self = Self(ip::TCP);
    /// UDP.
    pub const UDP: Self = Self(ip::UDP);
}

/// An address, with a port where it has one. Text form: `192.0.2.1`, `192.0.2.1:5060`, `[2001:db8::1]:5060`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port, from 1.
    pub port: Option<u16>,
}

/// A set of [`tcp_flags`]. Text form: `syn,ack`; `none`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// A segment of an open connection.
    pub const ACK: Self = Self(tcp_flags::ACK);
    /// The segment that opens a connection.
    pub const SYN: Self = Self(tcp_flags::SYN);
}

/// Why there is no such packet.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProbeError {
    /// Not a protocol.
    #[error("`{0}` is not a protocol: `udp`, `tcp`, `icmp`, `icmpv6` or a number up to 255")]
    Protocol(String),
    /// Not an endpoint.
    #[error("`{0}` is not an address with or without a port: `192.0.2.1`, `192.0.2.1:5060`, `[2001:db8::1]:5060`")]
    Endpoint(String),
    /// Not a TCP flag.
    #[error("`{0}` is not a TCP flag: `fin`, `syn`, `rst`, `psh`, `ack`, `urg`, or `none` alone")]
    TcpFlag(String),
    /// Flags of something that is not TCP.
    #[error("only TCP has flags")]
    FlagsWithoutTcp,
    /// One address of each family.
    #[error("{0} and {1} are not of one family")]
    MixedFamilies(IpAddr, IpAddr),
    /// A port of something that has none.
    #[error("only UDP and TCP have ports")]
    PortWithoutNeed,
    /// No destination port.
    #[error("to which port? UDP and TCP need one: `{0}`")]
    NoDestinationPort(Endpoint),
    /// The frame could not be written.
    #[error("there is no such packet: {0}")]
    Build(String),
}

impl FromStr for Protocol {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "udp" => Ok(Self(ip::UDP)),
            "tcp" => Ok(Self(ip::TCP)),
            "icmp" => Ok(Self(ip::ICMP)),
            "icmpv6" => Ok(Self(ip::ICMPV6)),
            number => number.parse().map(Self).map_err(|_| ProbeError::Protocol(text.to_owned())),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let address = || bare.parse().map(|address| Self { address, port: None });
        let with_port = || text.parse::<SocketAddr>().ok().filter(|socket| socket.port() > 0);
        address()
            .ok()
            .or_else(|| with_port().map(|socket| Self { address: socket.ip(), port: Some(socket.port()) }))
            .ok_or_else(|| ProbeError::Endpoint(text.to_owned()))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.address, port).fmt(f),
            None => self.address.fmt(f),
        }
    }
}

impl FromStr for TcpFlags {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(0));
        }
        let flag = |name: &str| match name {
            "fin" => Ok(tcp_flags::FIN),
            "syn" => Ok(tcp_flags::SYN),
            "rst" => Ok(tcp_flags::RST),
            "psh" => Ok(tcp_flags::PSH),
            "ack" => Ok(tcp_flags::ACK),
            "urg" => Ok(tcp_flags::URG),
            _ => Err(ProbeError::TcpFlag(name.to_owned())),
        };
        text.split(',').map(flag).try_fold(0, |flags, flag| Ok(flags | flag?)).map(Self)
    }
}

impl Probe {
    /// Where a packet comes from if nobody says: the first port that is nobody's (RFC 6335, section 6).
    pub const ASSUMED_PORT: u16 = 49152;

    /// Whether the packet has a source port, and nobody said which.
    pub const fn assumes_port(&self) -> bool {
        matches!(self.protocol, Protocol(ip::UDP | ip::TCP)) && self.source.port.is_none()
    }

    /// The packet as a frame.
    ///
    /// # Errors
    /// If no packet can be so.
    pub fn frame(&self) -> Result<Vec<u8>, ProbeError> {
        let Self { protocol: Protocol(protocol), source, destination, tcp_flags } = *self;
        if tcp_flags.is_some() && protocol != ip::TCP {
            return Err(ProbeError::FlagsWithoutTcp);
        }
        let builder = self.ip_header()?;
        let mut frame = Vec::new();
        let written = match protocol {
            ip::UDP | ip::TCP => {
                let from = source.port.unwrap_or(Self::ASSUMED_PORT);
                let to = destination.port.ok_or(ProbeError::NoDestinationPort(destination))?;
                match protocol {
                    ip::UDP => builder.udp(from, to).write(&mut frame, &[]),
                    _ => builder.tcp_header(segment(from, to, tcp_flags)).write(&mut frame, &[]),
                }
            }
            _ if source.port.or(destination.port).is_some() => return Err(ProbeError::PortWithoutNeed),
            protocol => self.without_ports(builder, protocol, &mut frame),
        };
        written.map_err(|error| ProbeError::Build(error.to_string()))?;
        Ok(frame)
    }

    fn ip_header(&self) -> Result<PacketBuilderStep<etherparse::IpHeaders>, ProbeError> {
        let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        match (self.source.address, self.destination.address) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Ok(ethernet.ipv4(source.octets(), destination.octets(), 64))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Ok(ethernet.ipv6(source.octets(), destination.octets(), 64))
            }
            (source, destination) => Err(ProbeError::MixedFamilies(source, destination)),
        }
    }

    /// An echo request, or a protocol whose content nobody looks at.
    fn without_ports(
        &self,
        builder: PacketBuilderStep<etherparse::IpHeaders>,
        protocol: u8,
        frame: &mut Vec<u8>,
    ) -> Result<(), BuildWriteError> {
        match (protocol, self.source.address) {
            (ip::ICMP, IpAddr::V4(_)) => builder.icmpv4_echo_request(1, 1).write(frame, &[]),
            (ip::ICMPV6, IpAddr::V6(_)) => builder.icmpv6_echo_request(1, 1).write(frame, &[]),
            _ => builder.write(frame, protocol.into(), &[0; 64]),
        }
    }
}

fn segment(source: u16, destination: u16, flags: Option<TcpFlags>) -> TcpHeader {
    let TcpFlags(flags) = flags.unwrap_or(TcpFlags(tcp_flags::SYN));
    let has = |flag| flags & flag != 0;
    let mut header = TcpHeader::new(source, destination, 1, u16::MAX);
    header.fin = has(tcp_flags::FIN);
    header.syn = has(tcp_flags::SYN);
    header.rst = has(tcp_flags::RST);
    header.psh = has(tcp_flags::PSH);
    header.ack = has(tcp_flags::ACK);
    header.urg = has(tcp_flags::URG);
    header
}

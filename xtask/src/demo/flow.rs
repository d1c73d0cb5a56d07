//! Flows: kinds of packets that the demo sends to the SBC, and what must become of them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use ipnet::IpNet;
use lab::Frame;

/// Every port.
pub(super) const ANY: RangeInclusive<u16> = 0..=u16::MAX;

/// Packets of one kind, told from others by their headers.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// What people call it.
    pub(super) title: &'static str,
    pub(super) source: IpNet,
    pub(super) protocol: Protocol,
    pub(super) source_ports: RangeInclusive<u16>,
    pub(super) ports: RangeInclusive<u16>,
    pub(super) fate: Fate,
}

/// What must become of a flow, and which of the filter's counters must say so.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Fate {
    /// This rule lets it in.
    Listed(&'static str),
    /// It passes for this reason, without a rule.
    Passed(&'static str),
    /// It is dropped for this reason.
    Dropped(&'static str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Udp,
    Tcp,
    Icmp(Icmp),
    Other,
}

/// Kinds of ICMP and ICMPv6 messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Icmp {
    EchoRequest,
    /// Unreachable, too big, time exceeded, parameter problem.
    Error,
    Other,
}

/// What tells the flow of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Headers {
    pub(super) source: IpAddr,
    pub(super) protocol: Protocol,
    pub(super) source_port: u16,
    pub(super) port: u16,
}

impl Flow {
    pub(super) fn takes(&self, headers: &Headers) -> bool {
        self.protocol == headers.protocol
            && self.source.contains(&headers.source)
            && self.source_ports.contains(&headers.source_port)
            && self.ports.contains(&headers.port)
    }
}

impl Fate {
    pub(super) const fn arrives(self) -> bool {
        match self {
            Self::Listed(_) | Self::Passed(_) => true,
            Self::Dropped(_) => false,
        }
    }

    /// The rule or reason.
    pub(super) const fn counter(self) -> &'static str {
        let (Self::Listed(counter) | Self::Passed(counter) | Self::Dropped(counter)) = self;
        counter
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.counter())
    }
}

impl Headers {
    /// The headers of a frame; none if it is not an IP packet.
    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let packet = LaxSlicedPacket::from_ethernet(&frame.start).ok()?;
        let source = match packet.net? {
            LaxNetSlice::Ipv4(ip) => IpAddr::from(ip.header().source_addr()),
            LaxNetSlice::Ipv6(ip) => IpAddr::from(ip.header().source_addr()),
            LaxNetSlice::Arp(_) => return None,
        };
        let (protocol, source_port, port) = match packet.transport {
            Some(TransportSlice::Udp(udp)) => (Protocol::Udp, udp.source_port(), udp.destination_port()),
            Some(TransportSlice::Tcp(tcp)) => (Protocol::Tcp, tcp.source_port(), tcp.destination_port()),
            Some(TransportSlice::Icmpv4(icmp)) => (Protocol::Icmp(icmp_v4(icmp.type_u8())), 0, 0),
            Some(TransportSlice::Icmpv6(icmp)) => (Protocol::Icmp(icmp_v6(icmp.type_u8())), 0, 0),
            Some(TransportSlice::Igmp(_)) | None => (Protocol::Other, 0, 0),
        };
        Some(Self { source, protocol, source_port, port })
    }
}

const fn icmp_v4(kind: u8) -> Icmp {
    match kind {
        8 => Icmp::EchoRequest,
        3 | 11 | 12 => Icmp::Error,
        _ => Icmp::Other,
    }
}

const fn icmp_v6(kind: u8) -> Icmp {
    match kind {
        128 => Icmp::EchoRequest,
        1..=4 => Icmp::Error,
        _ => Icmp::Other,
    }
}

/// ICMP errors, which any flow can cause: they must pass.
pub(super) fn errors() -> [Flow; 2] {
    let flow = |title, source| Flow {
        title,
        source,
        protocol: Protocol::Icmp(Icmp::Error),
        source_ports: ANY,
        ports: ANY,
        fate: Fate::Passed("icmp_error"),
    };
    [flow("ICMP errors", every(Ipv4Addr::UNSPECIFIED)), flow("ICMPv6 errors", every(Ipv6Addr::UNSPECIFIED))]
}

fn every(unspecified: impl Into<IpAddr>) -> IpNet {
    IpNet::new_assert(unspecified.into(), 0)
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn frame(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>) -> Frame {
        let mut start = Vec::new();
        builder.write(&mut start, b"payload").unwrap();
        Frame { length: start.len(), start }
    }

    fn udp_from(source: [u8; 4], source_port: u16, port: u16) -> Frame {
        frame(PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4(source, [198, 51, 100, 10], 64).udp(source_port, port))
    }

    #[test]
    fn a_frame_belongs_to_the_flow_of_its_headers() {
        let flow = Flow {
            title: "media",
            source: "168.86.128.0/18".parse().unwrap(),
            protocol: Protocol::Udp,
            source_ports: 10_000..=60_000,
            ports: 16_384..=32_767,
            fate: Fate::Listed("twilio/media"),
        };
        let takes = |frame| flow.takes(&Headers::of(&frame).unwrap());
        assert!(takes(udp_from([168, 86, 130, 7], 20_000, 16_384)));
        assert!(!takes(udp_from([168, 87, 130, 7], 20_000, 16_384)));
        assert!(!takes(udp_from([168, 86, 130, 7], 9_999, 16_384)));
        assert!(!takes(udp_from([168, 86, 130, 7], 20_000, 5060)));
    }

    #[test]
    fn a_frame_that_is_not_ip_has_no_headers() {
        let mut start = vec![0; 14];
        start[12..14].copy_from_slice(&[0x88, 0xcc]);
        assert_eq!(Headers::of(&Frame { length: 14, start }), None);
    }
}

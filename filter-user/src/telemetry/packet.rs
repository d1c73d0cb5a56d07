//! What people want to see of a dropped packet.
//!
//! Read leniently, since malformed packets are dropped too. It decides nothing.

use std::{fmt::Write as _, net::IpAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice, VlanSlice};
use serde::{Deserialize, Serialize};

use crate::replay::{Flow, Wanted};

/// How many octets of a payload's first line are shown.
const LINE: usize = 120;

/// Addresses, ports and the beginning of the payload, as far as they can be read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Headers {
    /// Where it says that it comes from: an address, else a station of the link.
    pub source: String,
    /// Where it goes.
    pub destination: Option<IpAddr>,
    /// The source port.
    pub source_port: Option<u16>,
    /// The destination port.
    pub destination_port: Option<u16>,
    /// `udp`, `tcp`, `icmp`, `icmpv6`, or what else it wanted: `protocol 47`, `ethertype 0x8864`.
    pub protocol: String,
    /// The outer VLAN tag first.
    pub vlans: Vec<u16>,
    /// The first line of a UDP or TCP payload, if it looks like text; what is not printable is escaped.
    pub text: Option<String>,
    /// Who sent it, and what for; not known of what was read as JSON.
    #[serde(skip, default = "unreadable")]
    pub flow: Flow,
}

impl Headers {
    /// Those of a frame of which these octets are known.
    pub fn of(octets: &[u8]) -> Self {
        let flow = Flow::of(octets);
        let packet = LaxSlicedPacket::from_ethernet(octets).ok();
        let transport = packet.as_ref().and_then(|packet| packet.transport.as_ref());
        let ports = match transport {
            Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port(), udp.payload())),
            Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port(), tcp.payload())),
            _ => None,
        };
        Self {
            source: flow.sender.to_string(),
            destination: packet.as_ref().and_then(destination),
            source_port: ports.map(|(source, _, _)| source),
            destination_port: ports.map(|(_, destination, _)| destination),
            protocol: protocol(flow.wanted),
            vlans: packet.as_ref().map(vlans).unwrap_or_default(),
            text: ports.and_then(|(_, _, payload)| first_line(payload)),
            flow,
        }
    }

    /// The address that it says it comes from.
    pub fn address(&self) -> Option<IpAddr> {
        self.source.parse().ok()
    }

    /// Source and port, as one writes them.
    pub fn from(&self) -> String {
        match (self.address(), self.source_port) {
            (Some(address), Some(port)) => socket(address, port),
            _ => self.source.clone(),
        }
    }

    /// Destination and port, as one writes them.
    pub fn to(&self) -> String {
        match (self.destination, self.destination_port) {
            (Some(address), Some(port)) => socket(address, port),
            (Some(address), None) => address.to_string(),
            (None, _) => "-".to_owned(),
        }
    }
}

fn unreadable() -> Flow {
    Flow::of(&[])
}

fn socket(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn destination(packet: &LaxSlicedPacket<'_>) -> Option<IpAddr> {
    match &packet.net {
        Some(LaxNetSlice::Ipv4(ip)) => Some(ip.header().destination_addr().into()),
        Some(LaxNetSlice::Ipv6(ip)) => Some(ip.header().destination_addr().into()),
        _ => None,
    }
}

fn vlans(packet: &LaxSlicedPacket<'_>) -> Vec<u16> {
    match packet.vlan() {
        Some(VlanSlice::SingleVlan(tag)) => vec![tag.vlan_identifier().value()],
        Some(VlanSlice::DoubleVlan(tags)) => {
            vec![tags.outer.vlan_identifier().value(), tags.inner.vlan_identifier().value()]
        }
        None => Vec::new(),
    }
}

fn protocol(wanted: Wanted) -> String {
    match wanted {
        Wanted::Udp(_) => "udp".to_owned(),
        Wanted::Tcp(_) => "tcp".to_owned(),
        other => other.to_string(),
    }
}

/// The first line of what looks like text: SIP's request line, or what a scanner says instead.
fn first_line(payload: &[u8]) -> Option<String> {
    if !payload.first().is_some_and(u8::is_ascii_graphic) {
        return None;
    }
    let line = payload.split(|octet| matches!(octet, b'\r' | b'\n')).next()?;
    let shown = printable(&line[..line.len().min(LINE)]);
    Some(if line.len() > LINE { shown + "…" } else { shown })
}

/// Octets as text that does nothing to a terminal: what is not printable ASCII is escaped.
pub fn printable(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        match octet {
            b'\\' => text.push_str(r"\\"),
            b' '..=b'~' => text.push(char::from(*octet)),
            _ => {
                // A string takes every write.
                let _ = write!(text, "\\x{octet:02x}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, VlanId};

    use super::*;

    fn udp(payload: &[u8]) -> Vec<u8> {
        let tag = |id| VlanId::try_new(id).unwrap();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).double_vlan(tag(100), tag(7));
        let mut frame = Vec::new();
        let builder = builder.ipv4([192, 0, 2, 1], [198, 51, 100, 10], 64).udp(40000, 5060);
        builder.write(&mut frame, payload).unwrap();
        frame
    }

    #[test]
    fn addresses_ports_tags_and_the_request_line_are_shown() {
        let headers = Headers::of(&udp(b"INVITE sip:00972@198.51.100.10 SIP/2.0\r\nVia: x\r\n"));
        assert_eq!((headers.from().as_str(), headers.to().as_str()), ("192.0.2.1:40000", "198.51.100.10:5060"));
        assert_eq!((headers.protocol.as_str(), headers.vlans), ("udp", vec![100, 7]));
        assert_eq!(headers.text.as_deref(), Some("INVITE sip:00972@198.51.100.10 SIP/2.0"));
    }

    #[test]
    fn what_is_cut_off_or_hostile_harms_nobody() {
        let headers = Headers::of(&udp(b"X\x1b]0;owned\x07\x9b31m\\\xe2\x80\xae"));
        assert_eq!(headers.text.as_deref(), Some(r"X\x1b]0;owned\x07\x9b31m\\\xe2\x80\xae"));
        assert_eq!(Headers::of(&udp(b"\x80\x00\x12")).text, None);
        let long = Headers::of(&udp(&[b'a'; 300])).text.unwrap();
        assert_eq!(long.chars().count(), LINE + 1);
        for length in 0..udp(b"").len() {
            let headers = Headers::of(&udp(b"")[..length]);
            assert!(!headers.source.is_empty() && !headers.from().is_empty() && !headers.to().is_empty(), "{length}");
        }
    }
}

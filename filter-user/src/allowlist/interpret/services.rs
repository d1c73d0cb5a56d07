//! Decides which service a row is for, from its words, its protocols and only then its ports.

use super::{
    super::{
        model::{Protocol, Service},
        words::words,
    },
    ports::PortGroup,
    protocols::{Kind, Kinds, Protocols, Wire},
};
use crate::ports::PortRange;

/// A UDP range of at least so many ports is for media: no SIP service listens on hundreds.
const MEDIA_RANGE: u16 = 100;

/// Ports of one service over one protocol.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Offer {
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    pub(crate) ranges: Vec<PortRange>,
}

impl Kinds {
    /// What a component, description or heading says; words in parentheses count only where the others say nothing.
    pub(crate) fn of_text(text: &str) -> Self {
        let outside = text.split('(').enumerate().map(|(index, part)| match index {
            0 => part,
            _ => part.split_once(')').map_or("", |(_, after)| after),
        });
        let kinds = Self::of_words(&outside.collect::<Vec<_>>().join(" "));
        if kinds.is_empty() { Self::of_words(text) } else { kinds }
    }

    fn of_words(text: &str) -> Self {
        let mut kinds = Self::default();
        for word in words(text) {
            match word.as_str() {
                "turn" | "stun" | "relay" | "relays" | "ice" => kinds.insert(Kind::Turn),
                "media" | "rtp" | "srtp" | "rtcp" | "srtcp" | "audio" => kinds.insert(Kind::Media),
                "sip" | "sips" | "signaling" | "signalling" => kinds.insert(Kind::Sip),
                "sbc" | "sbcs" | "gateway" | "gateways" | "trunk" | "trunks" | "audiocodes" => {
                    kinds.insert(Kind::Device);
                }
                "https" | "http" | "api" | "apis" | "web" | "webhook" | "webhooks" | "portal" => {
                    kinds.insert(Kind::Https);
                }
                _ => {}
            }
        }
        kinds
    }
}

/// What a group of ports offers over the protocols that it or its row states; `context` is what the row's words say, and
/// `titled` the transports that they name.
pub(crate) fn offers(group: &PortGroup, row: &Protocols, context: Kinds, titled: &[Wire]) -> Vec<Offer> {
    let mut protocols = row.clone();
    if !group.protocols.wires.is_empty() {
        protocols.wires.clear();
    }
    protocols.extend(&group.protocols);
    let kinds = if protocols.kinds.is_empty() { context } else { protocols.kinds };
    let mut offers = Vec::new();
    for wire in wires(&protocols) {
        for range in stated_ranges(group, wire, kinds) {
            for (service, protocol) in services(kinds, wire, range, titled) {
                add(&mut offers, service, protocol, range);
            }
        }
    }
    offers
}

/// The stated wires; `None` stands for «not stated».
fn wires(protocols: &Protocols) -> Vec<Option<Wire>> {
    if protocols.wires.is_empty() {
        return vec![None];
    }
    protocols.wires.iter().copied().map(Some).collect()
}

/// The stated ranges, `None` where there are none; a short TCP range across 5061 is parted there, as SIP over TLS is a
/// service of its own.
fn stated_ranges(group: &PortGroup, wire: Option<Wire>, kinds: Kinds) -> Vec<Option<PortRange>> {
    if group.ranges.is_empty() {
        return vec![None];
    }
    let parts = wire == Some(Wire::Tcp) && !kinds.has(Kind::Turn) && !kinds.has(Kind::Https);
    let ranges = group
        .ranges
        .iter()
        .flat_map(|range| if parts && is_sip_range(*range) { part_at_5061(*range) } else { vec![*range] });
    ranges.map(Some).collect()
}

fn is_sip_range(range: PortRange) -> bool {
    range.ports().contains(&5060) && range.ports().contains(&5061) && width(range) < MEDIA_RANGE
}

fn part_at_5061(range: PortRange) -> Vec<PortRange> {
    let part = |first: u16, last: u16| PortRange::new(first.into(), last.into()).ok();
    [part(range.first(), 5060), part(5061, 5061), part(5062, range.last())].into_iter().flatten().collect()
}

fn width(range: PortRange) -> u16 {
    range.last() - range.first()
}

fn add(offers: &mut Vec<Offer>, service: Service, protocol: Protocol, range: Option<PortRange>) {
    let known = offers.iter_mut().find(|offer| offer.service == service && offer.protocol == protocol);
    match known {
        Some(offer) => {
            let new = range.filter(|range| !offer.ranges.contains(range));
            offer.ranges.extend(new);
        }
        None => offers.push(Offer { service, protocol, ranges: range.into_iter().collect() }),
    }
}

/// The services of one wire and range, each with its protocol.
fn services(kinds: Kinds, wire: Option<Wire>, range: Option<PortRange>, titled: &[Wire]) -> Vec<(Service, Protocol)> {
    match wire {
        Some(wire) => vec![(service(kinds, wire, range), protocol(wire))],
        None => without_protocol(kinds, range, titled),
    }
}

fn protocol(wire: Wire) -> Protocol {
    match wire {
        Wire::Udp => Protocol::Udp,
        Wire::Tcp | Wire::Tls | Wire::Wss => Protocol::Tcp,
    }
}

fn service(kinds: Kinds, wire: Wire, range: Option<PortRange>) -> Service {
    let port = range.filter(|range| width(*range) == 0).map(PortRange::first);
    let is_sip_alone = kinds.has(Kind::Sip) && !kinds.has(Kind::Media);
    let is_wide = range.is_some_and(|range| width(range) >= MEDIA_RANGE && !(is_sip_alone && range == PortRange::ALL));
    if wire == Wire::Wss {
        return Service::SipWss;
    }
    if wire == Wire::Udp && is_wide && (kinds.has(Kind::Media) || !kinds.has(Kind::Turn)) {
        return Service::Media;
    }
    if kinds.has(Kind::Turn) || (kinds.is_empty() || kinds.has(Kind::Device)) && range.is_some_and(is_turn_range) {
        return Service::Turn;
    }
    if port == Some(443) && !(kinds.has(Kind::Sip) && wire == Wire::Tls) {
        return Service::Https;
    }
    if kinds.has(Kind::Media) && !kinds.has(Kind::Sip) && !kinds.has(Kind::Device) {
        return if wire == Wire::Udp { Service::Media } else { Service::Other };
    }
    let speaks_sip = kinds.has(Kind::Sip)
        || is_sip_port(port) && !kinds.has(Kind::Https)
        || wire == Wire::Tls && kinds.has(Kind::Device);
    match (speaks_sip, wire) {
        (true, Wire::Udp) => Service::SipUdp,
        (true, Wire::Tcp) if port != Some(5061) => Service::SipTcp,
        (true, _) => Service::SipTls,
        (false, Wire::Tcp) if kinds.has(Kind::Https) => Service::Https,
        (false, _) if range.is_none() && (kinds.is_empty() || kinds.has(Kind::Device)) => Service::Unspecified,
        (false, _) => Service::Other,
    }
}

/// The ports of STUN and TURN, and those beside them that providers use.
fn is_turn_range(range: PortRange) -> bool {
    (3478..=3481).contains(&range.first()) && range.last() <= 3481 || range.ports() == (5349..=5349)
}

fn is_sip_port(port: Option<u16>) -> bool {
    matches!(port, Some(5060 | 5061))
}

/// A row that states no protocol: SIP names its own, or the row's title does; of all else any may come.
fn without_protocol(kinds: Kinds, range: Option<PortRange>, titled: &[Wire]) -> Vec<(Service, Protocol)> {
    if range == Some(PortRange::ALL) && !kinds.has(Kind::Media) {
        return vec![(Service::Unspecified, Protocol::Any)];
    }
    let expanded: &[Wire] = match service(kinds, Wire::Udp, range) {
        Service::SipUdp if range.is_none() => &[Wire::Udp, Wire::Tcp, Wire::Tls],
        Service::SipUdp if range.is_some_and(|range| range.ports() == (5061..=5061)) => &[Wire::Tls],
        Service::SipUdp => &[Wire::Udp, Wire::Tcp],
        service => return vec![(service, Protocol::Any)],
    };
    let is_titled = |wire: &&Wire| titled.contains(wire) || !expanded.iter().any(|wire| titled.contains(wire));
    expanded.iter().filter(is_titled).map(|wire| (service(kinds, *wire, range), protocol(*wire))).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::ports::Ports, *};

    /// Shows offers as `sip-udp/udp 5060`.
    fn check(context: &str, protocol: &str, ports: &str, expected: &[&str]) {
        let row = Protocols::read(protocol).unwrap();
        let mut groups = Ports::read(ports).unwrap().groups;
        if groups.is_empty() {
            groups.push(PortGroup::default());
        }
        let offers = groups.iter().flat_map(|group| offers(group, &row, Kinds::of_text(context), &[]));
        let shown: Vec<_> = offers
            .map(|offer| {
                let ranges: Vec<_> = offer.ranges.iter().map(ToString::to_string).collect();
                let protocol = format!("{:?}", offer.protocol).to_lowercase();
                format!("{}/{protocol} {}", offer.service, ranges.join(" ")).trim_end().to_owned()
            })
            .collect();
        assert_eq!(shown, expected, "{context} | {protocol} | {ports}");
    }

    const SBC: &str = "Session Border Controller (SBC) (Agent SBC)";

    #[test]
    fn a_session_border_controller_is_told_apart_by_protocol_and_port() {
        check(SBC, "TCP/UDP", "5060", &["sip-udp/udp 5060", "sip-tcp/tcp 5060"]);
        check(SBC, "TLS", "5061", &["sip-tls/tcp 5061"]);
        check(SBC, "TCP", "5061", &["sip-tls/tcp 5061"]);
        check(SBC, "WSS", "8443", &["sip-wss/tcp 8443"]);
        check(SBC, "TCP", "10081", &["other/tcp 10081"]);
        check(SBC, "UDP", "6000-65535", &["media/udp 6000-65535"]);
    }

    #[test]
    fn signalling_keeps_its_name_on_any_port() {
        check("SIP signalling", "TCP", "32681", &["sip-tcp/tcp 32681"]);
        check("Signaling", "TLS", "32681", &["sip-tls/tcp 32681"]);
        check("SIP", "UDP", "10000-20000", &["media/udp 10000-20000"]);
    }

    #[test]
    fn turn_goes_before_https_and_is_split_by_protocol() {
        check("", "TCP, UDP (TURN)", "3478", &["turn/udp 3478", "turn/tcp 3478"]);
        check("", "TCP (TURN TLS)", "443/5349", &["turn/tcp 443 5349"]);
        check("Web portal", "TCP", "443", &["https/tcp 443"]);
        check("", "TCP", "443", &["https/tcp 443"]);
    }

    #[test]
    fn words_in_parentheses_give_way_to_those_outside() {
        check("Secure Media (ICE/STUN/SRTP) Edge Locations", "UDP", "10,000 - 60,000", &["media/udp 10000-60000"]);
        check("Media", "UDP", "3478", &["media/udp 3478"]);
    }

    #[test]
    fn gateway_port_lines_name_their_protocols() {
        check("", "", "5060 (UDP/TCP), 5061 (TLS)", &["sip-udp/udp 5060", "sip-tcp/tcp 5060", "sip-tls/tcp 5061"]);
        check("SIP", "TCP", "5060-5061", &["sip-tcp/tcp 5060", "sip-tls/tcp 5061"]);
        check("SIP", "UDP", "5060-5061", &["sip-udp/udp 5060-5061"]);
    }

    #[test]
    fn what_states_nothing_is_unspecified() {
        check("", "", "", &["unspecified/any"]);
        check("Signaling", "", "", &["sip-udp/udp", "sip-tcp/tcp", "sip-tls/tcp"]);
        check("Media servers", "", "", &["media/any"]);
        check("", "", "5061", &["sip-tls/tcp 5061"]);
        check("", "", "10081", &["other/any 10081"]);
        check("SIP", "ANY", "ANY", &["unspecified/any 1-65535"]);
    }
}

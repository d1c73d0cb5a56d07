//! Every kind of packet with its fate, judged in both worlds: `decide` on the host and the program in the kernel.

#![expect(clippy::expect_used, clippy::too_many_lines, reason = "tests panic, and tables of packets are long")]

use filter_common::{
    Reason::{self, *},
    packet::tcp_flags::{ACK, FIN, PSH, RST, SYN, URG},
};
use tests::{
    judge::{Judges, SBC, SBC_V6, sbc, sbc_v6},
    packets::{
        ETHERNET, cut, ethernet, fragment, icmp, ipv4_options, ipv6_extension, ipv6_fragment, patch, raw, tagged, tcp,
        udp, udp_with,
    },
};

/// What the packet is, the packet, and its reason and rule.
type Row = (&'static str, Vec<u8>, Reason, Option<&'static str>);

/// Judges every row by `tests/fixtures/policy.toml`, with these changes to its text.
fn check(changes: &[(&str, &str)], rows: Vec<Row>) {
    let mut judges = Judges::new(changes).expect("the policy is in force in both worlds (this needs root)");
    for (name, frame, reason, rule) in rows {
        judges.check(name, &frame, reason, rule);
    }
}

#[test]
fn listed_traffic_passes_by_its_rule() {
    check(
        &[],
        vec![
            ("SIP over UDP", udp("203.0.113.17:5060", &sbc(5060)), Listed, Some("carrier/sip-udp")),
            ("SIP over UDP from any port", udp("203.0.113.17:49999", &sbc(5060)), Listed, Some("carrier/sip-udp")),
            ("SIP over UDP, IPv6", udp("[2001:db8:1:5::1]:5060", &sbc_v6(5060)), Listed, Some("carrier/sip-udp")),
            ("SIP over TCP, opening", tcp("203.0.113.17:40000", &sbc(5060), SYN), Listed, Some("carrier/sip-tcp")),
            ("SIP over TCP, later", tcp("203.0.113.17:40000", &sbc(5060), ACK | PSH), Listed, Some("carrier/sip-tcp")),
            ("SIP over TLS", tcp("203.0.113.17:40000", &sbc(5061), SYN), Listed, Some("carrier/sip-tls")),
            ("SIP over TLS, IPv6", tcp("[2001:db8:1:5::1]:40000", &sbc_v6(5061), SYN), Listed, Some("carrier/sip-tls")),
            (
                "an answer to SIP over TLS",
                tcp("203.0.113.17:5061", &sbc(40000), SYN | ACK),
                Listed,
                Some("carrier/sip-tls"),
            ),
            ("media", udp("203.0.113.64:10000", &sbc(16384)), Listed, Some("carrier/media")),
            ("media, last ports", udp("203.0.113.127:20000", &sbc(32767)), Listed, Some("carrier/media")),
            ("media, IPv6", udp("[2001:db8:1:5::1]:10000", &sbc_v6(16384)), Listed, Some("carrier/media")),
            ("relay answer over UDP", udp("203.0.113.1:3478", &sbc(40000)), Listed, Some("carrier/turn")),
            ("relay answer to the media range", udp("203.0.113.1:3478", &sbc(16384)), Listed, Some("carrier/turn")),
            ("relayed media", udp("203.0.113.1:60000", &sbc(16384)), Listed, Some("carrier/turn")),
            ("relay answer over TCP", tcp("203.0.113.1:443", &sbc(40000), ACK), Listed, Some("carrier/turn")),
            (
                "a relay's rule inside a signalling prefix",
                udp("203.0.113.17:3478", &sbc(40000)),
                Listed,
                Some("carrier/turn"),
            ),
            ("an answer over HTTPS", tcp("203.0.113.200:443", &sbc(40000), ACK), Listed, Some("carrier/https")),
            ("a trunk's SIP", tcp("192.0.2.129:40000", &sbc(5081), SYN), Listed, Some("genesys/sip-tls")),
            ("a trunk's proxy", tcp("192.0.2.150:40000", &sbc(5081), SYN), Listed, Some("genesys/sip-tls")),
            ("a trunk's answers", tcp("192.0.2.150:5061", &sbc(40000), ACK), Listed, Some("genesys/sip-reply")),
            ("an own allow", tcp("192.0.2.1:40000", &sbc(22), SYN), Listed, Some("allow/ssh")),
            ("an own allow, IPv6", tcp("[2001:db8:2::1]:40000", &sbc_v6(22), SYN), Listed, Some("allow/ssh")),
            ("an own allow by protocol", raw("192.0.2.77", SBC, 47, 64, &[0; 20]), Listed, Some("allow/tunnel")),
        ],
    );
}

#[test]
fn what_is_almost_listed_is_dropped_with_what_is_wrong() {
    let mapped = format!("[::ffff:{SBC}]:5060");
    check(
        &[],
        vec![
            ("unlisted", udp("192.0.2.99:5060", &sbc(5060)), SourceUnlisted, None),
            ("unlisted, IPv6", udp("[2001:db8:3::1]:5060", &sbc_v6(5060)), SourceUnlisted, None),
            ("one address before the relays", udp("203.0.112.255:3478", &sbc(40000)), SourceUnlisted, None),
            ("one address behind the relays", udp("203.0.113.128:3478", &sbc(40000)), SourceUnlisted, None),
            ("one address behind SIP, still a relay", udp("203.0.113.20:5060", &sbc(5060)), PortClosed, None),
            ("another port", udp("203.0.113.17:5060", &sbc(80)), PortClosed, None),
            ("a reply port from another port", udp("203.0.113.17:5060", &sbc(5059)), SourcePort, None),
            ("the trunk's port from another provider", tcp("203.0.113.17:40000", &sbc(5081), SYN), PortClosed, None),
            ("the SIP port from the trunk", tcp("192.0.2.129:40000", &sbc(5061), SYN), PortClosed, None),
            ("media from a port below", udp("[2001:db8:1:6::1]:9999", &sbc_v6(16384)), SourcePort, None),
            ("media from a port above", udp("[2001:db8:1:6::1]:20001", &sbc_v6(16384)), SourcePort, None),
            ("media to a port below", udp("[2001:db8:1:6::1]:10000", &sbc_v6(16383)), PortClosed, None),
            ("media to a port above", udp("[2001:db8:1:6::1]:10000", &sbc_v6(32768)), PortClosed, None),
            ("opening towards a reply port", tcp("203.0.113.17:5061", &sbc(40000), SYN), OpeningSegment, None),
            ("opening from HTTPS", tcp("203.0.113.200:443", &sbc(40000), SYN), OpeningSegment, None),
            ("an answer from another port", tcp("203.0.113.200:444", &sbc(40000), ACK), SourcePort, None),
            ("an answer to a listening port", tcp("203.0.113.200:443", &sbc(5061), ACK), PortClosed, None),
            ("an answer below the reply ports", tcp("203.0.113.200:443", &sbc(1023), ACK), PortClosed, None),
            ("a trunk's denied address", tcp("192.0.2.130:40000", &sbc(5081), SYN), ProviderDenied, None),
            ("the deny list before an own allow", tcp("192.0.2.33:40000", &sbc(22), SYN), Denied, None),
            ("the deny list, IPv6", tcp("[2001:db8:2:bad::1]:40000", &sbc_v6(22), SYN), Denied, None),
            ("TCP to a UDP rule's port", tcp("203.0.113.64:10000", &sbc(16384), SYN), PortClosed, None),
            ("a protocol that no rule names", raw("203.0.113.17", SBC, 47, 64, &[0; 20]), ProtocolUnlisted, None),
            ("ESP from nowhere", raw("192.0.2.99", SBC, 50, 64, &[0; 20]), SourceUnlisted, None),
            ("SCTP from nowhere", raw("192.0.2.99", SBC, 132, 64, &[0; 20]), SourceUnlisted, None),
            ("to another address", udp("203.0.113.17:5060", "198.51.100.11:5060"), DestinationForeign, None),
            ("to an own IPv4 address in IPv6", udp("[2001:db8:1:5::1]:5060", &mapped), DestinationForeign, None),
            ("from an own IPv4 address in IPv6", udp(&mapped, &sbc_v6(5060)), SourceUnlisted, None),
            ("to multicast", udp("203.0.113.17:5060", "224.0.1.75:5060"), DestinationMulticast, None),
            ("to broadcast", udp("203.0.113.17:5060", "255.255.255.255:5060"), DestinationMulticast, None),
        ],
    );
}

#[test]
fn the_link_layer_is_looked_through_or_judged() {
    let sip = || udp("203.0.113.17:5060", &sbc(5060));
    let scan = || udp("192.0.2.99:5060", &sbc(5060));
    let broadcast = [0xff; 6];
    check(
        &[],
        vec![
            ("one tag", tagged(sip(), &[0x8100]), Listed, Some("carrier/sip-udp")),
            ("two tags", tagged(sip(), &[0x88a8, 0x8100]), Listed, Some("carrier/sip-udp")),
            ("an old QinQ tag", tagged(sip(), &[0x9100, 0x8100]), Listed, Some("carrier/sip-udp")),
            ("a priority tag", patch(tagged(sip(), &[0x8100]), ETHERNET, &[0xa0, 0]), Listed, Some("carrier/sip-udp")),
            ("a tag hides nothing", tagged(scan(), &[0x8100]), SourceUnlisted, None),
            ("two tags hide nothing", tagged(scan(), &[0x9100, 0x88a8]), SourceUnlisted, None),
            ("three tags", tagged(sip(), &[0x8100; 3]), VlanDepth, None),
            ("ARP", ethernet(broadcast, 0x0806, &[0; 46]), Arp, None),
            ("ARP in a tag", tagged(ethernet(broadcast, 0x0806, &[0; 46]), &[0x8100]), Arp, None),
            ("LLDP", ethernet([1, 0x80, 0xc2, 0, 0, 0xe], 0x88cc, &[0; 46]), LinkControl, None),
            ("LACP", ethernet([1, 0x80, 0xc2, 0, 0, 2], 0x8809, &[0; 46]), LinkControl, None),
            ("EAPOL", ethernet([1, 0x80, 0xc2, 0, 0, 3], 0x888e, &[0; 46]), LinkControl, None),
            ("PTP", ethernet([1, 0x1b, 0x19, 0, 0, 0], 0x88f7, &[0; 46]), LinkControl, None),
            ("spanning tree", ethernet([1, 0x80, 0xc2, 0, 0, 0], 38, &[0x42; 46]), LinkControl, None),
            ("LLC to elsewhere", ethernet(broadcast, 38, &[0x42; 46]), Ethertype, None),
            ("PPPoE", ethernet(broadcast, 0x8864, &[0; 46]), Ethertype, None),
            ("MPLS", ethernet(broadcast, 0x8847, &[0; 46]), Ethertype, None),
            ("padding", [sip(), vec![0; 18]].concat(), Listed, Some("carrier/sip-udp")),
        ],
    );
}

#[test]
fn malformed_ipv4_is_dropped_with_its_fault() {
    let sip = || udp("203.0.113.17:5060", &sbc(5060));
    let segment = |flags| tcp("203.0.113.17:40000", &sbc(5060), flags);
    let total = |octets: u16| patch(sip(), ETHERNET + 2, &octets.to_be_bytes());
    let ports = ETHERNET + 20;
    check(
        &[],
        vec![
            ("a tag cut short", cut(tagged(sip(), &[0x8100]), 17), EthernetTruncated, None),
            ("no IP header", cut(sip(), ETHERNET), Ipv4Truncated, None),
            ("half an IP header", cut(sip(), ETHERNET + 19), Ipv4Truncated, None),
            ("version 6 in an IPv4 frame", patch(sip(), ETHERNET, &[0x65]), Ipv4Version, None),
            ("header length 4", patch(sip(), ETHERNET, &[0x44]), Ipv4HeaderLength, None),
            ("total length short of the header", total(19), Ipv4TotalLength, None),
            ("total length beyond the frame", total(46), Ipv4TotalLength, None),
            ("total length that ends in the UDP header", total(27), UdpTruncated, None),
            ("options", ipv4_options(sip(), 1), Listed, Some("carrier/sip-udp")),
            ("all options", ipv4_options(sip(), 10), Listed, Some("carrier/sip-udp")),
            ("options do not shift the ports", ipv4_options(udp("203.0.113.17:5060", &sbc(9)), 1), PortClosed, None),
            ("a wrong checksum", patch(sip(), ETHERNET + 10, &[0xde, 0xad]), Listed, Some("carrier/sip-udp")),
            ("UDP length under 8", patch(sip(), ports + 4, &[0, 7]), UdpLength, None),
            ("UDP length beyond", patch(sip(), ports + 4, &[0, 26]), UdpLength, None),
            ("UDP length short of the payload", patch(sip(), ports + 4, &[0, 8]), Listed, Some("carrier/sip-udp")),
            ("an empty datagram", udp_with("203.0.113.17:5060", &sbc(5060), &[]), Listed, Some("carrier/sip-udp")),
            ("source port 0", patch(sip(), ports, &[0, 0]), PortZero, None),
            ("destination port 0", patch(sip(), ports + 2, &[0, 0]), PortZero, None),
            ("TCP port 0", patch(segment(SYN), ports + 2, &[0, 0]), PortZero, None),
            ("TCP data offset 4", patch(segment(SYN), ports + 12, &[0x40]), TcpDataOffset, None),
            ("TCP data offset beyond", patch(segment(SYN), ports + 12, &[0xf0]), TcpDataOffset, None),
            ("TCP cut short", patch(segment(SYN), ETHERNET + 2, &[0, 39]), TcpTruncated, None),
            ("no flags", segment(0), TcpFlags, None),
            ("SYN and FIN", segment(SYN | FIN), TcpFlags, None),
            ("SYN and RST", segment(SYN | RST | ACK), TcpFlags, None),
            ("a Christmas tree", segment(FIN | PSH | URG), TcpFlags, None),
            ("FIN, PSH and URG with ACK", segment(FIN | PSH | URG | ACK), Listed, Some("carrier/sip-tcp")),
            ("ICMP cut short", raw("203.0.113.17", SBC, 1, 64, &[3; 7]), IcmpTruncated, None),
        ],
    );
}

#[test]
fn malformed_ipv6_is_dropped_with_its_fault() {
    let sip = || udp("[2001:db8:1:5::1]:5060", &sbc_v6(5060));
    let payload = |octets: u16| patch(sip(), ETHERNET + 4, &octets.to_be_bytes());
    let chain = |count: usize| (0..count).fold(sip(), |frame, _| ipv6_extension(frame, 60, [0; 8]));
    let routing = |left: u8| ipv6_extension(sip(), 43, [0, 0, 0, left, 0, 0, 0, 0]);
    let hop_by_hop_second = ipv6_extension(ipv6_extension(sip(), 0, [0; 8]), 60, [0; 8]);
    check(
        &[],
        vec![
            ("no IP header", cut(sip(), ETHERNET), Ipv6Truncated, None),
            ("half an IP header", cut(sip(), ETHERNET + 39), Ipv6Truncated, None),
            ("version 4 in an IPv6 frame", patch(sip(), ETHERNET, &[0x45]), Ipv6Version, None),
            (
                "version 4 in half an IPv6 header",
                cut(patch(sip(), ETHERNET, &[0x45]), ETHERNET + 39),
                Ipv6Truncated,
                None,
            ),
            ("payload length beyond the frame", payload(26), Ipv6PayloadLength, None),
            ("payload length that ends in the UDP header", payload(7), UdpTruncated, None),
            ("a jumbogram", patch(ipv6_extension(sip(), 0, [0; 8]), ETHERNET + 4, &[0, 0]), Ipv6Jumbogram, None),
            ("hop-by-hop options", ipv6_extension(sip(), 0, [0; 8]), Listed, Some("carrier/sip-udp")),
            ("hop-by-hop options second", hop_by_hop_second, Ipv6ExtensionChain, None),
            ("six extension headers", chain(6), Listed, Some("carrier/sip-udp")),
            ("seven extension headers", chain(7), Ipv6ExtensionChain, None),
            (
                "extension header beyond the payload",
                ipv6_extension(sip(), 60, [0, 9, 0, 0, 0, 0, 0, 0]),
                Ipv6ExtensionTruncated,
                None,
            ),
            (
                "authentication header",
                ipv6_extension(sip(), 51, [0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
                Listed,
                Some("carrier/sip-udp"),
            ),
            (
                "authentication header short of its fixed part",
                ipv6_extension(sip(), 51, [0; 8]),
                Ipv6ExtensionTruncated,
                None,
            ),
            ("type 0 routing, segments left", routing(1), Ipv6RoutingType0, None),
            ("type 0 routing, none left", routing(0), Listed, Some("carrier/sip-udp")),
            (
                "extensions hide nothing",
                ipv6_extension(udp("[2001:db8:3::1]:5060", &sbc_v6(5060)), 60, [0; 8]),
                SourceUnlisted,
                None,
            ),
            ("no next header", raw("2001:db8:1:5::1", SBC_V6, 59, 64, &[]), ProtocolUnlisted, None),
            ("an atomic fragment", fragment(sip(), 0, false), Listed, Some("carrier/sip-udp")),
            (
                "an extension header beyond an atomic fragment",
                fragment(ipv6_extension(sip(), 60, [0, 9, 0, 0, 0, 0, 0, 0]), 0, false),
                Ipv6ExtensionTruncated,
                None,
            ),
            (
                "an extension header beyond a first fragment",
                fragment(ipv6_extension(sip(), 60, [0, 9, 0, 0, 0, 0, 0, 0]), 0, true),
                FragmentTruncated,
                None,
            ),
            (
                "two fragment headers",
                ipv6_extension(fragment(sip(), 0, true), 44, ipv6_fragment(0, 0, true)),
                Ipv6ExtensionChain,
                None,
            ),
            ("ICMPv6 in IPv4", raw("203.0.113.17", SBC, 58, 255, &[136, 0, 0, 0, 0, 0, 0, 0]), ProtocolUnlisted, None),
            ("ICMP in IPv6", raw("2001:db8:1:5::1", SBC_V6, 1, 64, &[3, 0, 0, 0, 0, 0, 0, 0]), ProtocolUnlisted, None),
        ],
    );
}

#[test]
fn martians_are_dropped() {
    let from = |source: &str| udp(&format!("{source}:5060"), &sbc(5060));
    let from_v6 = |source: &str| udp(&format!("[{source}]:5060"), &sbc_v6(5060));
    check(
        &[],
        vec![
            ("this network", from("0.1.2.3"), MartianSource, None),
            ("loopback", from("127.0.0.1"), MartianSource, None),
            ("multicast", from("224.0.0.1"), MartianSource, None),
            ("class E", from("240.0.0.1"), MartianSource, None),
            ("broadcast", from("255.255.255.255"), MartianSource, None),
            ("unspecified IPv6", from_v6("::"), MartianSource, None),
            ("loopback IPv6", from_v6("::1"), MartianSource, None),
            ("multicast IPv6", from_v6("ff02::1"), MartianSource, None),
            ("own address", from(SBC), OwnSource, None),
            ("own IPv6 address", from_v6(SBC_V6), OwnSource, None),
            ("a neighbour advertisement from nowhere", icmp("::", SBC_V6, 136, 255), MartianSource, None),
        ],
    );
}

#[test]
fn a_policy_that_asks_little_drops_martians_for_the_same_reason() {
    let quiet = [
        ("addresses = [\"198.51.100.10\", \"2001:db8:ffff::10\"]\n", ""),
        ("[[deny]]\nname = \"abuse\"\nfrom = [\"192.0.2.33\", \"2001:db8:2:bad::/64\"]\n", ""),
        ("\"192.0.2.0/26\", \"2001:db8:2::/48\"", "\"112.0.0.0/4\", \"::/0\""),
    ];
    let mut judges = Judges::new(&quiet).expect("the policy is in force in both worlds (this needs root)");
    for octet in 0..=u8::MAX {
        let unlisted = if matches!(octet, 112..=126) { PortClosed } else { SourceUnlisted };
        let reason = if matches!(octet, 0 | 127 | 224..) { MartianSource } else { unlisted };
        judges.check("any first octet", &udp(&format!("{octet}.1.2.3:5060"), &sbc(5060)), reason, None);
    }
    for (name, frame, reason, rule) in [
        ("listed", tcp("126.1.2.3:40000", &sbc(22), SYN), Listed, Some("allow/ssh")),
        ("listed, but a martian", tcp("127.1.2.3:40000", &sbc(22), SYN), MartianSource, None),
        ("from multicast to multicast", udp("224.0.0.1:5060", "224.0.1.75:5060"), MartianSource, None),
        ("to multicast", udp("192.0.2.99:5060", "224.0.1.75:5060"), DestinationMulticast, None),
        ("loopback IPv6", udp("[::1]:5060", &sbc_v6(5060)), MartianSource, None),
        ("multicast IPv6", udp("[ff02::1]:5060", &sbc_v6(5060)), MartianSource, None),
    ] {
        judges.check(name, &frame, reason, rule);
    }
}

#[test]
fn what_keeps_a_host_reachable_passes() {
    let group = "ff02::1:ff00:10";
    check(
        &[],
        vec![
            ("router advertisement", icmp("fe80::1", "ff02::1", 134, 255), NeighborDiscovery, None),
            ("neighbour solicitation", icmp("fe80::1", group, 135, 255), NeighborDiscovery, None),
            ("duplicate address detection", icmp("::", group, 135, 255), NeighborDiscovery, None),
            ("router solicitation from nowhere", icmp("::", "ff02::2", 133, 255), NeighborDiscovery, None),
            ("neighbour advertisement", icmp("fe80::1", SBC_V6, 136, 255), NeighborDiscovery, None),
            ("from beyond the link", icmp("2001:db8:3::1", SBC_V6, 136, 64), NeighborDiscoveryHopLimit, None),
            ("from one router away", icmp("2001:db8:3::1", SBC_V6, 136, 254), NeighborDiscoveryHopLimit, None),
            ("a redirect", icmp("fe80::1", SBC_V6, 137, 255), Redirect, None),
            ("listener query", icmp("fe80::1", "ff02::1", 130, 1), MulticastListener, None),
            ("listener report", icmp("::", "ff02::16", 143, 1), MulticastListener, None),
            ("unreachable", icmp("192.0.2.99", SBC, 3, 64), IcmpError, None),
            ("time exceeded", icmp("192.0.2.99", SBC, 11, 64), IcmpError, None),
            ("parameter problem", icmp("192.0.2.99", SBC, 12, 64), IcmpError, None),
            ("packet too big", icmp("2001:db8:3::1", SBC_V6, 2, 64), IcmpError, None),
            ("an error from a denied source", icmp("192.0.2.33", SBC, 3, 64), Denied, None),
            ("an IPv4 redirect", icmp("192.0.2.99", SBC, 5, 64), Redirect, None),
            ("source quench", icmp("192.0.2.99", SBC, 4, 64), SourceQuench, None),
            ("ping", icmp("203.0.113.17", SBC, 8, 64), EchoRequest, None),
            ("ping, IPv6", icmp("2001:db8:3::1", SBC_V6, 128, 64), EchoRequest, None),
            ("a ping's answer", icmp("192.0.2.99", SBC, 0, 64), EchoReply, None),
            ("timestamp request", icmp("203.0.113.17", SBC, 13, 64), ProtocolUnlisted, None),
            ("VRRP", raw("192.0.2.99", "224.0.0.18", 112, 255, &[0; 20]), DestinationMulticast, None),
            ("a DHCP answer", udp("192.0.2.99:67", &sbc(68)), SourceUnlisted, None),
        ],
    );
}

#[test]
fn knobs_let_their_class_in() {
    let classes = "[classes]\nlink_control = \"drop\"\nping = \"pass\"\ndhcp = \"pass\"\nvrrp = \"pass\"\nospf = \"pass\"\nbfd = \"pass\"\n";
    check(
        &[("[sbc.listen]", &format!("{classes}\n[sbc.listen]"))],
        vec![
            ("LLDP", ethernet([1, 0x80, 0xc2, 0, 0, 0xe], 0x88cc, &[0; 46]), Ethertype, None),
            ("ping", icmp("192.0.2.99", SBC, 8, 64), Ping, None),
            ("ping, IPv6", icmp("2001:db8:3::1", SBC_V6, 128, 64), Ping, None),
            ("ping to multicast", icmp("192.0.2.99", "224.0.0.1", 8, 64), DestinationMulticast, None),
            ("ping from a denied source", icmp("192.0.2.33", SBC, 8, 64), Denied, None),
            ("DHCP", udp("192.0.2.99:67", "255.255.255.255:68"), Dhcp, None),
            ("DHCPv6", udp("[fe80::1]:547", &sbc_v6(546)), Dhcp, None),
            ("ports of DHCP in IPv6", udp("[fe80::1]:67", &sbc_v6(68)), SourceUnlisted, None),
            ("ports of DHCPv6 in IPv4", udp("192.0.2.99:547", &sbc(546)), SourceUnlisted, None),
            ("towards a DHCP server", udp("192.0.2.99:68", &sbc(67)), SourceUnlisted, None),
            ("VRRP", raw("192.0.2.99", "224.0.0.18", 112, 255, &[0; 20]), Vrrp, None),
            ("VRRP from a denied source", raw("192.0.2.33", "224.0.0.18", 112, 255, &[0; 20]), Vrrp, None),
            ("OSPF", raw("192.0.2.99", "224.0.0.5", 89, 1, &[0; 24]), Ospf, None),
            ("BFD", udp("192.0.2.99:49152", &sbc(3784)), Bfd, None),
            ("BFD echo", udp("192.0.2.99:3785", &sbc(3785)), Bfd, None),
            ("BFD over hops", udp("192.0.2.99:49152", &sbc(4784)), Bfd, None),
            ("almost BFD", udp("192.0.2.99:49152", &sbc(3783)), SourceUnlisted, None),
        ],
    );
}

/// One fragment of each kind, with the reason that it has under `fragments = "listed"`.
fn fragments() -> Vec<Row> {
    let sip = || udp("203.0.113.17:5060", &sbc(5060));
    let sip_v6 = || udp("[2001:db8:1:5::1]:5060", &sbc_v6(5060));
    let segment = || tcp("203.0.113.17:40000", &sbc(5060), SYN);
    let first_of_ten = patch(fragment(sip(), 0, true), ETHERNET + 24, &[0x09, 0]);
    vec![
        ("a first fragment", fragment(sip(), 0, true), Listed, Some("carrier/sip-udp")),
        ("a first fragment of a long datagram", first_of_ten, Listed, Some("carrier/sip-udp")),
        ("a first fragment, IPv6", fragment(sip_v6(), 0, true), Listed, Some("carrier/sip-udp")),
        ("an unlisted first fragment", fragment(udp("192.0.2.99:5060", &sbc(5060)), 0, true), SourceUnlisted, None),
        (
            "a first fragment without its UDP header",
            patch(fragment(sip(), 0, true), ETHERNET + 2, &[0, 27]),
            FragmentTruncated,
            None,
        ),
        (
            "a first fragment without its TCP header",
            patch(fragment(segment(), 0, true), ETHERNET + 2, &[0, 39]),
            FragmentTruncated,
            None,
        ),
        ("a TCP fragment at offset 8", fragment(segment(), 8, true), FragmentOverlap, None),
        ("a later fragment where several rules could be", fragment(sip(), 1480, false), FragmentListed, None),
        (
            "a later fragment of the only rule",
            fragment(udp("192.0.2.77:1", &sbc(1)), 1480, false),
            FragmentUnlisted,
            None,
        ),
        (
            "a later fragment of one rule",
            fragment(raw("192.0.2.77", SBC, 47, 64, &[0; 20]), 1480, false),
            FragmentListed,
            Some("allow/tunnel"),
        ),
        ("a later fragment, IPv6", fragment(sip_v6(), 1448, false), FragmentListed, None),
        (
            "a later fragment of anything, IPv6",
            fragment(raw("2001:db8:1:5::1", SBC_V6, 60, 64, &[0; 8]), 1448, true),
            FragmentListed,
            None,
        ),
        (
            "an unlisted later fragment",
            fragment(udp("192.0.2.99:5060", &sbc(5060)), 1480, false),
            FragmentUnlisted,
            None,
        ),
        (
            "a later fragment of an unlisted protocol",
            fragment(raw("203.0.113.17", SBC, 47, 64, &[0; 20]), 1480, true),
            FragmentUnlisted,
            None,
        ),
        (
            "a later fragment from a denied source",
            fragment(tcp("192.0.2.33:1", &sbc(22), ACK), 1480, true),
            Denied,
            None,
        ),
    ]
}

#[test]
fn later_fragments_pass_from_listed_sources_only() {
    check(&[], fragments());
}

#[test]
fn later_fragments_are_dropped_where_the_policy_says_so() {
    let refused = |(name, frame, reason, rule): Row| match reason {
        FragmentListed | FragmentUnlisted => (name, frame, FragmentRefused, None),
        _ => (name, frame, reason, rule),
    };
    let rows = fragments().into_iter().map(refused).collect();
    check(&[("[sbc]\n", "[sbc]\nfragments = \"drop\"\n")], rows);
}

#[test]
fn scope_ports_judges_the_own_ports_and_passes_the_rest() {
    check(
        &[("[sbc]\n", "[sbc]\nscope = \"ports\"\n")],
        vec![
            ("listed SIP", udp("203.0.113.17:5060", &sbc(5060)), Listed, Some("carrier/sip-udp")),
            ("unlisted SIP", udp("192.0.2.99:5060", &sbc(5060)), SourceUnlisted, None),
            ("unlisted media", udp("192.0.2.99:5060", &sbc(16384)), SourceUnlisted, None),
            (
                "unlisted SIP in a first fragment",
                fragment(udp("192.0.2.99:5060", &sbc(5060)), 0, true),
                SourceUnlisted,
                None,
            ),
            ("TCP to a port of SIP over TLS", tcp("192.0.2.99:5060", &sbc(5061), SYN), SourceUnlisted, None),
            ("a trunk's port", tcp("192.0.2.99:5060", &sbc(5081), SYN), SourceUnlisted, None),
            ("UDP to a port of SIP over TLS", udp("192.0.2.99:5060", &sbc(5061)), OutOfScope, None),
            ("another address", udp("192.0.2.99:5060", "198.51.100.11:5060"), OutOfScope, None),
            ("SSH from anywhere", tcp("192.0.2.99:40000", &sbc(22), SYN), OutOfScope, None),
            ("a later fragment", fragment(udp("192.0.2.99:5060", &sbc(5060)), 1480, false), OutOfScope, None),
            ("ping", icmp("192.0.2.99", SBC, 8, 64), OutOfScope, None),
            ("a redirect", icmp("192.0.2.99", SBC, 5, 64), OutOfScope, None),
            ("multicast", udp("192.0.2.99:5060", "224.0.1.75:5060"), OutOfScope, None),
            ("GRE", raw("192.0.2.99", SBC, 47, 64, &[0; 20]), OutOfScope, None),
            ("PPPoE", ethernet([0xff; 6], 0x8864, &[0; 46]), OutOfScope, None),
            ("denied", tcp("192.0.2.33:40000", &sbc(80), SYN), Denied, None),
            ("malformed", patch(udp("192.0.2.99:1", &sbc(9)), ETHERNET, &[0x44]), Ipv4HeaderLength, None),
            ("martian", udp("127.0.0.1:1", &sbc(9)), MartianSource, None),
            ("three tags", tagged(udp("192.0.2.99:1", &sbc(9)), &[0x8100; 3]), VlanDepth, None),
        ],
    );
}

#[test]
fn monitor_mode_passes_what_it_counts_as_would_be_dropped() {
    let mut judges = Judges::new(&[("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]).expect("the policy is in force");
    judges.check_monitored("unlisted", &udp("192.0.2.99:5060", &sbc(5060)), SourceUnlisted);
    judges.check_monitored("malformed", &cut(udp("192.0.2.99:1", &sbc(9)), 20), Ipv4Truncated);
    judges.check("listed", &udp("203.0.113.17:5060", &sbc(5060)), Listed, Some("carrier/sip-udp"));
}

#[test]
fn what_is_dropped_is_sampled_with_its_first_octets() {
    // Reasons that few other rows have: of many at once only some are sampled.
    let (long, own) = (ethernet([0xff; 6], 0x8864, &[7; 1400]), udp(&sbc(5060), &sbc(5060)));
    let (listed, shortest) = (udp("203.0.113.17:5060", &sbc(5060)), cut(udp("192.0.2.99:1", &sbc(9)), 14));
    let frames = [(long, Ethertype), (listed, Listed), (own, OwnSource), (shortest, Ipv4Truncated)];
    let mut judges = Judges::new(&[]).expect("the policy is in force");
    judges.check_sampled(&frames.each_ref().map(|(frame, reason)| (frame.as_slice(), *reason)));
}

#[test]
fn without_a_policy_everything_passes() {
    Judges::without_policy().expect("the program loads").check_unjudged(&udp("192.0.2.99:5060", &sbc(5060)));
}

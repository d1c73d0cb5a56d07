//! The mutants: one wrong comparison, constant or operand each, as a reviewer might overlook it.

/// A change that breaks the decision or its tables.
pub(super) struct Mutant {
    /// What is wrong with it.
    pub(super) what: &'static str,
    /// The file, from the workspace's root.
    pub(super) file: &'static str,
    /// What stands there once.
    pub(super) old: &'static str,
    /// What the mutant has there.
    pub(super) new: &'static str,
}

const fn mutant(what: &'static str, file: &'static str, old: &'static str, new: &'static str) -> Mutant {
    Mutant { what, file, old, new }
}

const ETHERNET: &str = "filter-common/src/packet/ethernet.rs";
const IPV4: &str = "filter-common/src/packet/ipv4.rs";
const IPV6: &str = "filter-common/src/packet/ipv6.rs";
const TRANSPORT: &str = "filter-common/src/packet/transport.rs";
const DECIDE: &str = "filter-common/src/decide/mod.rs";
const QUIET: &str = "filter-common/src/decide/quiet.rs";
const PARTS: &str = "filter-common/src/source_index/parts.rs";
const FILTER: &str = "filter-common/src/source_index/filter.rs";
const SOURCE_INDEX: &str = "filter-common/src/source_index/mod.rs";
const MAKING_INDEX: &str = "filter-user/src/policy/source_index/mod.rs";
const CROSSING: &str = "filter-common/src/tables/crossing.rs";
const CLASSIFY: &str = "filter-common/src/decide/classify.rs";
const ICMP: &str = "filter-common/src/decide/icmp.rs";
const ADDRESS: &str = "filter-common/src/address.rs";
const TABLES: &str = "filter-common/src/tables.rs";
const PORT_TABLES: &str = "filter-user/src/policy/compile/port_tables.rs";
const SOURCES: &str = "filter-user/src/policy/compile/sources.rs";
const OWN_PORTS: &str = "filter-user/src/policy/compile/own_ports.rs";
const MATCHING: &str = "filter-user/src/policy/compile/matching.rs";
const FRAME: &str = "filter-ebpf/src/frame.rs";
const LIMIT: &str = "filter-common/src/decide/limit.rs";
const ANSWER: &str = "filter-common/src/decide/answer.rs";
const INSPECT: &str = "filter-common/src/decide/inspect.rs";
const STATE: &str = "filter-common/src/state.rs";

pub(super) const MUTANTS: [Mutant; 43] = [
    mutant("0x9100 is no VLAN tag", ETHERNET, " | ethertype::QINQ)", ")"),
    mutant(
        "a second VLAN tag is not skipped",
        ETHERNET,
        "kind = tagged(frame, offset)?;\n            offset += VLAN_TAG;",
        "kind = tagged(frame, offset)?;",
    ),
    mutant("IPv4 options are not skipped", IPV4, "offset: start + header_length,", "offset: start + HEADER,"),
    mutant(
        "IPv4 total length one beyond the frame",
        IPV4,
        "!frame.reaches(start + total_length)",
        "!frame.reaches(start + total_length - 1)",
    ),
    mutant("plain IPv4 packets beyond the frame", IPV4, "frame.reaches(end).then", "frame.reaches(start).then"),
    mutant("later fragments are plain packets", IPV4, "[0x3f, 0xff, 0, 0xff]", "[0x20, 0, 0, 0xff]"),
    mutant("what is denied is of no account to quiet policies", QUIET, " && !policy.has_live_entries()", ""),
    mutant("a group of sources sets one of its two bits", FILTER, "first | second", "first"),
    mutant(
        "the tries are asked of a listed martian, which passes a quiet policy",
        SOURCE_INDEX,
        "if address.is_martian_source() { 0 }",
        "if false { 0 }",
    ),
    mutant(
        "the index knows of a listed martian, which passes a quiet policy",
        MAKING_INDEX,
        "address.is_martian_source() && *cell != Cell::default()",
        "false",
    ),
    mutant(
        "source ports are alike whatever their classes",
        CROSSING,
        "if sources.start() == sources.end() { 0 }",
        "if sources.start() <= sources.end() { 0 }",
    ),
    mutant(
        "a martian's multicast is multicast to a quiet policy",
        DECIDE,
        "let martian = P::IS_QUIET",
        "let martian = !P::IS_QUIET",
    ),
    mutant("the last address of a prefix that stands alone", PARTS, "<= self.more", "< self.more"),
    mutant("seven extension headers", IPV6, "MAX_EXTENSIONS: usize = 6", "MAX_EXTENSIONS: usize = 7"),
    mutant(
        "routing type 0 never refused",
        IPV6,
        "header.u8::<2>() == 0 && header.u8::<3>() != 0",
        "header.u8::<2>() == 0 && header.u8::<3>() == 255",
    ),
    mutant(
        "TCP fragment at offset 8 passes",
        TRANSPORT,
        "network.protocol == ip::TCP && network.fragment.offset() == 8",
        "network.protocol == ip::TCP && network.fragment.offset() == 0",
    ),
    mutant("UDP length 7", TRANSPORT, "length < UDP_HEADER || beyond", "length + 1 < UDP_HEADER || beyond"),
    mutant("SYN with RST", TRANSPORT, "flags & (FIN | RST) != 0", "flags & FIN != 0"),
    mutant("port 0 as destination", TRANSPORT, "source.is(0) || destination.is(0)", "source.is(0)"),
    mutant("neighbour discovery from one router away", DECIDE, "packet.hop_limit == 255", "packet.hop_limit >= 254"),
    mutant(
        "the deny list looks at the destination",
        DECIDE,
        "policy.is_denied(packet.source)",
        "policy.is_denied(packet.destination)",
    ),
    mutant(
        "ping to multicast",
        DECIDE,
        "knobs.has(flags::PING) && !packet.destination.is_multicast_or_broadcast()",
        "knobs.has(flags::PING)",
    ),
    mutant(
        "unsolicited advertisements from `::`",
        ICMP,
        "                | icmpv6_type::NEIGHBOR_SOLICITATION\n",
        "                | icmpv6_type::NEIGHBOR_ADVERTISEMENT\n",
    ),
    mutant("opening segments wherever answers come in", CLASSIFY, "{ to & from & tables.opening }", "{ to & from }"),
    mutant("source ports do not matter", CLASSIFY, "} else { to & from };", "} else { to };"),
    mutant(
        "later UDP fragments in IPv6 by any rule",
        CLASSIFY,
        "!matches!(packet.protocol, ip::TCP | ip::UDP)",
        "!matches!(packet.protocol, ip::TCP)",
    ),
    mutant("broadcast as source", ADDRESS, "before > 222 ||", "before > 222 && before != 254 ||"),
    mutant("the fourth word of a set of terms", TABLES, "(d, 192)", "(d, 128)"),
    mutant("a range of ports ends one port late", PORT_TABLES, "last.checked_add(1)", "last.checked_add(2)"),
    mutant(
        "the longest prefix hides the wider one's rules",
        SOURCES,
        "same.iter().fold(inherited,",
        "same.iter().fold(Claim::default(),",
    ),
    mutant(
        "replies to listening ports",
        OWN_PORTS,
        "tcp: reply_ports.without(&listening.tcp)",
        "tcp: reply_ports.clone()",
    ),
    mutant(
        "relayed media from port 1023",
        MATCHING,
        "PortSet::between(1024..=65535), media",
        "PortSet::between(1023..=65535), media",
    ),
    mutant("the kernel alone misses the last octet", FRAME, "address + N > self.end", "address + N >= self.end"),
    mutant(
        "a fragment right behind its first one overlaps it",
        DECIDE,
        "packet.fragment.offset() < first.length",
        "packet.fragment.offset() <= first.length",
    ),
    mutant(
        "a second first fragment passes",
        DECIDE,
        "if state.first_fragment(&datagram).is_some() {",
        "if state.first_fragment(&datagram).is_some_and(|first| first.length == 0) {",
    ),
    mutant(
        "every TCP segment is limited",
        LIMIT,
        "matches!(packet.transport, Transport::Tcp { opening: true, .. })",
        "matches!(packet.transport, Transport::Tcp { .. })",
    ),
    mutant(
        "echo requests are not limited",
        LIMIT,
        "Some(Message::Error | Message::EchoRequest)",
        "Some(Message::Error)",
    ),
    mutant(
        "hosts of one IPv6 subnet share no limit",
        STATE,
        "Address::V6([network, _]) => [network, 0],",
        "Address::V6(words) => words,",
    ),
    mutant(
        "one packet less than the burst",
        STATE,
        "if due > now + self.tolerance {",
        "if due >= now + self.tolerance {",
    ),
    mutant(
        "any segment that is sent opens a flow",
        ANSWER,
        "(answering(Tables::TCP, source, destination), opening),",
        "(answering(Tables::TCP, source, destination), opening || source > 0),",
    ),
    mutant(
        "what is sent to the SBC's own ports opens no flow",
        ANSWER,
        "owns(ports.destination.number())",
        "owns(ports.source.number())",
    ),
    mutant(
        "DTLS is no media",
        INSPECT,
        "matches!(first, 0..=3 | 16..=79 | 128..=191)",
        "matches!(first, 0..=3 | 64..=79 | 128..=191)",
    ),
    mutant(
        "a payload of one octet is not inspected",
        INSPECT,
        "(header.u16::<4>()) < UDP_HEADER_AND_FIRST",
        "(header.u16::<4>()) <= UDP_HEADER_AND_FIRST",
    ),
];

//! Why a packet passes or is dropped: the spine of counters, metrics, events, `explain` and the documentation.

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The host's stack gets it.
    Pass,
    /// It ends here.
    Drop,
}

impl Action {
    /// The name in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

macro_rules! reasons {
    ($($action:ident { $($variant:ident = $index:literal, $name:literal, $text:literal;)+ })+) => {
        /// The one end of the decision that a packet came to.
        ///
        /// The discriminant is the index of its counter and part of the ABI: append, never renumber.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[doc = $text] $variant = $index,)+)+
        }

        impl Reason {
            /// Every reason, those that pass first.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// What becomes of a packet with this reason.
            #[inline(always)]
            pub const fn action(self) -> Action {
                match self {
                    $($(Self::$variant)|+ => Action::$action,)+
                }
            }

            /// The name in output, metrics and events.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)+)+
                }
            }

            /// One sentence for people.
            pub const fn description(self) -> &'static str {
                match self {
                    $($(Self::$variant => $text,)+)+
                }
            }
        }
    };
}

reasons! {
    Pass {
        Listed = 0, "listed", "A rule allows it.";
        FragmentListed = 1, "fragment_listed", "A later fragment from a source that has a rule for its protocol.";
        Arp = 2, "arp", "ARP, without which the host loses its neighbours.";
        LinkControl = 3, "link_control", "LLDP, LACP, EAPOL, spanning tree or PTP.";
        NeighborDiscovery = 4, "neighbor_discovery", "IPv6 neighbour discovery from the link (RFC 4861).";
        MulticastListener = 5, "multicast_listener", "Multicast listener discovery (RFC 2710, RFC 3810).";
        Dhcp = 6, "dhcp", "A DHCP server's answer, let in by `dhcp`.";
        Vrrp = 7, "vrrp", "VRRP, let in by `vrrp`.";
        Ospf = 8, "ospf", "OSPF, let in by `ospf`.";
        Bfd = 9, "bfd", "BFD, let in by `bfd`.";
        IcmpError = 10, "icmp_error", "An ICMP error: unreachable, too big, time exceeded, parameter problem.";
        Ping = 11, "ping", "An echo request, let in by `ping`.";
        OutOfScope = 12, "out_of_scope", "Not to the SBC's own SIP or media ports, which is all that `scope = \"ports\"` judges.";
        NoPolicy = 13, "no_policy", "No policy is in force.";
        FragmentTracked = 14, "fragment_tracked", "A later fragment whose first one passed.";
        ReturnTraffic = 15, "return_traffic", "The answer to what this host sent.";
    }
    Drop {
        SourceUnlisted = 32, "source_unlisted", "No rule names its source.";
        PortClosed = 33, "port_closed", "Its source is listed, but not for this destination port.";
        SourcePort = 34, "source_port", "Listed but for its source port, which the provider does not publish.";
        OpeningSegment = 35, "opening_segment", "It opens a TCP connection where only answers are let in.";
        ProtocolUnlisted = 36, "protocol_unlisted", "Its source is listed, but not for this IP protocol.";
        ProviderDenied = 37, "provider_denied", "Its source is on the always-deny list of the provider that would allow it.";
        Denied = 38, "denied", "Its source is on the deny list.";
        EchoRequest = 39, "echo_request", "An echo request that neither `ping` nor a rule lets in.";
        EchoReply = 40, "echo_reply", "An echo reply that no rule lets in.";
        DestinationMulticast = 41, "destination_multicast", "To a multicast or broadcast address, and not essential.";
        DestinationForeign = 42, "destination_foreign", "To none of the SBC's own `addresses`.";
        Ethertype = 43, "ethertype", "Neither IP nor a link protocol that is let in.";
        VlanDepth = 44, "vlan_depth", "More than two VLAN tags.";
        MartianSource = 45, "martian_source", "From an address that no host may send from.";
        OwnSource = 46, "own_source", "From one of the SBC's own `addresses`.";
        NeighborDiscoveryHopLimit = 47, "neighbor_discovery_hop_limit", "Neighbour discovery that came from beyond the link (hop limit not 255).";
        Redirect = 48, "redirect", "An ICMP or neighbour-discovery redirect.";
        SourceQuench = 49, "source_quench", "An ICMP source quench (deprecated by RFC 6633).";
        FragmentUnlisted = 50, "fragment_unlisted", "A later fragment from a source that has no rule for its protocol.";
        FragmentRefused = 51, "fragment_refused", "A later fragment, and `fragments = \"drop\"`.";
        FragmentTruncated = 52, "fragment_truncated", "A first fragment without its whole transport header.";
        FragmentOverlap = 53, "fragment_overlap", "A fragment that rewrites part of its first one (RFC 1858).";
        FragmentEarly = 54, "fragment_early", "A later fragment whose first one has not passed.";
        RateLimitSip = 55, "rate_limit_sip", "More SIP over UDP than `[limits] sip` allows its source.";
        RateLimitTcp = 56, "rate_limit_tcp", "More new TCP connections than `[limits] tcp` allows its source.";
        RateLimitIcmp = 57, "rate_limit_icmp", "More ICMP errors and echo requests than `[limits] icmp` allows its source.";
        InspectSip = 58, "inspect_sip", "Neither SIP nor what else is sent on SIP's ports, by its first octet.";
        InspectMedia = 59, "inspect_media", "Neither RTP nor what else is sent on media ports, by its first octet (RFC 7983).";
        EthernetTruncated = 64, "ethernet_truncated", "Shorter than an Ethernet header and its VLAN tags.";
        Ipv4Truncated = 65, "ipv4_truncated", "Shorter than an IPv4 header.";
        Ipv4Version = 66, "ipv4_version", "The IP version is not the one that the ethertype says.";
        Ipv4HeaderLength = 67, "ipv4_header_length", "An IPv4 header length under 20 octets.";
        Ipv4TotalLength = 68, "ipv4_total_length", "An IPv4 total length short of the header or beyond the frame.";
        Ipv6Truncated = 69, "ipv6_truncated", "Shorter than an IPv6 header.";
        Ipv6Version = 70, "ipv6_version", "The IP version is not the one that the ethertype says.";
        Ipv6PayloadLength = 71, "ipv6_payload_length", "An IPv6 payload length beyond the frame.";
        Ipv6Jumbogram = 72, "ipv6_jumbogram", "An IPv6 jumbogram (RFC 2675).";
        Ipv6ExtensionTruncated = 73, "ipv6_extension_truncated", "An IPv6 extension header beyond the payload.";
        Ipv6ExtensionChain = 74, "ipv6_extension_chain", "More than six IPv6 extension headers, or one out of place.";
        Ipv6RoutingType0 = 75, "ipv6_routing_type_0", "A type 0 routing header with segments left (RFC 5095).";
        TcpTruncated = 76, "tcp_truncated", "Shorter than a TCP header.";
        TcpDataOffset = 77, "tcp_data_offset", "A TCP data offset under 20 octets or beyond the segment.";
        TcpFlags = 78, "tcp_flags", "TCP flags that no sender sets together.";
        UdpTruncated = 79, "udp_truncated", "Shorter than a UDP header.";
        UdpLength = 80, "udp_length", "A UDP length under 8 or beyond the IP payload.";
        IcmpTruncated = 81, "icmp_truncated", "Shorter than an ICMP header.";
        PortZero = 82, "port_zero", "TCP or UDP port 0.";
    }
}

impl Reason {
    /// One more than the largest index that a reason may have.
    pub const SLOTS: u32 = 96;
    /// Reasons from this index on drop, those below pass.
    pub const FIRST_DROP: u32 = 32;

    /// The index of the reason's counter, below [`Reason::SLOTS`].
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self as u32
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_distinct_and_fit_their_counters() {
        let mut seen = [false; Reason::SLOTS as usize];
        for reason in Reason::ALL {
            let index = reason.index() as usize;
            assert!(!core::mem::replace(&mut seen[index], true), "{reason:?} shares index {index}");
        }
    }

    #[test]
    fn indices_tell_drops_from_passes() {
        for reason in Reason::ALL {
            assert_eq!(reason.action() == Action::Drop, reason.index() >= Reason::FIRST_DROP, "{reason:?}");
        }
    }

    #[test]
    fn names_are_distinct_and_lead_back_to_their_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(*reason));
        }
        assert_eq!(Reason::from_name("no such reason"), None);
    }
}

//! What a column of a table holds, as its header says.

use super::super::words::{WordSet, words};

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// What the row is about: a component, a service, a description.
    Label,
    Protocol,
    /// Addresses of the side that opens the connection.
    SourceAddress,
    SourcePort,
    /// Addresses of the side that listens.
    DestinationAddress,
    /// Addresses, the header does not say of which side.
    Address,
    Port,
    Region,
    Direction,
}

impl Role {
    /// The role that a header names, if it is one that tables of rules use.
    pub(crate) fn of_header(header: &str) -> Option<Self> {
        let words = words(header);
        let has = |listed: &[&str]| words.iter().any(|word| listed.contains(&word.as_str()));
        let has_of = |listed: &WordSet| words.iter().any(|word| listed.has(word));
        let ours = has(&["source", "src", "client", "local", "your", "from"]);
        let theirs = has(&["destination", "destinations", "dest", "dst", "to", "target", "targets", "remote"]);
        if words.is_empty() || words.len() > 12 {
            None
        } else if has(&["port", "ports"]) {
            Some(if ours && !theirs { Self::SourcePort } else { Self::Port })
        } else if has(&["protocol", "protocols", "proto", "transport", "transports"]) || words == ["tcp", "udp"] {
            Some(Self::Protocol)
        } else if has(&["direction", "initiator", "initiated"]) {
            Some(Self::Direction)
        } else if has_of(&REGION_WORDS) && !has(&["ip", "ips", "address", "addresses", "cidr"]) {
            Some(Self::Region)
        } else if has_of(&ADDRESS_WORDS) || theirs || words == ["source"] || words == ["from"] {
            Some(match (ours, theirs) {
                (true, false) => Self::SourceAddress,
                (_, true) => Self::DestinationAddress,
                (false, false) => Self::Address,
            })
        } else if has_of(&LABEL_WORDS) {
            Some(Self::Label)
        } else {
            None
        }
    }

    /// Whether the column holds addresses.
    pub(crate) fn is_address(self) -> bool {
        matches!(self, Self::SourceAddress | Self::DestinationAddress | Self::Address)
    }
}

impl Role {
    /// Whether the column holds the addresses of the side that listens, as far as its header says.
    pub(super) fn is_remote(self) -> bool {
        matches!(self, Self::DestinationAddress | Self::Address)
    }
}

static REGION_WORDS: WordSet = WordSet::new(
    "region regions location locations edge edges country site sites zone area \
    datacenter datacentre geography exchange pop",
);

static ADDRESS_WORDS: WordSet = WordSet::new(
    "ip ips ipv4 ipv6 address addresses cidr cidrs subnet subnets network networks \
    range ranges host hosts hostname hostnames fqdn fqdns domain domains prefix \
    prefixes url urls endpoint endpoints gateway gateways netmask netmasks mask masks",
);

static LABEL_WORDS: WordSet = WordSet::new(
    "service services component components description purpose usage use application \
    name type traffic function notes note comment comments feature product category \
    role connection system module",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_their_synonyms_name_roles() {
        for (header, expected) in [
            ("Protocol", Some(Role::Protocol)),
            ("Transport", Some(Role::Protocol)),
            ("Source IP", Some(Role::SourceAddress)),
            ("Source Port", Some(Role::SourcePort)),
            ("Destination", Some(Role::DestinationAddress)),
            ("Destination IP Ranges", Some(Role::DestinationAddress)),
            ("Destination Port Range", Some(Role::Port)),
            ("Transport/Port (Application)", Some(Role::Port)),
            ("Port and Protocol", Some(Role::Port)),
            ("Server IPv4 Address Range", Some(Role::Address)),
            ("CIDR", Some(Role::Address)),
            ("Secure Media (ICE/STUN/SRTP) Edge Locations", Some(Role::Region)),
            ("Region ID", Some(Role::Region)),
            ("Component", Some(Role::Label)),
            ("Termination SIP URI", None),
            ("", None),
        ] {
            assert_eq!(Role::of_header(header), expected, "{header}");
        }
    }
}

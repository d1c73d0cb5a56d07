//! The link layer, as the table of classes words it.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};
use filter_common::Reason;

use super::network::{self, Datagram};

/// What a frame carries.
pub(super) enum Seen {
    Arp,
    LinkControl,
    OtherEthertype,
    Ip(Datagram),
}

/// 802.1Q, 802.1ad and what came before it.
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
/// LLDP, slow protocols (LACP), EAPOL and PTP.
const LINK_CONTROL: [u16; 4] = [0x88cc, 0x8809, 0x888e, 0x88f7];

pub(super) fn read(frame: &[u8]) -> Result<Seen, Reason> {
    let header = Ethernet2HeaderSlice::from_slice(frame).map_err(|_| Reason::EthernetTruncated)?;
    let mut kind = header.ether_type().0;
    let mut rest = &frame[header.slice().len()..];
    for _ in 0..2 {
        if TAGS.contains(&kind) {
            let tag = SingleVlanHeaderSlice::from_slice(rest).map_err(|_| Reason::EthernetTruncated)?;
            kind = tag.ether_type().0;
            rest = &rest[tag.slice().len()..];
        }
    }
    // Linux `eth_proto_is_802_3`: below this the field is a length, and LLC follows.
    let to_bridges = kind < 0x0600 && header.destination().starts_with(&[0x01, 0x80, 0xc2]);
    match kind {
        tag if TAGS.contains(&tag) => Err(Reason::VlanDepth),
        0x0800 => network::read_ipv4(rest).map(Seen::Ip),
        0x86dd => network::read_ipv6(rest).map(Seen::Ip),
        0x0806 => Ok(Seen::Arp),
        kind if LINK_CONTROL.contains(&kind) || to_bridges => Ok(Seen::LinkControl),
        _ => Ok(Seen::OtherEthertype),
    }
}

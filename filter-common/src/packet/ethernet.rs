//! Ethernet II, LLC and up to two VLAN tags.

use super::Frame;
use crate::Reason;

/// What follows the Ethernet header, IP with the offset of its header.
pub(super) enum Payload {
    Arp,
    LinkControl,
    Other,
    Ipv4(usize),
    Ipv6(usize),
}

const HEADER: usize = 14;
const VLAN_TAG: usize = 4;

mod ethertype {
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const SLOW_PROTOCOLS: u16 = 0x8809;
    pub(super) const EAPOL: u16 = 0x888e;
    pub(super) const PROVIDER_BRIDGE: u16 = 0x88a8;
    pub(super) const LLDP: u16 = 0x88cc;
    pub(super) const PTP: u16 = 0x88f7;
    pub(super) const QINQ: u16 = 0x9100;
    /// Below this the field is a length, and LLC follows (IEEE 802.3, clause 3.2.6).
    pub(super) const SMALLEST: u16 = 0x0600;
}

/// The first three octets of the bridge group addresses (IEEE 802.1D, table 7-10).
const BRIDGE_GROUP: [u8; 3] = [0x01, 0x80, 0xc2];

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F) -> Result<Payload, Reason> {
    let [d0, d1, d2, _, _, _, _, _, _, _, _, _, high, low] =
        frame.read::<HEADER>(0).ok_or(Reason::EthernetTruncated)?;
    let mut kind = u16::from_be_bytes([high, low]);
    let mut offset = HEADER;
    // Written out: a loop here makes every offset behind it unknown to the verifier.
    if is_tag(kind) {
        kind = tagged(frame, offset)?;
        offset += VLAN_TAG;
        if is_tag(kind) {
            kind = tagged(frame, offset)?;
            offset += VLAN_TAG;
            if is_tag(kind) {
                return Err(Reason::VlanDepth);
            }
        }
    }
    Ok(match kind {
        ethertype::IPV4 => Payload::Ipv4(offset),
        ethertype::IPV6 => Payload::Ipv6(offset),
        ethertype::ARP => Payload::Arp,
        ethertype::LLDP | ethertype::SLOW_PROTOCOLS | ethertype::EAPOL | ethertype::PTP => Payload::LinkControl,
        length if length < ethertype::SMALLEST && [d0, d1, d2] == BRIDGE_GROUP => Payload::LinkControl,
        _ => Payload::Other,
    })
}

#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    matches!(kind, ethertype::VLAN | ethertype::PROVIDER_BRIDGE | ethertype::QINQ)
}

/// The ethertype behind the tag at `offset`.
#[inline(always)]
fn tagged<F: Frame + ?Sized>(frame: &F, offset: usize) -> Result<u16, Reason> {
    let [_, _, high, low] = frame.read::<VLAN_TAG>(offset).ok_or(Reason::EthernetTruncated)?;
    Ok(u16::from_be_bytes([high, low]))
}

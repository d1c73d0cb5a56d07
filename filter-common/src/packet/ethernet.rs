//! Ethernet II, LLC and up to two VLAN tags.

use super::{Frame, Header, ipv4};
use crate::{Reason, verifier::apart};

/// What follows the Ethernet header, IP with the offset of its header.
pub(crate) enum Payload {
    Arp,
    LinkControl,
    Other,
    Ipv4(usize),
    Ipv6(usize),
}

/// Where what follows begins, in a frame without tags.
pub(crate) const UNTAGGED: usize = HEADER;

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
const BRIDGE_GROUP: u32 = 0x01_80_c2;

#[inline(always)]
pub(super) fn parse<F: Frame + ?Sized>(frame: &F) -> Result<Payload, Reason> {
    let Some(header) = frame.read::<HEADER>(0) else {
        apart();
        return Err(Reason::EthernetTruncated);
    };
    let mut kind = header.u16::<12>();
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
        length if length < ethertype::SMALLEST && is_to_bridge_group(frame) => Payload::LinkControl,
        _ => Payload::Other,
    })
}

/// Whether an IPv4 header without options follows at once: by one number, for nearly all do.
#[inline(always)]
pub(super) fn carries_ipv4_without_options<H: Header>(header: H) -> bool {
    let [high, low] = ethertype::IPV4.to_be_bytes();
    let (asked, wanted) = ([0xff, 0xff, 0xff, 0], [high, low, ipv4::WITHOUT_OPTIONS, 0]);
    header.u32_in_network_order::<12>() & u32::from_ne_bytes(asked) == u32::from_ne_bytes(wanted)
}

/// Read by itself, for few frames need it.
#[inline(always)]
fn is_to_bridge_group<F: Frame + ?Sized>(frame: &F) -> bool {
    frame.read::<HEADER>(0).is_some_and(|header| header.u32::<0>() >> 8 == BRIDGE_GROUP)
}

#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    matches!(kind, ethertype::VLAN | ethertype::PROVIDER_BRIDGE | ethertype::QINQ)
}

/// The ethertype behind the tag at `offset`.
#[inline(always)]
fn tagged<F: Frame + ?Sized>(frame: &F, offset: usize) -> Result<u16, Reason> {
    Ok(frame.read::<VLAN_TAG>(offset).ok_or(Reason::EthernetTruncated)?.u16::<2>())
}

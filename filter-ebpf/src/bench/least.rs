//! The least that a filter by source and port can do, however it finds its answers: read the headers, look up a table, of which
//! it reads one word by the source and for what passes one by the port, and count.

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::{Array, PerCpuArray},
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use filter_common::{
    Counter, entry,
    packet::{self, Packet, PlainPacket, Transport},
};

use crate::{
    headers::{self, Header, Outcome},
    path::count_drop,
};

/// What is known of sources and of ports: nothing, so that all of a flood goes one way.
#[repr(C)]
struct Known {
    sources: [u64; 1 << 13],
    ports: [u16; 1 << 16],
}

#[btf_map]
static LEAST_KNOWN: Array<Known, 1> = Array::new();

/// What passed.
#[btf_map]
static LEAST_PASSED: PerCpuArray<Counter, 1> = PerCpuArray::new();

/// Drops what it knows nothing of.
#[xdp]
pub fn drop_least(context: XdpContext) -> u32 {
    if drops(&headers::header(&context, 0)) { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}

/// Lets in what it knows nothing of.
#[xdp]
pub fn pass_least(context: XdpContext) -> u32 {
    if passes(&headers::header(&context, 0)) { xdp_action::XDP_PASS } else { xdp_action::XDP_DROP }
}

/// The first of these among the headers of a frame.
#[inline(always)]
pub(crate) fn dropping(_: &XdpContext, header: &Header) -> Outcome {
    let drops = drops(header);
    Outcome { passes: !drops, digest: drops.into() }
}

/// The second one.
#[inline(always)]
pub(crate) fn passing(_: &XdpContext, header: &Header) -> Outcome {
    let passes = passes(header);
    Outcome { passes, digest: passes.into() }
}

#[inline(always)]
fn drops(header: &Header) -> bool {
    let drops = read(header).map(|(known, packet)| source(known, &packet)) == Some(0);
    if drops {
        count_drop(header.length());
    }
    drops
}

#[inline(always)]
fn passes(header: &Header) -> bool {
    let passes = read(header).map(|(known, packet)| (source(known, &packet), port(known, &packet))) == Some((0, 0));
    if passes && let Some(counter) = LEAST_PASSED.get_ptr_mut(0) {
        // SAFETY: the element belongs to this CPU.
        unsafe { (*counter).count(header.length() as u64) };
    }
    passes
}

#[inline(always)]
fn read(header: &Header) -> Option<(&'static Known, Packet)> {
    let (PlainPacket::Udp(packet) | PlainPacket::Tcp(packet)) = packet::parse_plain(header)?;
    Some((LEAST_KNOWN.get(0)?, packet))
}

/// What is known of a source: a bit of a word, both by its hash.
#[inline(always)]
fn source(known: &Known, packet: &Packet) -> u64 {
    let [high, low] = packet.source.words();
    // As in `SourceFilter`.
    let hash = (high ^ low).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    entry(&known.sources, hash >> 51) >> (hash >> 45 & 63) & 1
}

/// What is known of a port.
#[inline(always)]
fn port(known: &Known, packet: &Packet) -> u16 {
    match packet.transport {
        Transport::Udp { destination, .. } | Transport::Tcp { destination, .. } => {
            *entry(&known.ports, destination.number())
        }
        _ => 0,
    }
}

//! What the filter is compared with.

use aya_ebpf::{
    btf_maps::{Array, LpmTrie, PerCpuArray, lpm_trie::Key},
    macros::btf_map,
    programs::XdpContext,
};
use filter_common::{
    Address, Counter,
    packet::{self, Packet, PlainPacket, Transport},
    tables::PREFIXES,
};

use crate::headers::{Header, Outcome};

#[btf_map]
static PEER_V4: LpmTrie<[u8; 4], u32, { PREFIXES as usize }> = LpmTrie::new();
#[btf_map]
static PEER_V6: LpmTrie<[u8; 16], u32, { PREFIXES as usize }> = LpmTrie::new();

/// Ranges of ports, which are looked through: the first port in the upper half, the last one in the lower. 0 ends them.
#[repr(C)]
struct Ranges {
    list: [u32; 16],
}

#[btf_map]
static PEER_RANGES: Array<Ranges, 1> = Array::new();

/// What passed, and what did not.
#[btf_map]
static PEER_COUNTERS: PerCpuArray<Counter, 2> = PerCpuArray::new();

#[inline(always)]
pub(crate) fn trie_and_list(_: &XdpContext, header: &Header) -> Outcome {
    let passes = allows(header).unwrap_or(false);
    if let Some(counter) = PEER_COUNTERS.get_ptr_mut(passes.into()) {
        // SAFETY: the element belongs to this CPU.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += header.length() as u64;
        }
    }
    Outcome { passes, digest: passes.into() }
}

/// Whether the peer lets a packet in; nothing where it is not one that it knows.
#[inline(always)]
pub(crate) fn allows(header: &Header) -> Option<bool> {
    let Some(PlainPacket::Udp(Packet { source, transport: Transport::Udp { destination, .. }, .. })) =
        packet::parse_plain(header)
    else {
        return None;
    };
    // By words: the verifier does not follow LLVM where it copies octets of either family.
    let [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]] = source.words().map(u64::to_be_bytes);
    let listed = match source {
        Address::V4(_) => PEER_V4.get(&Key::new(32, [m, n, o, p])),
        Address::V6(_) => PEER_V6.get(&Key::new(128, [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])),
    };
    listed?;
    let port = u32::from(destination.number());
    for range in &PEER_RANGES.get(0)?.list {
        if *range == 0 {
            break;
        }
        if port >= *range >> 16 && port <= *range & 0xffff {
            return Some(true);
        }
    }
    Some(false)
}

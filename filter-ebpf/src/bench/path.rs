//! Programs for a packet's whole way: what makes packets, and what the filter stands beside on an interface.

use core::ptr;

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::{Array, PerCpuArray},
    helpers::generated::bpf_redirect,
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use filter_common::Counter;

use crate::{headers, peer, slices, stages};

/// The index of the interface that packets are sent out of.
#[btf_map]
static FLOOD_OUT_OF: Array<u32, 1> = Array::new();

/// What the programs here dropped.
#[btf_map]
static PATH_DROPPED: PerCpuArray<Counter, 1> = PerCpuArray::new();

/// What the programs here let in, where they count that.
#[btf_map]
static PATH_PASSED: PerCpuArray<Counter, 1> = PerCpuArray::new();

/// Sends an IPv4 packet on from a new source.
#[xdp]
pub fn flood(context: XdpContext) -> u32 {
    if headers::renew_source(context.ctx, 0) == 0 || write_checksum(&context).is_none() {
        return xdp_action::XDP_DROP;
    }
    slices::sent();
    let interface = FLOOD_OUT_OF.get(0).copied().unwrap_or_default();
    // SAFETY: the helper has no preconditions.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it returns an XDP action")]
    let action = unsafe { bpf_redirect(interface, 0) as u32 };
    action
}

/// Drops everything, which is the least that a filter can do.
#[xdp]
pub fn drop_all(context: XdpContext) -> u32 {
    count_drop(context.data_end() - context.data());
    xdp_action::XDP_DROP
}

/// Lets everything in, which is the least that a filter can do in front of the stack.
#[xdp]
pub fn pass_all(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// Reads the packet as the filter does, and drops it: what every filter that looks at ports costs at the least.
#[xdp]
pub fn drop_parsed(context: XdpContext) -> u32 {
    let header = headers::header(&context, 0);
    // Of none: so that nothing is left out.
    if stages::parsed(&header) == 0 {
        return xdp_action::XDP_PASS;
    }
    count_drop(header.length());
    xdp_action::XDP_DROP
}

/// Reads the packet as the filter does, counts it and lets it in: the least in front of the stack of what looks at ports.
#[xdp]
pub fn pass_parsed(context: XdpContext) -> u32 {
    let header = headers::header(&context, 0);
    // Of none: so that nothing is left out.
    if stages::parsed(&header) == 0 {
        return xdp_action::XDP_DROP;
    }
    count(&PATH_PASSED, header.length());
    xdp_action::XDP_PASS
}

/// The kernel's trie and a list of port ranges, on an interface.
#[xdp]
pub fn drop_by_trie(context: XdpContext) -> u32 {
    let header = headers::header(&context, 0);
    if peer::allows(&header).unwrap_or(false) {
        return xdp_action::XDP_PASS;
    }
    count_drop(header.length());
    xdp_action::XDP_DROP
}

#[inline(always)]
pub(crate) fn count_drop(length: usize) {
    count(&PATH_DROPPED, length);
}

#[inline(always)]
fn count(counter: &'static PerCpuArray<Counter, 1>, length: usize) {
    if let Some(counter) = counter.get_ptr_mut(0) {
        // SAFETY: the element belongs to this CPU.
        unsafe { (*counter).count(length as u64) };
    }
}

/// Writes the checksum of an IPv4 header without options: the stack drops a packet with another one before any rule.
#[inline(always)]
fn write_checksum(context: &XdpContext) -> Option<()> {
    let header = context.data() + 14;
    if header + 20 > context.data_end() {
        return None;
    }
    // SAFETY: the header lies between the start and the end of the frame.
    unsafe {
        ptr::write_unaligned((header + 10) as *mut u16, 0);
        let words = ptr::read_unaligned(header as *const [u16; 10]);
        // RFC 1071.
        let [a, b, c, d, e, f, g, h, i, j] = words.map(u32::from);
        let sum = a + b + c + d + e + f + g + h + i + j;
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        ptr::write_unaligned((header + 10) as *mut u16, !(sum as u16));
    }
    Some(())
}

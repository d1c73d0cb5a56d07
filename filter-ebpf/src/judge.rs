//! The decision in two parts: plain packets, as nearly all are, in line; odd ones in functions of their own.
//!
//! In line too, those would keep the registers from what nearly all packets need.

use aya_ebpf::{bindings::xdp_md, btf_maps::PerCpuArray, macros::btf_map, programs::XdpContext};
use filter_common::{
    Policy, Reason, Sequel, Verdict, decide_plain, judge,
    packet::{OddPacket, Packet, parse_odd},
};

use crate::{
    frame::{KernelFrame, Source, XdpFrame},
    policy::{PolicyInForce, number},
    state::KernelState,
};

/// The odd packet that this CPU is at. One element.
#[btf_map]
static ODD_PACKET: PerCpuArray<Packet, 1> = PerCpuArray::new();

/// Judges a frame by the policy that the switch of this number names, and lets follow what is to.
#[inline(always)]
pub(crate) fn judge_frame<S: Source, P: Policy, N: Sequel>(
    context: &XdpContext,
    frame: &KernelFrame<S>,
    policy: &P,
    switch: u64,
    next: N,
) -> N::End {
    let odd = |packet| {
        let refused = match packet {
            OddPacket::V4(offset) => parse_odd_v4(context.ctx, offset),
            OddPacket::V6(offset) => parse_odd_v6(context.ctx, offset),
        };
        Verdict::of_number(number(if refused == READ { judge_odd_packet(context.ctx, switch) } else { refused }))
    };
    decide_plain(frame, policy, &KernelState, odd, next)
}

/// What is no verdict: the packet was read.
const READ: u64 = u64::MAX;

/// Reads an odd packet; returns the verdict where it is malformed. A global function, which the verifier looks at once, by
/// itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn parse_odd_v4(context: *mut xdp_md, offset: usize) -> u64 {
    read(context, OddPacket::V4(offset & OFFSETS))
}

/// The same of IPv6.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn parse_odd_v6(context: *mut xdp_md, offset: usize) -> u64 {
    read(context, OddPacket::V6(offset & OFFSETS))
}

/// Where an IP header can begin: behind up to two tags. A function does not know the bounds of its arguments.
const OFFSETS: usize = 0x1f;

#[inline(always)]
fn read(context: *mut xdp_md, odd: OddPacket) -> u64 {
    let Some(place) = ODD_PACKET.get_ptr_mut(0) else { return Verdict::of(Reason::NoPolicy).code().into() };
    match parse_odd(&XdpFrame::new(&XdpContext::new(context)), odd) {
        Ok(packet) => {
            // SAFETY: the element belongs to this CPU, on which no other instance of the program runs at the same time.
            unsafe { place.write(packet) };
            READ
        }
        Err(reason) => Verdict::of(reason).code().into(),
    }
}

/// Judges the odd packet that was read. A global function too.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_odd_packet(context: *mut xdp_md, switch: u64) -> u64 {
    let verdict = match (PolicyInForce::of(switch), ODD_PACKET.get(0)) {
        (Some(policy), Some(packet)) => judge(&XdpFrame::new(&XdpContext::new(context)), packet, &policy, &KernelState),
        _ => Verdict::of(Reason::NoPolicy),
    };
    verdict.code().into()
}

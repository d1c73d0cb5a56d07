//! The XDP program: judges every packet that arrives by the policy in force, and counts what it decided.
//!
//! The decision itself is [`filter_common::decide`]. Here is what only the kernel has: the packet's memory and the maps.

#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::inline_always,
    reason = "a call costs more than most of these functions, and BPF has few registers to pass"
)]
#![expect(
    clippy::needless_pass_by_value,
    missing_docs,
    unreachable_pub,
    reason = "what `#[xdp]` makes of an entry takes the context by value and is public"
)]

mod frame;
mod judge;
mod maps;
mod outcome;
mod policy;
mod samples;
mod state;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use filter_common::{Reason, TheVerdict, Verdict, outgoing, reason_counter};

use crate::{
    frame::{SentFrame, XdpFrame},
    outcome::CarryOut,
    policy::PolicyInForce,
};

/// Judges one packet, which may be spread over several buffers: a jumbo frame.
#[xdp(frags)]
#[inline(always)]
pub fn sipwall(context: XdpContext) -> u32 {
    let Some(policy) = PolicyInForce::read() else {
        if let Some(tally) = maps::reason(reason_counter(Reason::NoPolicy, false)) {
            tally.counter.count(XdpFrame::new(&context).length() as u64);
        }
        return xdp_action::XDP_PASS;
    };
    let frame = XdpFrame::new(&context);
    judge::judge_frame(&context, &frame, &policy, policy.switch, CarryOut { context: &context, frame: &frame })
}

/// Remembers what this host sends, so that its answers are let in.
#[classifier]
pub fn egress(context: TcContext) -> i32 {
    if let Some(policy) = PolicyInForce::read()
        && let Some(outgoing) = outgoing(&SentFrame::new(&context), &policy)
    {
        state::note(&outgoing);
    }
    // What other programs and the stack do with it is theirs.
    TC_ACT_UNSPEC
}

/// Judges one packet and returns the verdict itself, for test runs: nothing is counted, and nothing can be attached by it,
/// as the kernel knows no such action.
#[xdp(frags)]
#[inline(always)]
pub fn verdict(context: XdpContext) -> u32 {
    let verdict = match PolicyInForce::read() {
        Some(policy) => judge::judge_frame(&context, &XdpFrame::new(&context), &policy, policy.switch, TheVerdict),
        None => Verdict::of(Reason::NoPolicy),
    };
    verdict.code()
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier proves that this is never reached.
    loop {}
}

/// The licence by which the kernel decides which helpers the program may call.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

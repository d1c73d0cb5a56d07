//! The XDP program: judges every packet that arrives by the policy in force, and counts what it decided.
//!
//! The decision itself is [`filter_common::decide`]. Here is what only the kernel has: the packet's memory and the maps.

#![no_std]
#![no_main]
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
mod maps;
mod policy;
mod samples;
mod state;

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use filter_common::{
    Action, Reason, Verdict, decide, outgoing,
    packet::Frame,
    reason_counter,
    tables::{Tables, flags},
};

use crate::{
    frame::{SentFrame, XdpFrame},
    policy::PolicyInForce,
    state::KernelState,
};

/// Judges one packet, which may be spread over several buffers: a jumbo frame.
#[xdp(frags)]
pub fn sipwall(context: XdpContext) -> u32 {
    let frame = XdpFrame::new(&context);
    let bytes = frame.length() as u64;
    let Some(policy) = PolicyInForce::read() else {
        maps::count_reason(reason_counter(Reason::NoPolicy, false), bytes);
        return xdp_action::XDP_PASS;
    };
    let verdict = decide(&frame, &policy, &KernelState);
    carry_out(&context, verdict, policy.tables, bytes)
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
pub fn verdict(context: XdpContext) -> u32 {
    let verdict = match PolicyInForce::read() {
        Some(policy) => decide(&XdpFrame::new(&context), &policy, &KernelState),
        None => Verdict::of(Reason::NoPolicy),
    };
    verdict.encode()
}

/// Counts a verdict and turns it into what XDP understands.
///
/// A drop is `XDP_DROP`, however malformed the packet is: `XDP_ABORTED` fires a tracepoint for each.
#[inline(always)]
fn carry_out(context: &XdpContext, verdict: Verdict, tables: &Tables, bytes: u64) -> u32 {
    let dropped = verdict.action() == Action::Drop;
    let would_drop = dropped && tables.settings.has(flags::MONITOR);
    let counter = reason_counter(verdict.reason, would_drop);
    maps::count_reason(counter, bytes);
    let noted = verdict.noted.map(|noted| reason_counter(noted, true));
    if let Some(noted) = noted {
        maps::count_reason(noted, bytes);
    }
    if let Some(rule) = verdict.rule {
        maps::count_rule(rule.into(), bytes);
    }
    let Some(sampled) = (if dropped { Some(counter) } else { noted }) else {
        return xdp_action::XDP_PASS;
    };
    samples::note(context, sampled);
    if dropped && !would_drop { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
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

//! What follows from a verdict: counters, a sample, and the action.

use core::hint::cold_path;

use aya_ebpf::{bindings::xdp_action, programs::XdpContext};
use filter_common::{
    Sequel, Verdict,
    tables::{Knobs, flags},
};

use crate::{
    frame::{KernelFrame, Source},
    maps, samples,
};

/// A verdict that was counted.
pub(crate) struct Counted {
    /// The counter under which it is the packet's turn to be sampled; [`NOT_SAMPLED`] where it is not.
    ///
    /// No `Option`: LLVM would move what is in none, which the verifier refuses.
    sampled: u32,
    action: u32,
}

/// No counter.
const NOT_SAMPLED: u32 = u32::MAX;

/// Counts a verdict, samples what is dropped, and says what XDP is to do.
pub(crate) struct CarryOut<'a, S> {
    pub(crate) context: &'a XdpContext,
    pub(crate) frame: &'a KernelFrame<S>,
}

impl<S: Source> Sequel for CarryOut<'_, S> {
    type End = u32;

    #[inline(always)]
    fn of(self, verdict: Verdict, knobs: Knobs) -> u32 {
        let counted = count(verdict, knobs, self.frame.length() as u64);
        if counted.sampled != NOT_SAMPLED {
            cold_path();
            samples::record(self.context, counted.sampled);
        }
        counted.action
    }
}

/// Counts a verdict.
#[inline(always)]
pub(crate) fn count(verdict: Verdict, knobs: Knobs, bytes: u64) -> Counted {
    if verdict.drops() { count_drop(verdict, knobs, bytes) } else { count_pass(verdict, bytes) }
}

/// A drop is `XDP_DROP`, however malformed the packet is: `XDP_ABORTED` fires a tracepoint for each.
#[inline(always)]
fn count_drop(verdict: Verdict, knobs: Knobs, bytes: u64) -> Counted {
    let monitored = knobs.has(flags::MONITOR);
    Counted {
        sampled: count_sampled(verdict.counter(monitored), bytes),
        action: if monitored { xdp_action::XDP_PASS } else { xdp_action::XDP_DROP },
    }
}

/// What passes may be noted for what it would have been dropped for.
#[inline(always)]
fn count_pass(verdict: Verdict, bytes: u64) -> Counted {
    // Nearly all that passes a rule lets in. It is counted for that alone: for the reason it is the sum over all rules.
    match verdict.listing_counter().and_then(maps::listed) {
        Some(counter) => counter.count(bytes),
        None => count_other_pass(verdict, bytes),
    }
    let sampled = verdict.noted_counter().map_or(NOT_SAMPLED, |noted| count_sampled(noted, bytes));
    Counted { sampled, action: xdp_action::XDP_PASS }
}

/// What else passes is counted for its reason, and for the rule that it owes it to, if it owes it to one.
#[inline(always)]
fn count_other_pass(verdict: Verdict, bytes: u64) {
    if let Some(tally) = maps::reason(verdict.counter(false)) {
        tally.counter.count(bytes);
    }
    if let Some(counter) = verdict.rule().and_then(|rule| maps::rule(rule.into())) {
        counter.count(bytes);
    }
}

/// Counts a packet for a reason, and returns the counter if the packet is to be sampled.
#[inline(always)]
fn count_sampled(counter: u32, bytes: u64) -> u32 {
    let Some(tally) = maps::reason(counter) else { return NOT_SAMPLED };
    tally.counter.count(bytes);
    if tally.sampler.is_due(tally.counter.packets, samples::tick()) { counter } else { NOT_SAMPLED }
}

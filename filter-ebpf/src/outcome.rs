//! What follows from a verdict: counters, a sample, and the action.

use aya_ebpf::{bindings::xdp_action, programs::XdpContext};
use filter_common::{
    Verdict,
    tables::{Tables, flags},
};

use crate::{maps, samples};

/// No counter.
const NOT_SAMPLED: u32 = u32::MAX;

/// A verdict that was counted.
pub(crate) struct Counted {
    /// The counter that the packet is sampled under; [`NOT_SAMPLED`] where it may not be.
    ///
    /// No `Option`: LLVM would move what is in none, which the verifier refuses.
    sampled: u32,
    action: u32,
}

/// Counts a verdict, samples what is dropped, and says what XDP is to do.
#[inline(always)]
pub(crate) fn carry_out(context: &XdpContext, verdict: Verdict, tables: &Tables, bytes: u64) -> u32 {
    let counted = count(verdict, tables, bytes);
    if counted.sampled != NOT_SAMPLED {
        samples::note(context, counted.sampled);
    }
    counted.action
}

/// Counts a verdict.
///
/// A drop is `XDP_DROP`, however malformed the packet is: `XDP_ABORTED` fires a tracepoint for each.
#[inline(always)]
pub(crate) fn count(verdict: Verdict, tables: &Tables, bytes: u64) -> Counted {
    let dropped = verdict.drops();
    let would_drop = dropped && tables.settings.has(flags::MONITOR);
    let counter = verdict.counter(would_drop);
    maps::count_reason(counter, bytes);
    let noted = verdict.noted_counter();
    if let Some(noted) = noted {
        maps::count_reason(noted, bytes);
    }
    if let Some(rule) = verdict.rule() {
        maps::count_rule(rule.into(), bytes);
    }
    Counted {
        sampled: if dropped { counter } else { noted.unwrap_or(NOT_SAMPLED) },
        action: if dropped && !would_drop { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS },
    }
}

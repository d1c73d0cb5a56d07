//! Programs that measure the filter. They are an object of their own, which is never shipped.
//!
//! Each judges all the headers that lie packed in one test frame. All begin alike, and each does one thing more than
//! another: what it costs more is what that thing costs.

#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::cast_possible_truncation,
    reason = "BPF has 64 bits; of a checksum and of what a program sums up, so that nothing is left out, a part is wanted"
)]
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
#![expect(dead_code, reason = "what only the filter itself needs of the modules that it shares")]

#[path = "../frame.rs"]
mod frame;
#[path = "../judge.rs"]
mod judge;
#[path = "../maps.rs"]
mod maps;
#[path = "../outcome.rs"]
mod outcome;
#[path = "../policy.rs"]
mod policy;
#[path = "../samples.rs"]
mod samples;
#[path = "../state.rs"]
mod state;

mod headers;
mod least;
mod path;
mod peer;
mod slices;
mod stages;

use aya_ebpf::{bindings::xdp_md, macros::xdp, programs::XdpContext};

use crate::headers::{Outcome, over_all};

// The loop alone, and one octet of each header.
over_all!(nothing, nothing_one, stages::nothing);

// The parser.
over_all!(parse, parse_one, stages::parse);

// The parser, and which policy is in force.
over_all!(policy_in_force, policy_in_force_one, stages::policy_in_force);

// All of the decision for a source that is known to be unlisted, without looking it up.
over_all!(unlisted, unlisted_one, stages::unlisted);

// All of the decision for a source that is known to be listed, without looking it up.
over_all!(listed, listed_one, stages::listed);

// All of the decision.
over_all!(decision, decision_one, stages::decision);

// The decision, and its counters.
over_all!(counted, counted_one, stages::counted);

// All that the filter does.
over_all!(whole, whole_one, stages::whole);

// The least that a filter can do of what it drops.
over_all!(least_dropping, least_dropping_one, least::dropping);

// The same of what it lets in.
over_all!(least_passing, least_passing_one, least::passing);

// What one would write without thinking: the same parser, the kernel's trie, a list of port ranges, a counter.
over_all!(trie_and_list, trie_and_list_one, peer::trie_and_list);

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

//! What the kernel and the host share: the packet parser, the decision, its reasons and the table layout.
//!
//! Nothing here allocates, does I/O, or can fail: every packet ends in a [`Verdict`] with a [`Reason`].
//! The XDP program instantiates [`decide()`] with the packet's memory and BPF maps, the host with slices
//! and tables in memory, so that both give the same answer for the same packet.

#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![expect(
    clippy::inline_always,
    reason = "a call costs more than most of these functions, and BPF has few registers to pass"
)]

#[cfg(test)]
extern crate std;

mod address;
mod bucket_set;
mod counter;
mod decide;
mod generation;
pub mod halves;
pub mod live;
pub mod noted_prefix;
pub mod packet;
mod reason;
mod sample;
pub mod source_index;
mod state;
pub mod tables;
mod trial;
mod verdict;
mod verifier;

pub use address::Address;
pub use bucket_set::{BUCKET_SETS, BucketSet};
pub use counter::{Counter, REASON_COUNTERS, RULE_COUNTERS, SNAPSHOTS, Snapshot, Tally, reason_counter};
pub use decide::{Outgoing, Policy, Sequel, TheVerdict, decide, decide_plain, judge, outgoing};
pub use generation::{GenerationInfo, Name};
pub use reason::{Action, Reason};
pub use sample::{Recorder, SAMPLE_OCTETS, SAMPLE_RATE, SAMPLES, Sample, Sampler};
pub use state::{
    Bucket, Datagram, FLOWS, FRAGMENT_LIFETIME, FRAGMENTS, FirstFragment, Flow, Limit, NEW_ENTRIES, State, Stateless,
};
pub use trial::Trial;
pub use verdict::Verdict;
pub use verifier::{entry, index, opaque};

/// The version of everything that outlives a process: map shapes, table layout, reason indices.
///
/// It names the directory of the pins, so that a program never meets maps of another layout.
pub const ABI_VERSION: u32 = if cfg!(feature = "older-abi") { CURRENT_ABI - 1 } else { CURRENT_ABI };

const CURRENT_ABI: u32 = 11;

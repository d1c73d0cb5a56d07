//! Samples of what is dropped.
//!
//! No ring buffer of the kernel's: that has one reader, who must keep up, and nothing for whoever comes later.

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_md,
    btf_maps::PerCpuArray,
    helpers::generated::{bpf_get_prandom_u32, bpf_jiffies64, bpf_xdp_load_bytes},
    macros::btf_map,
    programs::XdpContext,
};
use filter_common::{Counter, Recorder, SAMPLE_OCTETS, SAMPLE_RATE, SAMPLES as SAMPLE_ENTRIES, Sample, Tally, opaque};

use crate::{maps, state::now};

/// The last samples, each in the place that its number gives.
#[btf_map]
static SAMPLES: PerCpuArray<Sample, { SAMPLE_ENTRIES as usize }> = PerCpuArray::new();

/// What was taken. One element.
#[btf_map]
static RECORDER: PerCpuArray<Recorder, 1> = PerCpuArray::new();

/// The kernel's clock of some milliseconds. It costs nothing: the kernel makes a load of the helper.
#[inline(always)]
pub(crate) fn tick() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_jiffies64() }
}

/// Samples a packet whose turn it is. All but a bounded number of packets cost a few instructions.
#[inline(always)]
pub(crate) fn record(context: &XdpContext, counter: u32) {
    record_xdp_sample(context.as_ptr().cast(), counter as usize);
}

/// A function that the verifier looks at once, by itself, for it is a global one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn record_xdp_sample(context: *mut xdp_md, counter: usize) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "it was made of 32 bits")]
    let counter = counter as u32;
    sample(&XdpContext::new(context), counter).map_or(0, |()| 1)
}

#[inline(always)]
fn sample(context: &XdpContext, counter: u32) -> Option<()> {
    let tally = maps::reason(counter)?;
    let recorder = RECORDER.get_ptr_mut(0)?;
    // SAFETY: the element belongs to this CPU, on which no other instance of the program runs at the same time. The helper
    // has no preconditions.
    let (recorder, random) = unsafe { (&mut *recorder, bpf_get_prandom_u32()) };
    let Tally { counter: Counter { packets, .. }, sampler } = tally;
    let time = now();
    let Some(due) = SAMPLE_RATE.next(recorder.due, time) else {
        sampler.pass_over(*packets, random);
        return None;
    };
    let sequence = recorder.taken + 1;
    #[expect(clippy::cast_possible_truncation, reason = "a place is below the number of places")]
    let sample = SAMPLES.get_ptr_mut((sequence % u64::from(SAMPLE_ENTRIES)) as u32)?;
    recorder.due = due;
    write(context, sample, sequence, |sample| {
        sample.time = time;
        sample.weight = sampler.take(*packets, random);
        sample.counter = counter;
    });
    recorder.taken = sequence;
    Some(())
}

/// Writes a sample so that who reads it meanwhile can tell.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a frame has less than 4 GB")]
fn write(context: &XdpContext, sample: *mut Sample, sequence: u64, describe: impl FnOnce(&mut Sample)) {
    let length = context.data_end() - context.data();
    // No frame is empty. The verifier of Linux 6.1 sees both bounds in this form only, and LLVM may know of neither.
    let kept = (opaque(length.min(SAMPLE_OCTETS) as u64 - 1) as usize & (SAMPLE_OCTETS - 1)) + 1;
    // SAFETY: as in `sample`; the kernel copies `kept` octets, which are at most as many as there is room for.
    unsafe {
        ptr::write_volatile(&raw mut (*sample).begun, sequence);
        describe(&mut *sample);
        (*sample).length = length as u32;
        (*sample).interface = (*context.ctx).ingress_ifindex;
        (*sample).kept = kept as u32;
        bpf_xdp_load_bytes(context.ctx, 0, (&raw mut (*sample).octets).cast(), kept as u32);
        ptr::write_volatile(&raw mut (*sample).sequence, sequence);
    }
}

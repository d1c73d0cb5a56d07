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
use filter_common::{
    Recorder, SAMPLE_OCTETS, SAMPLE_RATE, SAMPLERS as SAMPLER_ENTRIES, SAMPLES as SAMPLE_ENTRIES, Sample, Sampler,
    opaque,
};

use crate::state::now;

/// Which packets are sampled, for each counter of a reason.
#[btf_map]
static SAMPLERS: PerCpuArray<Sampler, { SAMPLER_ENTRIES as usize }> = PerCpuArray::new();

/// The last samples, each in the place that its number gives.
#[btf_map]
static SAMPLES: PerCpuArray<Sample, { SAMPLE_ENTRIES as usize }> = PerCpuArray::new();

/// What was taken. One element.
#[btf_map]
static RECORDER: PerCpuArray<Recorder, 1> = PerCpuArray::new();

/// Samples a packet that was counted as dropped, if it is its turn. All but a bounded number cost a few instructions.
#[inline(always)]
pub(crate) fn note(context: &XdpContext, counter: u32) {
    if let Some(sampler) = SAMPLERS.get_ptr_mut(counter) {
        // SAFETY: the element belongs to this CPU, on which no other instance of the program runs at the same time. The
        // helper has no preconditions; the kernel makes a load of it.
        let due = unsafe { (*sampler).count(bpf_jiffies64()) };
        if due {
            record_xdp_sample(context.as_ptr().cast(), counter as usize);
        }
    }
}

/// A function that the verifier looks at once, by itself, for it is a global one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn record_xdp_sample(context: *mut xdp_md, counter: usize) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "it was made of 32 bits")]
    let counter = counter as u32;
    record(&XdpContext::new(context), counter).map_or(0, |()| 1)
}

#[inline(always)]
fn record(context: &XdpContext, counter: u32) -> Option<()> {
    let sampler = SAMPLERS.get_ptr_mut(counter)?;
    let recorder = RECORDER.get_ptr_mut(0)?;
    // SAFETY: the elements belong to this CPU, on which no other instance of the program runs at the same time. The helper
    // has no preconditions.
    let (sampler, recorder, random) = unsafe { (&mut *sampler, &mut *recorder, bpf_get_prandom_u32()) };
    let time = now();
    let Some(due) = SAMPLE_RATE.next(recorder.due, time) else {
        sampler.pass_over(random);
        return None;
    };
    let sequence = recorder.taken + 1;
    #[expect(clippy::cast_possible_truncation, reason = "a place is below the number of places")]
    let sample = SAMPLES.get_ptr_mut((sequence % u64::from(SAMPLE_ENTRIES)) as u32)?;
    recorder.due = due;
    write(context, sample, sequence, |sample| {
        sample.time = time;
        sample.weight = sampler.take(random);
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
    // SAFETY: as in `record`; the kernel copies `kept` octets, which are at most as many as there is room for.
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

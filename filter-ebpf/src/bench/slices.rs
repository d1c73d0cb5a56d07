//! What packets cost, in slices of time: a processor that others share is quiet for a millisecond now and then.

use aya_ebpf::{
    btf_maps::Array,
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::{btf_map, raw_tracepoint},
    programs::RawTracePointContext,
};

/// How many slices are kept. A power of two.
const SLICES: usize = 8192;
/// The shortest slice, in nanoseconds.
const SHORTEST: u64 = 500_000;
/// How many packets a test run judges between two looks at the clock. A power of two.
const PACKETS: u64 = 2048;
/// `NET_RX_SOFTIRQ` in the kernel's `include/linux/interrupt.h`.
const NET_RX_SOFTIRQ: u32 = 3;

/// The packets of one slice, and what they cost in nanoseconds.
#[repr(C)]
struct Slice {
    nanoseconds: u64,
    packets: u64,
}

/// The slices of a run. The host empties it before.
#[repr(C)]
struct Slices {
    /// The CPU whose softirqs are timed.
    cpu: u64,
    /// When what is timed began.
    begun: u64,
    current: Slice,
    /// How many have been closed.
    closed: u64,
    list: [Slice; SLICES],
}

#[btf_map]
static BENCH_SLICES: Array<Slices, 1> = Array::new();

/// Counts packets that a test run judges. All that passes between two calls is what they cost.
///
/// By a call: in line it would take up more of the stack than the programs leave.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn judges(packets: u64) -> u64 {
    let Some(slices) = slices() else { return 0 };
    slices.current.packets += packets;
    if slices.current.packets & (PACKETS - 1) == 0 {
        let now = now();
        if slices.begun != 0 {
            slices.current.nanoseconds += now - slices.begun;
        }
        slices.begun = now;
        slices.close();
    }
    0
}

/// Counts a packet that is sent to where it is taken in.
#[inline(always)]
pub(crate) fn sent() {
    if let Some(slices) = slices() {
        slices.current.packets += 1;
    }
}

/// The kernel begins to work off a softirq of this number.
#[raw_tracepoint(tracepoint = "softirq_entry")]
pub fn softirq_entry(context: RawTracePointContext) -> i32 {
    if let Some(slices) = slices()
        && slices.times(&context)
    {
        slices.begun = now();
    }
    0
}

/// The kernel has worked off a softirq of this number: the packets that were sent have been taken in.
#[raw_tracepoint(tracepoint = "softirq_exit")]
pub fn softirq_exit(context: RawTracePointContext) -> i32 {
    let end = now();
    if let Some(slices) = slices()
        && slices.times(&context)
        && slices.begun != 0
    {
        slices.current.nanoseconds += end - slices.begun;
        slices.close();
    }
    0
}

impl Slices {
    /// Whether a softirq is one that takes packets in, on the CPU that is timed.
    #[inline(always)]
    fn times(&self, softirq: &RawTracePointContext) -> bool {
        // SAFETY: the helper has no preconditions.
        let cpu = unsafe { bpf_get_smp_processor_id() };
        softirq.arg::<u32>(0) == NET_RX_SOFTIRQ && u64::from(cpu) == self.cpu
    }

    /// Keeps the current slice and begins another, if it is long enough.
    #[inline(always)]
    fn close(&mut self) {
        let Slice { nanoseconds, packets } = self.current;
        if nanoseconds >= SHORTEST {
            self.list[self.closed as usize & (SLICES - 1)] = Slice { nanoseconds, packets };
            self.closed += 1;
            self.current = Slice { nanoseconds: 0, packets: 0 };
        }
    }
}

#[inline(always)]
fn slices() -> Option<&'static mut Slices> {
    // SAFETY: all that measures stays on one CPU, and a softirq does not interrupt what counts here.
    BENCH_SLICES.get_ptr_mut(0).map(|slices| unsafe { &mut *slices })
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

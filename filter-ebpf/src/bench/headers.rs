//! The headers in a test frame, and the loop over them.

use core::ptr;

use aya_ebpf::{
    bindings::xdp_md,
    btf_maps::{Array, PerCpuArray},
    macros::btf_map,
    programs::XdpContext,
};

use filter_common::opaque;

use crate::frame::{KernelFrame, Sent};

/// How many headers a test frame has.
pub(crate) const HEADERS: u64 = 32;
/// How far they lie apart: an IPv6 packet with a UDP header fits.
const STRIDE: u64 = 64;
/// How many places there are that sources come from.
const BASES: usize = 4096;

/// Where sources come from: one of the bases, with the bits of the mask made up.
#[repr(C)]
struct Sources {
    mask: [u64; 2],
    bases: [[u64; 2]; BASES],
}

#[btf_map]
static BENCH_SOURCES: Array<Sources, 1> = Array::new();

/// The state of a generator of random numbers.
#[btf_map]
static BENCH_RANDOM: PerCpuArray<u64, 1> = PerCpuArray::new();

/// What a program makes of one header.
pub(crate) struct Outcome {
    pub(crate) passes: bool,
    /// Whatever else it found out.
    pub(crate) digest: u64,
}

/// One of the headers in a frame, as a frame of its own: what follows it counts as padding. No header has extensions.
pub(crate) type Header = KernelFrame<Sent>;

/// Runs a function over every header, and returns how many pass.
///
/// The function is a global one, which the verifier looks at once, by itself. In line it would follow all ways through it
/// for every header. The call costs every program the same.
macro_rules! over_all {
    ($program:ident, $function:ident, $judge:expr) => {
        #[xdp]
        pub fn $program(context: XdpContext) -> u32 {
            // All sources at first: a header that was written just before it is read would be waited for.
            crate::headers::for_each(|offset| crate::headers::renew_source(context.ctx, offset));
            crate::slices::judges(crate::headers::HEADERS);
            crate::headers::for_each(|offset| $function(context.ctx, offset)) as u32
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $function(context: *mut xdp_md, offset: u64) -> u64 {
            let context = XdpContext::new(context);
            let outcome: Outcome = $judge(&context, &crate::headers::header(&context, offset));
            crate::headers::keep(outcome)
        }
    };
}

pub(crate) use over_all;

/// The sum of what is made of each header, by the offset where it begins.
#[inline(always)]
pub(crate) fn for_each(function: impl Fn(u64) -> u64) -> u64 {
    let (mut number, mut sum) = (0, 0);
    while number < HEADERS {
        sum += function(number * STRIDE);
        number += 1;
    }
    sum
}

#[inline(always)]
pub(crate) fn header(context: &XdpContext, offset: u64) -> Header {
    // The verifier knows of reads from one pointer only what was compared with that one.
    let start = opaque((context.data() + place(offset)) as u64) as usize;
    KernelFrame::of(start, context.data_end(), Sent(0))
}

/// 1 where the packet passes, in a form that the compiler leaves nothing of the digest out for.
#[inline(always)]
pub(crate) fn keep(outcome: Outcome) -> u64 {
    u64::from(outcome.passes) | outcome.digest << 32
}

/// Where a header begins, in a form that the verifier sees the bound of.
#[inline(always)]
const fn place(offset: u64) -> usize {
    (offset & ((HEADERS - 1) * STRIDE)) as usize
}

/// Gives a header a new source.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn renew_source(context: *mut xdp_md, offset: u64) -> u64 {
    let context = XdpContext::new(context);
    let (Some(random), Some(sources)) = (BENCH_RANDOM.get_ptr_mut(0), BENCH_SOURCES.get(0)) else { return 0 };
    // SAFETY: the element belongs to this CPU.
    let random = unsafe { &mut *random };
    // Marsaglia, Xorshift RNGs, 2003.
    let mut bits = *random;
    bits ^= bits << 13;
    bits ^= bits >> 7;
    bits ^= bits << 17;
    *random = bits;
    let Sources { mask, bases } = sources;
    let [high, low] = bases[(bits >> 52) as usize];
    let source = [high ^ bits & mask[0], low ^ bits.rotate_left(31) & mask[1]];
    write_source(&context, place(offset), source).map_or(0, |()| 1)
}

/// Writes an address where the header at `start` has its source.
#[inline(always)]
fn write_source(context: &XdpContext, start: usize, [high, low]: [u64; 2]) -> Option<()> {
    let address = context.data() + start;
    if address + 38 > context.data_end() {
        return None;
    }
    // SAFETY: the octets lie between the start and the end of the frame.
    unsafe {
        if ptr::read_unaligned((address + 12) as *const [u8; 2]) == [0x08, 0] {
            let [octets @ .., _, _, _, _] = high.to_be_bytes();
            ptr::write_unaligned((address + 26) as *mut [u8; 4], octets);
        } else {
            ptr::write_unaligned((address + 22) as *mut [u64; 2], [high.to_be(), low.to_be()]);
        }
    }
    Some(())
}

//! The packet's memory: the only place where it is read.

use core::{hint::black_box, ptr};

use aya_ebpf::programs::XdpContext;
use filter_common::packet::Frame;

/// A frame as the driver handed it over.
pub(crate) struct XdpFrame {
    start: usize,
    end: usize,
    length: usize,
}

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        let (start, end) = (context.data(), context.data_end());
        // The verifier wants every read compared with `end` itself. Did LLVM know how the length comes about,
        // it would leave out the comparisons that follow from those of the header fields with the length.
        Self { start, end, length: black_box(end - start) }
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn length(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let address = self.start + offset;
        if address + N > self.end {
            return None;
        }
        // SAFETY: the `N` octets lie between the start and the end of the frame, which the verifier checks again.
        Some(unsafe { ptr::read_unaligned(address as *const [u8; N]) })
    }
}

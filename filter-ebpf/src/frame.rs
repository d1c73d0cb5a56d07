//! The packet's memory: the only place where it is read.

use core::{hint::black_box, ptr};

use aya_ebpf::{
    bindings::xdp_md,
    helpers::bpf_xdp_get_buff_len,
    programs::{TcContext, XdpContext},
};
use filter_common::packet::{ExtensionWalk, Frame};

/// A frame, and how to walk over extension headers in it.
pub(crate) struct KernelFrame<W> {
    start: usize,
    end: usize,
    length: usize,
    walk: W,
}

/// A frame as the driver handed it over.
pub(crate) type XdpFrame = KernelFrame<WalkInKernel>;

/// A frame that the host sends: the part of a socket buffer that lies in one piece, where the stack has put all headers.
pub(crate) type SentFrame = KernelFrame<NoWalk>;

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        let (start, end) = (context.data(), context.data_end());
        // A jumbo frame goes on in other buffers, which are not read: headers there are as good as cut off, and dropped.
        // The verifier wants every read compared with `end` itself: did LLVM know how the length comes about, it would
        // leave out the comparisons that follow from those of the header fields with the length.
        let length = black_box(length(context));
        Self { start, end, length, walk: WalkInKernel(context.ctx) }
    }
}

/// The length of a frame over all its buffers.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a frame's length, and BPF has 64 bits")]
fn length(context: &XdpContext) -> usize {
    // SAFETY: the context is the one that the program was given.
    unsafe { bpf_xdp_get_buff_len(context.ctx) as usize }
}

impl SentFrame {
    #[inline(always)]
    pub(crate) fn new(context: &TcContext) -> Self {
        Self { start: context.data(), end: context.data_end(), length: context.len() as usize, walk: NoWalk }
    }
}

impl<W: Walk> Frame for KernelFrame<W> {
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

    #[inline(always)]
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        self.walk.extensions(offset, end, next_header)
    }
}

/// A way over IPv6 extension headers.
pub(crate) trait Walk {
    /// As [`Frame::walk_extensions`].
    fn extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk;
}

/// By a function that the verifier looks at by itself.
pub(crate) struct WalkInKernel(*mut xdp_md);

impl Walk for WalkInKernel {
    #[inline(always)]
    fn extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        ExtensionWalk(walk_xdp_extensions(self.0, offset, end, next_header.into()))
    }
}

/// None: what a host sends of its own accord, and wants answered, has no extension headers. Such a packet opens no flow.
pub(crate) struct NoWalk;

impl Walk for NoWalk {
    #[inline(always)]
    fn extensions(&self, _: usize, _: usize, _: u8) -> ExtensionWalk {
        ExtensionWalk::REFUSED
    }
}

/// A function that the verifier looks at once, by itself, for it is a global one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_xdp_extensions(context: *mut xdp_md, offset: usize, end: usize, next_header: usize) -> u64 {
    let frame = XdpFrame::new(&XdpContext::new(context));
    // The bounds of arguments are not known here: behind an Ethernet header with two tags and the IPv6 header.
    let offset = offset & 0x7f;
    let [next_header, ..] = next_header.to_le_bytes();
    ExtensionWalk::new(&frame, offset, end, next_header).0
}

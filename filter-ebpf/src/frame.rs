//! The packet's memory: the only place where it is read.

use core::{hint::black_box, ptr};

use aya_ebpf::{
    bindings::xdp_md,
    programs::{TcContext, XdpContext},
};
use filter_common::packet::{ExtensionWalk, Frame};

/// The octets of a frame that lie in one piece.
struct Memory {
    start: usize,
    end: usize,
}

impl Memory {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let address = self.start + offset;
        if address + N > self.end {
            return None;
        }
        // SAFETY: the `N` octets lie between the start and the end of the frame, which the verifier checks again.
        Some(unsafe { ptr::read_unaligned(address as *const [u8; N]) })
    }

    /// Its length. The verifier wants every read compared with `end` itself: did LLVM know how the length comes about,
    /// it would leave out the comparisons that follow from those of the header fields with the length.
    #[inline(always)]
    fn length(&self) -> usize {
        black_box(self.end - self.start)
    }
}

/// A frame as the driver handed it over.
pub(crate) struct XdpFrame {
    context: *mut xdp_md,
    memory: Memory,
    length: usize,
}

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        let memory = Memory { start: context.data(), end: context.data_end() };
        Self { context: context.ctx, length: memory.length(), memory }
    }
}

impl Frame for XdpFrame {
    #[inline(always)]
    fn length(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.memory.read(offset)
    }

    #[inline(always)]
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        ExtensionWalk(walk_xdp_extensions(self.context, offset, end, next_header.into()))
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

/// A frame that the host sends: the part of a socket buffer that lies in one piece, where the stack has put all headers.
pub(crate) struct SentFrame {
    memory: Memory,
    length: usize,
}

impl SentFrame {
    #[inline(always)]
    pub(crate) fn new(context: &TcContext) -> Self {
        Self { memory: Memory { start: context.data(), end: context.data_end() }, length: context.len() as usize }
    }
}

impl Frame for SentFrame {
    #[inline(always)]
    fn length(&self) -> usize {
        self.length
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.memory.read(offset)
    }

    /// What a host sends of its own accord, and wants answered, has no extension headers: such a packet opens no flow.
    #[inline(always)]
    fn walk_extensions(&self, _: usize, _: usize, _: u8) -> ExtensionWalk {
        ExtensionWalk::REFUSED
    }
}

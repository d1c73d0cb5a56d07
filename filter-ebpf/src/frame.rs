//! The packet's memory: the only place where it is read.

use core::{arch::asm, cell::Cell, hint};

use aya_ebpf::{
    bindings::xdp_md,
    helpers::bpf_xdp_get_buff_len,
    programs::{TcContext, XdpContext},
};
use filter_common::{
    opaque,
    packet::{ExtensionWalk, Frame, Header},
};

/// A frame, of which the octets in one piece can be read, and what only the kernel knows of it.
pub(crate) struct KernelFrame<S> {
    start: usize,
    end: usize,
    /// How many octets it has: those that can be read, until somebody wants to know of more.
    length: Cell<usize>,
    source: S,
}

/// A frame as the driver handed it over.
///
/// A jumbo frame goes on in other buffers, which are not read: headers there are as good as cut off, and dropped.
pub(crate) type XdpFrame = KernelFrame<Buffers>;

/// A frame that the host sends: the part of a socket buffer that lies in one piece, where the stack has put all headers.
pub(crate) type SentFrame = KernelFrame<Sent>;

/// The longest frame that no driver spreads over several buffers: an Ethernet frame with two tags.
const LONGEST_IN_ONE: usize = 1522;

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn new(context: &XdpContext) -> Self {
        let frame = KernelFrame::of(context.data(), context.data_end(), Buffers(context.ctx));
        if frame.length.get() > LONGEST_IN_ONE {
            frame.ask_for_length();
        }
        frame
    }
}

impl SentFrame {
    #[inline(always)]
    pub(crate) fn new(context: &TcContext) -> Self {
        KernelFrame::of(context.data(), context.data_end(), Sent(context.len() as usize))
    }
}

impl<S: Source> KernelFrame<S> {
    /// How many octets it has. Where a driver splits headers off, and an IP packet ends with them, padding is left out.
    #[inline(always)]
    pub(crate) fn length(&self) -> usize {
        self.length.get()
    }

    #[inline(always)]
    pub(crate) fn of(start: usize, end: usize, source: S) -> Self {
        Self { start, end, length: Cell::new(opaque_size(end - start)), source }
    }

    #[inline(always)]
    fn ask_for_length(&self) {
        hint::cold_path();
        // The verifier wants every read compared with `end` itself: did LLVM know how the length comes about, it would
        // leave out the comparisons that follow from those of the header fields with the length.
        self.length.set(opaque_size(self.source.length()));
    }
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a frame's length, and BPF has 64 bits")]
fn opaque_size(size: usize) -> usize {
    opaque(size as u64) as usize
}

impl<S: Source> Frame for KernelFrame<S> {
    type Header<const N: usize> = PacketHeader<N>;

    #[inline(always)]
    fn reaches(&self, length: usize) -> bool {
        if length <= self.length.get() {
            return true;
        }
        self.ask_for_length();
        length <= self.length.get()
    }

    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<PacketHeader<N>> {
        let address = self.start + offset;
        if address + N > self.end { None } else { Some(PacketHeader(address)) }
    }

    #[inline(always)]
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        self.source.walk_extensions(offset, end, next_header)
    }
}

/// An address from which on `N` octets lie between the start and the end of the frame, and a header that begins in the place
/// `AT` of these. So what lies in a known place is read by one instruction.
#[derive(Clone, Copy)]
pub(crate) struct PacketHeader<const N: usize, const AT: usize = 0>(usize);

/// Loads a number of so many bits from a place in a header.
///
/// By an instruction of BPF, which may load from any address in a packet; Rust's loads may not, and LLVM splits them.
macro_rules! load {
    ($header:ident, $place:ident, $bits:literal) => {{
        const { assert!(AT + $place + $bits / 8 <= N) };
        let number: u64;
        // SAFETY: the octets lie in the frame, which the verifier checks again.
        unsafe {
            asm!(
                concat!("{0} = *(u", $bits, " *)({1} + {2})"),
                lateout(reg) number,
                in(reg) $header.0,
                const AT + $place,
                options(pure, readonly, nostack)
            );
            // The instruction leaves the upper bits empty.
            hint::assert_unchecked(number <= u64::MAX >> (64 - $bits));
        }
        number
    }};
}

#[expect(clippy::cast_possible_truncation, reason = "it is what was loaded")]
impl<const N: usize, const AT: usize> Header for PacketHeader<N, AT> {
    #[inline(always)]
    fn u8<const PLACE: usize>(self) -> u8 {
        load!(self, PLACE, 8) as u8
    }

    #[inline(always)]
    fn u16_in_network_order<const PLACE: usize>(self) -> u16 {
        load!(self, PLACE, 16) as u16
    }

    #[inline(always)]
    fn u32_in_network_order<const PLACE: usize>(self) -> u32 {
        load!(self, PLACE, 32) as u32
    }

    #[inline(always)]
    fn u64<const PLACE: usize>(self) -> u64 {
        u64::from_be(load!(self, PLACE, 64))
    }

    #[inline(always)]
    fn within<const PLACE: usize>(self) -> impl Header {
        const { assert!(AT == 0) };
        PacketHeader::<N, PLACE>(self.0)
    }
}

/// Where a frame comes from.
pub(crate) trait Source {
    /// How many octets the frame has, in all its buffers.
    fn length(&self) -> usize;

    /// As [`Frame::walk_extensions`].
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk;
}

/// The buffers of a driver.
pub(crate) struct Buffers(*mut xdp_md);

impl Source for Buffers {
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a frame's length, and BPF has 64 bits")]
    fn length(&self) -> usize {
        // SAFETY: the context is the one that the program was given.
        unsafe { bpf_xdp_get_buff_len(self.0) as usize }
    }

    /// By a function that the verifier looks at by itself.
    #[inline(always)]
    fn walk_extensions(&self, offset: usize, end: usize, next_header: u8) -> ExtensionWalk {
        ExtensionWalk(walk_xdp_extensions(self.0, offset, end, next_header.into()))
    }
}

/// A socket buffer with so many octets.
pub(crate) struct Sent(pub(crate) usize);

impl Source for Sent {
    #[inline(always)]
    fn length(&self) -> usize {
        self.0
    }

    /// None: what a host sends of its own accord, and wants answered, has no extension headers. Such a packet opens no flow.
    #[inline(always)]
    fn walk_extensions(&self, _: usize, _: usize, _: u8) -> ExtensionWalk {
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

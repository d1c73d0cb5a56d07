//! A flood as a NIC sees it: an XDP program on the sending side, run on live frames, sends them out of an interface.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use etherparse::PacketBuilder;
use lab::Host;
use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

use crate::scene::{SBC, Scene};

/// How many frames are sent before others have the CPU: fewer than the ring of a veth has room for.
const BATCH: u32 = 64;

// `include/uapi/linux/bpf.h`.
const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_TYPE_XDP: u32 = 6;
const LIVE_FRAMES: u32 = 1 << 1;
const FUNC_GET_PRANDOM_U32: u32 = 7;
const FUNC_REDIRECT: u32 = 23;

/// Where the source lies in a frame of IPv4.
const SOURCE: u16 = 26;
/// Where its headers end.
const END: u32 = 34;

/// What sends frames to the SBC again and again.
#[derive(Debug)]
pub struct Flood<'a> {
    core: &'a Host,
    program: OwnedFd,
    frame: Vec<u8>,
}

impl<'a> Flood<'a> {
    /// SIP to the SBC, from the other end of its link. Of four packets three are of invented sources, 198.18.0.0/16, and
    /// one is of this one, in no order.
    ///
    /// # Panics
    /// If the kernel refuses the program.
    pub fn new(scene: &'a Scene, source: [u8; 4]) -> Self {
        let (core, sbc) = (scene.lab.core().expect("a core"), scene.host("sbc"));
        let destination: std::net::Ipv4Addr = SBC.parse().expect("an address");
        let builder = PacketBuilder::ethernet2(sbc.gateway_mac(), sbc.mac());
        let mut frame = Vec::new();
        let builder = builder.ipv4(source, destination.octets(), 64).udp(5060, 5060);
        builder.write(&mut frame, b"OPTIONS sip:100@198.51.100.10 SIP/2.0\r\n").expect("a frame");
        let program = core.enter(|| load(interface("to-sbc"), source)).expect("a host").expect("the program loads");
        Self { core, program, frame }
    }

    /// Sends so many. Each call takes the kernel some hundredths of a second to begin with.
    ///
    /// # Panics
    /// If the kernel refuses the frame.
    pub fn send(&self, packets: u32) {
        let run = || test_run(&self.program, &self.frame, packets);
        self.core.enter(run).expect("a host").expect("the frames leave");
    }
}

/// The index of an interface in this thread's network namespace.
fn interface(name: &str) -> u32 {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket");
    name_to_index(any, name).expect("an interface")
}

/// An instruction: operation, registers, offset, number.
const fn instruction(operation: u8, destination: u8, source: u8, offset: u16, number: u32) -> u64 {
    operation as u64 | (destination as u64) << 8 | (source as u64) << 12 | (offset as u64) << 16 | (number as u64) << 32
}

fn load(interface: u32, source: [u8; 4]) -> io::Result<OwnedFd> {
    let program = [
        // r7 = data, r3 = data_end; nothing is changed of a frame that is shorter than its headers
        instruction(0x61, 7, 1, 0, 0),
        instruction(0x61, 3, 1, 4, 0),
        instruction(0xbf, 4, 7, 0, 0),
        instruction(0x07, 4, 0, 0, END),
        instruction(0x2d, 4, 3, 9, 0),
        // r2 = source; unless r0 = random() ends in two zeros, the upper half of r0 and 198.18
        instruction(0x85, 0, 0, 0, FUNC_GET_PRANDOM_U32),
        instruction(0xb4, 2, 0, 0, u32::from_ne_bytes(source)),
        instruction(0xbf, 1, 0, 0, 0),
        instruction(0x57, 1, 0, 0, 3),
        instruction(0x15, 1, 0, 3, 0),
        instruction(0xbc, 2, 0, 0, 0),
        instruction(0x54, 2, 0, 0, 0xffff_0000),
        instruction(0x44, 2, 0, 0, u32::from_ne_bytes([198, 18, 0, 0])),
        instruction(0x63, 7, 2, SOURCE, 0),
        // return redirect(interface, 0)
        instruction(0xb7, 1, 0, 0, interface),
        instruction(0xb7, 2, 0, 0, 0),
        instruction(0x85, 0, 0, 0, FUNC_REDIRECT),
        instruction(0x95, 0, 0, 0, 0),
    ];
    let mut attributes = Load {
        program_type: PROG_TYPE_XDP,
        instructions: u32::try_from(program.len()).expect("a short program"),
        program: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        rest: [0; 6],
    };
    let descriptor = bpf(PROG_LOAD, &mut attributes)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn test_run(program: &OwnedFd, frame: &[u8], repeat: u32) -> io::Result<()> {
    let mut attributes = Run {
        program: program.as_raw_fd().cast_unsigned(),
        data_in_length: u32::try_from(frame.len()).expect("a short frame"),
        data_in: frame.as_ptr() as u64,
        repeat,
        flags: LIVE_FRAMES,
        batch: BATCH,
        ..Run::default()
    };
    bpf(PROG_TEST_RUN, &mut attributes).map(drop)
}

/// `union bpf_attr` of `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
struct Load {
    program_type: u32,
    instructions: u32,
    program: u64,
    license: u64,
    rest: [u64; 6],
}

/// `union bpf_attr` of `BPF_PROG_TEST_RUN`.
#[derive(Default)]
#[repr(C)]
struct Run {
    program: u32,
    returned: u32,
    data_in_length: u32,
    data_out_length: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_length: u32,
    context_out_length: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    rest: u32,
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the attributes are of the form that the command has, as long as they are said to be, and what they point to
    // outlives the call.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(i32::try_from(returned).unwrap_or(i32::MAX)) }
}

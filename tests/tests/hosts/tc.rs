//! Programs of others on what the host sends and receives: clsact, and TCX before and behind ours.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use crate::{
    names::TRACKED,
    place::{CARRIER, Place, SBC, SERVER, datagrams, is_answered, shell},
};

/// What a TCX program answers: go on with the next one, or be done and let it pass, or drop it.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Next = -1,
    Pass = 0,
    Drop = 2,
}

#[test]
fn filters_of_clsact_see_what_the_filter_lets_in_and_all_that_is_sent() {
    let place = Place::new(&[SBC, CARRIER, SERVER]);
    // Copies to a link of its own are what they can be counted by.
    shell(
        place.sbc(),
        "ip link add copies type veth peer name counted; ip link set copies up; ip link set counted up
         tc qdisc add dev eth0 clsact
         for way in ingress egress; do
            tc filter add dev eth0 $way protocol ip u32 match ip protocol 17 0xff action mirred egress mirror dev copies
         done",
    );
    // Packets that an action has copied: the first is that of what is received, the second that of what is sent.
    let copied = |action: &str| {
        let shown = shell(place.sbc(), "tc -s filter show dev eth0 ingress");
        let (_, action) = shown.split_once(&format!("index {action} ")).expect("an action of that number");
        let words: Vec<_> = action.split_whitespace().skip_while(|word| *word != "Sent").collect();
        words[3].parse::<u64>().expect("a number")
    };
    let seen = || (copied("1"), copied("2"));
    place.attach(TRACKED);
    assert_eq!(datagrams(&place, CARRIER), 3);
    assert_eq!(is_answered(&place, SBC.ipv4, SERVER), Some(true));
    assert_eq!(seen(), (4, 1));
    let (arrived, dropped) = place.grows("source_unlisted", || datagrams(&place, SERVER));
    assert_eq!((arrived, dropped, seen()), (0, 3, (4, 1)), "what is dropped does not get there");
    assert_eq!(place.reason("return_traffic"), 1);
    // Its own program goes with the policy; those of others stay.
    place.sipwall(&["detach", "eth0"]).assert_done();
    assert_eq!((datagrams(&place, SERVER), is_answered(&place, SBC.ipv4, SERVER)), (3, Some(true)));
    assert_eq!(seen(), (8, 2));
}

#[test]
fn tcx_programs_before_ours_may_keep_packets_from_it_and_ours_keeps_none_from_those_behind() {
    let place = Place::new(&[SBC, SERVER]);
    let before = Tcx::attach(&place, Answer::Next);
    place.attach(TRACKED);
    assert_eq!(is_answered(&place, SBC.ipv4, SERVER), Some(true));
    let behind = Tcx::attach(&place, Answer::Drop);
    assert_eq!(is_answered(&place, SBC.ipv4, SERVER), None, "one behind ours is still asked");
    drop((before, behind));
    assert_eq!(is_answered(&place, SBC.ipv4, SERVER), Some(true));
    assert_eq!(place.reason("return_traffic"), 2);

    place.sipwall(&["detach", "eth0"]).assert_done();
    let _last_word = Tcx::attach(&place, Answer::Pass);
    place.attach(TRACKED);
    assert_eq!(is_answered(&place, SBC.ipv4, SERVER), Some(false), "ours is not asked, and knows of no question");
    assert_eq!(place.reason("source_unlisted"), 1);
}

/// A program of others on what the SBC sends, until it is dropped.
struct Tcx {
    _link: OwnedFd,
}

/// `enum bpf_cmd`, `bpf_prog_type` and `bpf_attach_type` in the kernel's `include/uapi/linux/bpf.h`.
const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_TCX_EGRESS: u32 = 47;
/// `r0 = …` and `exit`.
const MOVE_TO_R0: u64 = 0xb7;
const EXIT: u64 = 0x95;

/// The beginning of `union bpf_attr` for `BPF_PROG_LOAD`; the rest may be left out.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instruction_count: u32,
    instructions: *const u64,
    license: *const libc::c_char,
}

/// The same for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

impl Tcx {
    /// Puts a program that always answers so behind those that are there.
    fn attach(place: &Place, answer: Answer) -> Self {
        let value = u64::from(u32::from_ne_bytes((answer as i32).to_ne_bytes()));
        let instructions = [MOVE_TO_R0 | value << 32, EXIT];
        let license = CString::new("GPL").expect("no NUL");
        let load = ProgramLoad {
            kind: BPF_PROG_TYPE_SCHED_CLS,
            instruction_count: 2,
            instructions: instructions.as_ptr(),
            license: license.as_ptr(),
        };
        let program = bpf(BPF_PROG_LOAD, &load).expect("the program loads");
        let descriptor = program.as_raw_fd().cast_unsigned();
        let interface = shell(place.sbc(), "cat /sys/class/net/eth0/ifindex").trim().parse().expect("a number");
        let create = LinkCreate { program: descriptor, interface, attach_type: BPF_TCX_EGRESS, flags: 0 };
        let link = place.sbc().enter(|| bpf(BPF_LINK_CREATE, &create));
        Self { _link: link.expect("a host").expect("the program is attached") }
    }
}

/// `bpf(2)`, for commands that return a file descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads as much of the attributes as their size says, and what they point to lives until it has.
    let descriptor = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    let descriptor = i32::try_from(descriptor).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

//! Attaching the filter to an interface, and taking it off.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, bail, ensure};
use aya::{
    Ebpf,
    programs::{ProgramError, ProgramInfo, XdpMode as AyaMode, links::FdLink, loaded_programs},
};
use rustix::io::Errno;
use serde::Serialize;

use super::{
    egress,
    interface::{Interface, XdpMode, interface},
    maps::Maps,
    pins::{Pins, ensure_bpffs},
    program,
    publish::Published,
};
use crate::policy::CompiledPolicy;

/// How long the kernel may take to let go of a program whose link is gone.
const DETACH_TIMEOUT: Duration = Duration::from_secs(5);

/// Which way of attaching is acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttachMode {
    /// In the driver, or not at all.
    Native,
    /// In the driver, else in the stack.
    AllowGeneric,
}

/// What attaching did.
#[derive(Clone, Debug, Serialize)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// Where the program runs.
    pub xdp_mode: XdpMode,
    /// The number of the policy now in force.
    pub generation: u64,
    /// Whether the filter was there before, and only its policy is new.
    pub replaced: bool,
}

/// Puts `policy` in force on `interface`: on the filter that is there, or on one that is attached now.
///
/// A new filter has its policy before the first packet meets it. `name` is what the policy is called in `status`.
///
/// # Errors
/// If the interface is missing, another program holds it, or the kernel refuses a step. What ran before still runs.
pub fn attach(name: &str, mode: AttachMode, policy: &CompiledPolicy, policy_name: &str) -> Result<Attached> {
    let target = interface(name)?;
    egress::check_kernel(policy)?;
    ensure_bpffs()?;
    let pins = Pins::of(name);
    let replaced = is_running(&pins, &target)?;
    let generation = if replaced {
        let published = Maps::open(pins.directory())?.publish(policy, policy_name)?;
        egress::follow(&pins, name, policy)?;
        published.generation
    } else {
        NewFilter { interface: name, target: &target, mode, policy, policy_name }.attach()?
    };
    let running = interface(name)?.xdp.context("the interface runs no XDP program after attaching one")?;
    Ok(Attached { interface: name.to_owned(), xdp_mode: running.mode, generation, replaced })
}

/// Whether the interface runs the pinned program; pins of an interface that was made anew are stale.
fn is_running(pins: &Pins, target: &Interface) -> Result<bool> {
    Ok(pins.is_attached() && target.xdp.map(|xdp| xdp.id) == Some(program_id(pins)?))
}

fn program_id(pins: &Pins) -> Result<u32> {
    Ok(ProgramInfo::from_pin(pins.program()).context("cannot open the program's pin")?.id())
}

/// A filter that is to be attached where none is.
struct NewFilter<'a> {
    interface: &'a str,
    target: &'a Interface,
    mode: AttachMode,
    policy: &'a CompiledPolicy,
    policy_name: &'a str,
}

impl NewFilter<'_> {
    /// Attaches it, or leaves nothing of it behind; returns its first generation.
    fn attach(&self) -> Result<u64> {
        let staging = Pins::staging(self.interface);
        staging.create()?;
        let attached = self.attach_from(&staging);
        if attached.is_err() {
            // What went wrong is worth more than what could not be tidied up.
            let _ = staging.remove();
        }
        attached
    }

    fn attach_from(&self, staging: &Pins) -> Result<u64> {
        let Self { interface, target, mode, policy, policy_name } = *self;
        let mut ebpf = program::load(Some(staging.directory()))?;
        program::filter(&mut ebpf)?.pin(staging.program()).context("cannot pin the program")?;
        let egress_program = program::egress(&mut ebpf)?;
        egress_program.load().context("the kernel refuses the egress program")?;
        egress_program.pin(staging.egress_program()).context("cannot pin the egress program")?;
        let Published { generation, counters: _ } = Maps::of(&mut ebpf)?.publish(policy, policy_name)?;
        egress::follow(staging, interface, policy)?;
        let link = link(&mut ebpf, interface, target, mode)?;
        // From here the policy is in force, and ends with this process unless the link is pinned.
        link.pin(staging.link()).context("cannot pin the link")?;
        let pins = Pins::of(interface);
        pins.remove()?;
        staging.rename(&pins)?;
        Ok(generation)
    }
}

/// Attaches the program, natively if it can be.
fn link(ebpf: &mut Ebpf, name: &str, target: &Interface, mode: AttachMode) -> Result<FdLink> {
    let native = match try_link(ebpf, target, AyaMode::Driver) {
        Ok(link) => return Ok(link),
        Err(error) => error,
    };
    if mode == AttachMode::AllowGeneric && errno(&native) == Some(Errno::OPNOTSUPP) {
        return try_link(ebpf, target, AyaMode::Skb).map_err(|error| explain(&error, name, target));
    }
    Err(explain(&native, name, target))
}

fn try_link(ebpf: &mut Ebpf, target: &Interface, mode: AyaMode) -> Result<FdLink> {
    let program = program::filter(ebpf)?;
    let id = program.attach_to_if_index(target.index, mode)?;
    // Where the kernel has no BPF links for XDP, aya attaches by netlink instead, which cannot be pinned.
    let link = FdLink::try_from(program.take_link(id)?);
    link.context("the kernel cannot make a BPF link for XDP\nhint: sipwall needs Linux 5.9 or newer")
}

fn errno(error: &Error) -> Option<Errno> {
    match error.downcast_ref::<ProgramError>()? {
        ProgramError::SyscallError(error) => Errno::from_io_error(&error.io_error),
        _ => None,
    }
}

/// What the operator should know of a refusal to attach.
fn explain(error: &Error, name: &str, target: &Interface) -> Error {
    match errno(error) {
        Some(Errno::BUSY | Errno::EXIST) => anyhow::anyhow!(
            "`{name}` already runs an XDP program{}\nhint: `ip link show {name}` names it; remove it first",
            holder(target)
        ),
        Some(Errno::OPNOTSUPP) => anyhow::anyhow!(
            "the driver of `{name}` has no native XDP\nhint: `--allow-generic` attaches in the stack, which is several \
             times slower"
        ),
        Some(Errno::INVAL | Errno::RANGE) => anyhow::anyhow!(
            "the driver of `{name}` refuses XDP with its present settings (MTU {})\nhint: `dmesg` may say why; the \
             usual reasons are an MTU beyond a page, LRO or the number of queues",
            target.mtu
        ),
        _ => anyhow::anyhow!("cannot attach to `{name}`: {error:#}"),
    }
}

/// The program that an interface runs, in words.
fn holder(target: &Interface) -> String {
    let Some(xdp) = target.xdp else { return String::new() };
    let programs = loaded_programs().filter_map(Result::ok);
    let program = programs.into_iter().find(|program| program.id() == xdp.id);
    let program_name = program.and_then(|program| program.name_as_str().map(str::to_owned));
    format!(", `{}` with the id {}", program_name.unwrap_or_default(), xdp.id)
}

/// Takes the filter off `interface` and forgets its state. When it returns, the program runs no more.
///
/// # Errors
/// If none is attached there, a pin cannot be removed, or the kernel takes longer than seconds.
pub fn detach(name: &str) -> Result<()> {
    let pins = Pins::of(name);
    if !pins.is_attached() {
        bail!("no filter is attached to `{name}`\nhint: `sipwall status` lists the interfaces that have one");
    }
    let program = program_id(&pins)?;
    pins.remove()?;
    // The kernel frees an unpinned link in its own time. An interface that is gone runs nothing.
    let runs = || interface(name).is_ok_and(|interface| interface.xdp.is_some_and(|xdp| xdp.id == program));
    let deadline = Instant::now() + DETACH_TIMEOUT;
    while runs() {
        ensure!(Instant::now() < deadline, "the link is gone, but `{name}` still runs the program");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

//! Attaching the filter to an interface, and taking it off.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Error, Result, ensure};
use aya::programs::{ProgramError, Xdp, XdpMode as AyaMode, links::FdLink, loaded_programs};
use rustix::io::Errno;
use serde::Serialize;

use super::{
    baseline, build, egress, elsewhere,
    interface::{Interface, XdpMode, interface},
    kept,
    lock::WriteLock,
    maps::Maps,
    needs,
    nic::Nic,
    pins::{Pins, attached_interfaces},
    program,
    publish::Published,
    standing::Confirmation,
    upgrade,
};
use crate::{fault, policy::CompiledPolicy, stacking};

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

/// A policy that is to be put in force.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The policy.
    pub policy: &'a CompiledPolicy,
    /// What it is called in `status`: at most 63 octets.
    pub name: &'a str,
    /// How long it stays unless it is confirmed; for ever, if nothing.
    pub confirm_within: Option<Duration>,
}

/// What attaching did.
#[derive(Clone, Debug, Serialize)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// Where the program runs.
    pub attach_mode: XdpMode,
    /// The number of the policy now in force.
    pub generation: u64,
    /// Whether the filter was there before, and only its policy is new.
    pub replaced: bool,
    /// What the NIC does that matters to the program.
    pub nic: Nic,
    /// What became of the program.
    pub program: ProgramChange,
    /// What was counted or remembered before and could not be carried over, by the names of the maps.
    pub anew: Vec<&'static str>,
    /// Whether it stays.
    pub confirmation: Confirmation,
}

/// What becomes of the program when a policy is put in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramChange {
    /// None ran, and it was attached.
    Attached,
    /// The same runs on.
    Kept,
    /// Another build ran, and this binary's is in its place now.
    Swapped,
}

/// Puts a policy in force on `interface`: on the filter that is there, or on one that is attached now.
///
/// A new filter has its policy before the first packet meets it. Where the policy is not confirmed in time, the one before
/// it is in force again; on a new filter everything passes then.
///
/// # Errors
/// If the interface is missing, another program holds it, or the kernel refuses a step. What ran before still runs.
pub fn attach(name: &str, mode: AttachMode, change: &Change<'_>) -> Result<Attached> {
    let target = prepare(name, change)?;
    let lock = WriteLock::take()?;
    let attached = attach_to(name, &target, mode, change)?;
    kept::put_on(&lock, name)?;
    Ok(attached)
}

/// The same, unless somebody took the filter off, or attached it since it was looked for: nothing then.
///
/// # Errors
/// As [`attach`].
pub fn attach_if_bare(name: &str, mode: AttachMode, change: &Change<'_>) -> Result<Option<Attached>> {
    let target = prepare(name, change)?;
    fault::stop_at("attach");
    let _lock = WriteLock::take()?;
    if kept(name).is_some_and(|kept| kept.is_off()) || attached_interfaces()?.iter().any(|attached| attached == name) {
        return Ok(None);
    }
    attach_to(name, &target, mode, change).map(Some)
}

/// What can be found out before anything is locked.
fn prepare(name: &str, change: &Change<'_>) -> Result<Interface> {
    let target = interface(name)?;
    needs::check(change.policy)?;
    Ok(target)
}

fn attach_to(name: &str, target: &Interface, mode: AttachMode, change: &Change<'_>) -> Result<Attached> {
    let pins = Pins::of(name);
    finish_attaching(name, target)?;
    let replaced = is_running(&pins, target)?;
    let (program, generation, anew) = if replaced {
        let swapped = upgrade::swap_program(&pins, change.policy)?;
        let program = if swapped { ProgramChange::Swapped } else { ProgramChange::Kept };
        (program, replace(name, &pins, change)?, Vec::new())
    } else {
        elsewhere::check(&pins, name)?;
        let older = running_in_other_version(name, target)?;
        if older.is_some() {
            upgrade::check_trial(change.confirm_within.is_some())?;
        }
        let program = if older.is_some() { ProgramChange::Swapped } else { ProgramChange::Attached };
        let (generation, anew) = NewFilter { interface: name, target, mode, change, older: older.as_ref() }.attach()?;
        (program, generation, anew)
    };
    let running = interface(name)?.xdp.context("the interface runs no XDP program after attaching one")?;
    let confirmation = Maps::open(pins.directory())?.confirmation()?;
    let replaced = program != ProgramChange::Attached;
    let nic = Nic::of(name, target)?;
    Ok(Attached {
        nic,
        interface: name.to_owned(),
        attach_mode: running.mode,
        generation,
        replaced,
        program,
        anew,
        confirmation,
    })
}

/// Puts a policy in force on a filter that is attached, and returns its generation.
pub(super) fn replace(name: &str, pins: &Pins, change: &Change<'_>) -> Result<u64> {
    let mut maps = Maps::open(pins.directory())?;
    // Answers are let in only if what they answer was noted: the program that notes comes before the policy, and goes after.
    egress::attach_if_wanted(pins, name, change.policy)?;
    maps.take_snapshot()?;
    let published = maps.publish(change.policy, change.name, change.confirm_within)?;
    maps.note_baseline(pins.directory())?;
    if change.confirm_within.is_none() {
        egress::detach_unless_wanted(pins, change.policy)?;
    }
    Ok(published.generation)
}

/// Moves pins under their name that a command which died left where they are made: the filter that they hold is in force.
fn finish_attaching(name: &str, target: &Interface) -> Result<()> {
    let staging = Pins::staging(name);
    if staging.is_whole() && is_running(&staging, target)? {
        let pins = Pins::of(name);
        pins.remove()?;
        staging.rename(&pins)?;
    }
    if is_running(&Pins::of(name), target)? {
        for older in Pins::of_other_versions(name)? {
            older.remove()?;
        }
    }
    Ok(())
}

/// The pins of another ABI whose program the interface runs.
fn running_in_other_version(name: &str, target: &Interface) -> Result<Option<Pins>> {
    for pins in Pins::of_other_versions(name)? {
        if is_running(&pins, target)? {
            return Ok(Some(pins));
        }
    }
    Ok(None)
}

/// Whether the interface runs the program on the pinned link; pins of an interface that was made anew are stale.
pub(super) fn is_running(pins: &Pins, target: &Interface) -> Result<bool> {
    Ok(pins.is_attached() && target.xdp.map(|xdp| xdp.id) == Some(pins.program_id()?))
}

/// A filter that is to be attached where none is.
struct NewFilter<'a> {
    interface: &'a str,
    target: &'a Interface,
    mode: AttachMode,
    change: &'a Change<'a>,
    /// The filter of another ABI in whose place it comes.
    older: Option<&'a Pins>,
}

impl NewFilter<'_> {
    /// Attaches it, or leaves nothing of it behind; returns its first generation, and which maps of the older one's begin anew.
    fn attach(&self) -> Result<(u64, Vec<&'static str>)> {
        let staging = Pins::staging(self.interface);
        staging.create()?;
        let attached = self.attach_from(&staging);
        if attached.is_err() && !staging.is_whole() {
            // What went wrong is worth more than what could not be tidied up.
            let _ = staging.remove();
        }
        attached
    }

    fn attach_from(&self, staging: &Pins) -> Result<(u64, Vec<&'static str>)> {
        let Self { interface, target, mode, change, older } = *self;
        let anew = older.map_or_else(|| Ok(Vec::new()), |older| upgrade::share_maps(older, staging, change.policy))?;
        fault::step();
        let mut ebpf = program::load(Some(staging.directory()), Some(change.policy))?;
        fault::step();
        program::filter(&mut ebpf)?.pin(staging.program()).context("cannot pin the program")?;
        let egress_program = program::egress(&mut ebpf)?;
        egress_program.load().context("the kernel refuses the egress program")?;
        fault::step();
        egress_program.pin(staging.egress_program()).context("cannot pin the egress program")?;
        build::write(staging)?;
        let mut maps = Maps { directory: Some(staging.directory().to_owned()), ..Maps::of(&mut ebpf)? };
        if let Some(older) = older {
            upgrade::continue_generations(older, staging, &mut maps)?;
            maps.refill_deny_filter()?;
            if !baseline::COUNTERS.iter().any(|counters| anew.contains(counters)) {
                baseline::keep_age(older, staging)?;
            }
        }
        let Published { generation, counters: _ } = maps.publish(change.policy, change.name, change.confirm_within)?;
        maps.note_baseline(staging.directory())?;
        maps.take_snapshot()?;
        egress::attach_if_wanted(staging, interface, change.policy)?;
        if let Some(older) = older {
            upgrade::take_link(&mut ebpf, older, staging)?;
        } else {
            fault::step();
            let link = link(program::filter(&mut ebpf)?, interface, target, mode)?;
            // From here the policy is in force, and ends with this process unless the link is pinned.
            fault::step();
            link.pin(staging.link()).context("cannot pin the link")?;
        }
        let pins = Pins::of(interface);
        pins.remove()?;
        staging.rename(&pins)?;
        if let Some(older) = older {
            older.remove()?;
        }
        Ok((generation, anew))
    }
}

/// Attaches the program, natively if it can be.
pub(super) fn link(program: &mut Xdp, name: &str, target: &Interface, mode: AttachMode) -> Result<FdLink> {
    let native = match try_link(program, target, AyaMode::Driver) {
        Ok(link) => return Ok(link),
        Err(error) => error,
    };
    if mode == AttachMode::AllowGeneric && errno(&native) == Some(Errno::OPNOTSUPP) {
        return try_link(program, target, AyaMode::Skb).map_err(|error| explain(&error, name, target));
    }
    Err(explain(&native, name, target))
}

fn try_link(program: &mut Xdp, target: &Interface, mode: AyaMode) -> Result<FdLink> {
    let id = program.attach_to_if_index(target.index, mode)?;
    // Where the kernel has no BPF links for XDP, aya attaches by netlink instead, which cannot be pinned.
    let link = FdLink::try_from(program.take_link(id)?);
    link.context("the kernel cannot make a BPF link for XDP\nhint: sipwall needs Linux 5.9 or newer")
}

pub(super) fn errno(error: &Error) -> Option<Errno> {
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
            "the driver of `{name}` has no native XDP\nhint: {}`--allow-generic` attaches in the stack, which is several \
             times slower",
            carriers(name)
        ),
        Some(Errno::INVAL | Errno::RANGE) => anyhow::anyhow!(
            "the driver of `{name}` refuses XDP with its present settings (MTU {})\nhint: `dmesg` may say why; the \
             usual reasons are an MTU beyond a page, LRO or the number of queues",
            target.mtu
        ),
        _ => anyhow::anyhow!("cannot attach to `{name}`: {error:#}"),
    }
}

/// What to attach to in place of an interface that stands on others.
fn carriers(name: &str) -> String {
    let carriers = stacking::below(name);
    let carriers: Vec<_> = carriers.iter().map(|carrier| format!("`{carrier}`")).collect();
    if carriers.is_empty() { String::new() } else { format!("attach to {} below it, or ", carriers.join(" and ")) }
}

/// The program that an interface runs, in words. Names of programs are told to no process without `CAP_SYS_ADMIN`, such as the
/// service.
fn holder(target: &Interface) -> String {
    let Some(xdp) = target.xdp else { return String::new() };
    let programs = loaded_programs().filter_map(Result::ok);
    let program = programs.into_iter().find(|program| program.id() == xdp.id);
    let name = program.and_then(|program| program.name_as_str().map(|name| format!(", `{name}`")));
    format!("{} with the id {}", name.unwrap_or_default(), xdp.id)
}

/// Takes the filter off `interface` and forgets its state. When it returns, the program runs no more.
///
/// `stays_off`: a service that runs leaves it so.
///
/// # Errors
/// If none is attached there, a pin cannot be removed, or the kernel takes longer than seconds.
pub fn detach(name: &str, stays_off: bool) -> Result<()> {
    let lock = WriteLock::take()?;
    let pins: Vec<Pins> = [Pins::of(name), Pins::staging(name)]
        .into_iter()
        .filter(Pins::is_attached)
        .chain(Pins::of_other_versions(name)?)
        .collect();
    let Some(first) = pins.first() else {
        // A command that died may have left something without a link.
        [Pins::of(name), Pins::staging(name)].iter().try_for_each(Pins::remove)?;
        return Pins::attached(name).map(drop);
    };
    // A pin that is no link holds no program, and goes like the others.
    let program = first.program_id().ok();
    pins.iter().try_for_each(Pins::remove)?;
    let note = if stays_off { kept::take_off } else { kept::forget };
    note(&lock, name)?;
    // The kernel frees an unpinned link in its own time. An interface that is gone runs nothing.
    let runs = || interface(name).is_ok_and(|interface| interface.xdp.is_some_and(|xdp| Some(xdp.id) == program));
    let deadline = Instant::now() + DETACH_TIMEOUT;
    while runs() {
        ensure!(Instant::now() < deadline, "the link is gone, but `{name}` still runs the program");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

//! The program on what the host sends, which lets answers in where a policy has `return_traffic = "tracked"`.

use std::fs;

use anyhow::{Context as _, Result};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType, links::FdLink, tc::TcAttachOptions};
use filter_common::tables::flags;
use rustix::io::Errno;

use super::{
    attach::errno,
    pins::{self, Pins},
};
use crate::{fault, policy::CompiledPolicy};

/// Whether the policy needs the program.
pub(super) const fn is_wanted(policy: &CompiledPolicy) -> bool {
    policy.tables.settings.has(flags::RETURN_TRAFFIC)
}

/// Attaches the pinned program if the policy needs it and it is not attached.
pub(super) fn attach_if_wanted(pins: &Pins, interface: &str, policy: &CompiledPolicy) -> Result<()> {
    let link = pins.egress_link();
    if is_wanted(policy) && !link.exists() {
        fault::step();
        attach(pins, interface)?.pin(&link).context("cannot pin the egress link")?;
    }
    Ok(())
}

/// Takes the program off if it is attached and the policy does not need it.
pub(super) fn detach_unless_wanted(pins: &Pins, policy: &CompiledPolicy) -> Result<()> {
    let link = pins.egress_link();
    if !is_wanted(policy) && link.exists() {
        // Who lets go of a link last takes it off. A process does so at once, a pin that is removed leaves it to the kernel
        // (`bpf_link_put` in `kernel/bpf/syscall.c`), and until then the program cannot be attached again.
        let last = Pins::open(&link);
        fault::step();
        fs::remove_file(&link).with_context(|| format!("cannot remove `{}`", link.display()))?;
        drop(last);
    }
    Ok(())
}

/// Attaches the pinned program to an interface that was made anew, if it was attached to the one before.
pub(super) fn reattach(pins: &Pins, interface: &str) -> Result<()> {
    let link = pins.egress_link();
    if link.exists() {
        match attach(pins, interface) {
            Ok(anew) => pins::pin_over(&link, |path| anew.pin(path).map(drop))?,
            // A command that died behind this has done it, and the link that is pinned is the interface's own.
            Err(error) if errno(&error) == Some(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn attach(pins: &Pins, interface: &str) -> Result<FdLink> {
    let mut program =
        SchedClassifier::from_pin(pins.egress_program()).context("cannot open the egress program's pin")?;
    let options = TcAttachOptions::TcxOrder(LinkOrder::default());
    let id = program
        .attach_with_options(interface, TcAttachType::Egress, options)
        .with_context(|| format!("cannot attach the egress program to `{interface}`"))?;
    FdLink::try_from(program.take_link(id)?).context("the kernel made no TCX link")
}

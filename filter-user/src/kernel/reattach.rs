//! Attaching what is pinned again, where its interface went and came back.

use anyhow::{Context as _, Result};
use aya::programs::Xdp;
// `Xdp::from_pin` takes it, and aya does not export it.
use aya_obj::programs::XdpAttachType;

use super::{
    attach::{self, AttachMode},
    egress, elsewhere,
    interface::{XdpMode, interface},
    lock::WriteLock,
    pins::{self, Pins},
};

/// Attaches the pinned program to `interface`, with its maps as they are: policy, counters and deny list go on.
///
/// Returns where it runs; nothing if it ran already.
///
/// # Errors
/// If nothing is pinned for the interface, it is missing, another program holds it, or the kernel refuses a step.
pub fn reattach(name: &str, mode: AttachMode) -> Result<Option<XdpMode>> {
    let _lock = WriteLock::take()?;
    let pins = Pins::attached(name)?;
    pins.finish_links()?;
    let target = interface(name)?;
    if attach::is_running(&pins, &target)? {
        return Ok(None);
    }
    elsewhere::check(&pins, name)?;
    egress::reattach(&pins, name)?;
    let program = Xdp::from_pin(pins.program(), XdpAttachType::Interface);
    let link = attach::link(&mut program.context("cannot open the program's pin")?, name, &target, mode)?;
    // The new link takes the old one's place at once: no moment is without either.
    pins::pin_over(&pins.link(), |path| link.pin(path).map(drop))?;
    let running = interface(name)?.xdp.context("the interface runs no XDP program after attaching one")?;
    Ok(Some(running.mode))
}

/// Whether there is an interface of that name.
pub fn interface_exists(name: &str) -> bool {
    interface(name).is_ok()
}

//! `cargo xtask setup`: finds or installs what the build, the tests and the demo need.

mod install;
mod requirement;
mod unpack;

use anyhow::{Result, bail};
use filter_ebpf_build::Places;
use install::Installer;
pub(crate) use requirement::Purpose;
use requirement::{Requirement, requirements};

/// Installs whatever is missing, and says so either way.
pub(crate) fn run() -> Result<()> {
    ensure(Purpose::Test)?;
    eprintln!("everything that sipwall's build, tests and demo need is installed");
    Ok(())
}

/// Installs what is missing for this purpose; quick and silent where nothing is.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    let places = Places::of_this_machine();
    let missing = missing(&places, purpose);
    if missing.is_empty() {
        return Ok(());
    }
    for requirement in &missing {
        eprintln!("missing: {} ({})", requirement.name, requirement.why);
    }
    Installer::of_this_machine(&places).install(&missing)?;
    let left = self::missing(&places, purpose);
    if let Some(requirement) = left.first() {
        bail!("{} is still missing\n{}", requirement.name, requirement.hint());
    }
    Ok(())
}

fn missing(places: &Places, purpose: Purpose) -> Vec<Requirement> {
    let needed = requirements(places).into_iter().filter(|requirement| requirement.purposes.contains(&purpose));
    needed.filter(|requirement| !requirement.present).collect()
}

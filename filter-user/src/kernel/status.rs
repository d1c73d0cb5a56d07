//! What runs on an interface.

use anyhow::{Context as _, Result};
use aya::programs::{ProgramInfo, links::PinnedLink};
use filter_common::{GenerationInfo, tables::flags};
use serde::Serialize;

use super::{
    counters::mode_name,
    interface::{XdpMode, XdpProgram, interface},
    maps::Maps,
    pins::Pins,
    standing::Confirmation,
};

/// What runs on an interface.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// Whether the interface runs the filter's program now.
    pub running: bool,
    /// Where the program runs; nothing if it does not.
    pub xdp_mode: Option<XdpMode>,
    /// `enforce` or `monitor`; nothing where no policy is in force and everything passes.
    pub mode: Option<&'static str>,
    /// `interface` or `ports`; nothing where no policy is in force.
    pub scope: Option<&'static str>,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// Whether the policy that was put in force last stays.
    pub confirmation: Confirmation,
    /// The policy's file name.
    pub policy: Option<String>,
    /// When it was published, in seconds since the epoch.
    pub published_at: u64,
    /// How many rules it has.
    pub rules: u32,
    /// How many IPv4 prefixes it has.
    pub prefixes_v4: u32,
    /// How many IPv6 prefixes it has.
    pub prefixes_v6: u32,
    /// How many prefixes the deny list had when it was published.
    pub denied: u32,
    /// The kernel's number of the program.
    pub program_id: u32,
}

/// What runs on `interface`, from its pins and from the interface itself.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be read.
pub fn status(name: &str) -> Result<Status> {
    let pins = Pins::attached(name)?;
    let link = PinnedLink::from_pin(pins.link()).with_context(|| format!("cannot open the link of `{name}`"))?;
    drop(link);
    let program_id = ProgramInfo::from_pin(pins.program()).context("cannot open the program's pin")?.id();
    let maps = Maps::open(pins.directory())?;
    let (info, confirmation) = (maps.in_force()?, maps.confirmation()?);
    // An interface that is gone runs nothing, but its state is worth showing.
    let xdp = interface(name).ok().and_then(|interface| interface.xdp).filter(|xdp| xdp.id == program_id);
    Ok(describe(name, info.as_ref(), confirmation, xdp, program_id))
}

fn describe(
    name: &str,
    info: Option<&GenerationInfo>,
    confirmation: Confirmation,
    xdp: Option<XdpProgram>,
    program_id: u32,
) -> Status {
    let count = |count: fn(&GenerationInfo) -> u32| info.map_or(0, count);
    Status {
        interface: name.to_owned(),
        running: xdp.is_some(),
        xdp_mode: xdp.map(|xdp| xdp.mode),
        mode: info.map(|info| mode_name(info.flags)),
        scope: info.map(|info| if info.flags & flags::SCOPE_PORTS == 0 { "interface" } else { "ports" }),
        generation: info.map_or(0, |info| info.generation),
        confirmation,
        policy: info.and_then(|info| info.policy.as_str()).map(str::to_owned),
        published_at: info.map_or(0, |info| info.published_at),
        rules: count(|info| info.rules),
        prefixes_v4: count(|info| info.prefixes_v4),
        prefixes_v6: count(|info| info.prefixes_v6),
        denied: count(|info| info.denied),
        program_id,
    }
}

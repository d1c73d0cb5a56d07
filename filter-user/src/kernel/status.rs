//! What runs on an interface.

use anyhow::Result;
use filter_common::{GenerationInfo, tables::flags};
use serde::Serialize;

use super::{
    build,
    counters::mode_name,
    interface::{XdpMode, XdpProgram, interface},
    maps::Maps,
    pins::Pins,
    standing::Confirmation,
};
use crate::instant;

/// What runs on an interface.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// Whether the interface runs the filter's program now.
    pub running: bool,
    /// Where the program runs; nothing if it does not.
    pub attach_mode: Option<XdpMode>,
    /// `enforce` or `monitor`; nothing where no policy is in force and everything passes.
    pub mode: Option<&'static str>,
    /// `interface` or `ports`; nothing where no policy is in force.
    pub scope: Option<&'static str>,
    /// The number of the policy in force; 0 where none is.
    pub generation: u64,
    /// The number of the policy that the switch names: another one than `generation` where it was not confirmed in time.
    #[serde(skip)]
    pub named_generation: u64,
    /// Whether the policy that was put in force last stays.
    pub confirmation: Confirmation,
    /// The path of the policy's file, or the end of it where it is longer than 63 octets.
    pub policy: Option<String>,
    /// When it was published; nothing where no policy is in force.
    #[serde(with = "instant::optional")]
    pub published_at: Option<u64>,
    /// How many rules it has.
    pub rule_count: u32,
    /// How many IPv4 prefixes it has.
    pub prefixes_v4: u32,
    /// How many IPv6 prefixes it has.
    pub prefixes_v6: u32,
    /// How many prefixes the deny list had when it was published.
    pub denied_count: u32,
    /// The kernel's number of the program.
    pub program_id: u32,
    /// The version that the program is of, with a fingerprint of its code; nothing where that was not noted.
    pub build: Option<String>,
    /// Whether it is the program that this binary would attach.
    pub is_this_build: bool,
}

/// What runs on `interface`, from its pins and from the interface itself.
///
/// # Errors
/// If no filter is attached there, or its pins cannot be read.
pub fn status(name: &str) -> Result<Status> {
    let pins = Pins::attached(name)?;
    let (program_id, xdp) = program_of(&pins, name)?;
    let maps = Maps::open(pins.directory())?;
    // Before all else: what is put in force meanwhile makes a difference to whoever compares it later.
    let named_generation = maps.named_generation()?;
    let (info, confirmation) = (maps.in_force()?, maps.confirmation()?);
    let build = build::noted(&pins).and_then(|build| build.as_str().map(str::to_owned));
    let is_this_build = build::is_this(&pins);
    Ok(Status {
        named_generation,
        build,
        is_this_build,
        ..describe(name, info.as_ref(), confirmation, xdp, program_id)
    })
}

/// The kernel's number of the program on the link, and where the interface runs it; nothing if it does not. An interface that is
/// gone runs nothing, but its state is worth showing.
///
/// A program that is swapped meanwhile is not taken for one that does not run. It is while a swap holds the lock of all
/// interfaces that somebody who asks for one waits, and then sees the new program.
fn program_of(pins: &Pins, name: &str) -> Result<(u32, Option<XdpProgram>)> {
    let mut before = pins.program_id()?;
    loop {
        let runs = interface(name).ok().and_then(|interface| interface.xdp);
        let after = pins.program_id()?;
        let running = runs.filter(|xdp| xdp.id == after);
        if running.is_some() || before == after {
            return Ok((after, running));
        }
        before = after;
    }
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
        attach_mode: xdp.map(|xdp| xdp.mode),
        mode: info.map(|info| mode_name(info.flags)),
        scope: info.map(|info| if info.flags & flags::SCOPE_PORTS == 0 { "interface" } else { "ports" }),
        generation: info.map_or(0, |info| info.generation),
        named_generation: 0,
        confirmation,
        policy: info.and_then(|info| info.policy.as_str()).map(str::to_owned),
        published_at: info.map(|info| info.published_at),
        rule_count: count(|info| info.rules),
        prefixes_v4: count(|info| info.prefixes_v4),
        prefixes_v6: count(|info| info.prefixes_v6),
        denied_count: count(|info| info.denied),
        program_id,
        build: None,
        is_this_build: false,
    }
}

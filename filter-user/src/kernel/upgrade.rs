//! A newer program put in the place of the one that runs: on the same link, so that no packet passes between them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use aya::{
    maps::{Array, Map, MapData, MapInfo, MapType},
    programs::{links::FdLink, tc::SchedClassifierLink, xdp::XdpLink},
};
use filter_common::{
    GenerationInfo,
    tables::{GENERATIONS, Switch},
};

use super::{
    build,
    maps::{self, Maps, Value},
    pins::{self, Pins},
    program,
};
use crate::{fault, policy::CompiledPolicy};

/// Puts this binary's program in the place of the one that runs on these pins, which are of this ABI, unless it is the same.
/// The maps stay as they are. Returns whether it did.
pub(super) fn swap_program(pins: &Pins) -> Result<bool> {
    if build::is_this(pins) {
        return Ok(false);
    }
    // A map that is pinned is taken as it is.
    maps::check_shapes(pins.directory())?;
    let mut ebpf = program::load(Some(pins.directory()), None)?;
    let egress = program::egress(&mut ebpf)?;
    egress.load().context("the kernel refuses the egress program")?;
    pins::pin_over(&pins.egress_program(), |path| egress.pin(path))?;
    if pins.egress_link().exists() {
        let link = SchedClassifierLink::try_from(Pins::open(&pins.egress_link())?)?;
        fault::step();
        egress.attach_to_link(link).context("cannot swap the egress program")?;
    }
    let filter = program::filter(&mut ebpf)?;
    pins::pin_over(&pins.program(), |path| filter.pin(path))?;
    let link = XdpLink::try_from(Pins::open(&pins.link())?).context("the pinned link is none of XDP")?;
    fault::step();
    filter.attach_to_link(link).context("cannot swap the program")?;
    // Dying before this makes the next command swap it once more.
    build::write(pins)?;
    Ok(true)
}

/// Puts the lasting maps of a filter of another ABI among the new pins of this one, which nothing uses yet. Returns the names
/// of those that are of another shape, and begin anew.
pub(super) fn share_maps(old: &Pins, new: &Pins, policy: &CompiledPolicy) -> Result<Vec<&'static str>> {
    // What the maps of this version are like is seen best when they are made.
    drop(program::load_maps(new.directory(), Some(policy))?);
    let mut anew = Vec::new();
    for name in maps::lasting() {
        let [from, to] = [old, new].map(|pins| pins.directory().join(name));
        if !from.exists() || shape(&from)? != shape(&to)? {
            anew.push(name);
            continue;
        }
        fs::remove_file(&to).with_context(|| format!("cannot remove `{}`", to.display()))?;
        let map = MapData::from_pin(&from).with_context(|| format!("cannot open `{}`", from.display()))?;
        fault::step();
        map.pin(&to).with_context(|| format!("cannot pin `{}`", to.display()))?;
    }
    Ok(anew)
}

/// Goes on counting generations where the older filter stands, in the slot behind the one that it looks at: the deny list that
/// both look at holds for it until the link is swapped.
pub(super) fn continue_generations(old: &Pins, new: &Pins, maps: &mut Maps) -> Result<()> {
    if let Some(switch) = shared_array::<Switch>(old, new, "SWITCH")? {
        fault::step();
        maps.switch.set(0, Value(switch.get(&0, 0)?.0), 0)?;
    }
    if let Some(infos) = shared_array::<GenerationInfo>(old, new, "GENERATION_INFO")? {
        for slot in 0..GENERATIONS {
            fault::step();
            maps.generation_info.set(slot, Value(infos.get(&slot, 0)?.0), 0)?;
        }
    }
    Ok(())
}

/// An array of the older filter, if it has the shape that this version knows.
fn shared_array<T: bytemuck::Pod>(old: &Pins, new: &Pins, name: &str) -> Result<Option<Array<MapData, Value<T>>>> {
    let [from, to] = [old, new].map(|pins| pins.directory().join(name));
    if !from.exists() || shape(&from)? != shape(&to)? {
        return Ok(None);
    }
    Ok(Some(Map::from_map_data(MapData::from_pin(&from)?)?.try_into()?))
}

/// What two maps must have in common to stand for each other: type, sizes, capacity.
fn shape(path: &Path) -> Result<(MapType, u32, u32, u32)> {
    let info = MapInfo::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    Ok((info.map_type()?, info.key_size(), info.value_size(), info.max_entries()))
}

/// Puts a loaded program in the place of the one on the older filter's link.
///
/// The link is among the new pins before that: they are whole from the moment on in which their program runs.
pub(super) fn take_link(ebpf: &mut aya::Ebpf, old: &Pins, new: &Pins) -> Result<()> {
    let open = || XdpLink::try_from(Pins::open(&old.link())?).context("the pinned link is none of XDP");
    fault::step();
    FdLink::try_from(open()?)?.pin(new.link()).context("cannot pin the link")?;
    fault::step();
    program::filter(ebpf)?.attach_to_link(open()?).context("cannot swap the program")?;
    Ok(())
}

/// Refuses what an older filter of another ABI cannot give.
pub(super) fn check_trial(on_trial: bool) -> Result<()> {
    ensure!(
        !on_trial,
        "the filter that runs is of another version, whose policy this one cannot go back to: a trial ends in the kernel, \
         where the new program knows no other form than its own\nhint: `sipwall diff` it with the binary that runs, then \
         leave `--confirm` out this once"
    );
    Ok(())
}

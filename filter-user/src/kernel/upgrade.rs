//! A newer program put in the place of the one that runs: on the same link, so that no packet passes between them.

use std::{ffi::OsStr, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use aya::{
    maps::{Array, Map, MapData, MapInfo, MapType},
    programs::{SchedClassifier, Xdp, links::FdLink, tc::SchedClassifierLink, xdp::XdpLink},
};
// `Xdp::from_pin` takes it, and aya does not export it.
use aya_obj::programs::XdpAttachType;
use filter_common::{GenerationInfo, tables::GENERATIONS};

use super::{
    build,
    maps::{self, Maps, Value},
    pins::{self, Pins},
    policies, program, room,
    sources::SourceMaps,
};
use crate::{fault, policy::CompiledPolicy};

/// Puts this binary's program in the place of the one that runs on these pins, which are of this ABI, unless it is the same
/// and its maps have room for the policy. The maps stay as they are but for those without room, which begin anew: sources are
/// carried over, and between packets nothing was remembered there. Returns whether it was another build.
///
/// All that is new is pinned beside what it is to replace. When the program has taken its place among the pins, the rest
/// follows, be it by the next command.
pub(super) fn swap_program(pins: &Pins, policy: &CompiledPolicy) -> Result<bool> {
    finish_swap(pins)?;
    let is_other = !build::is_this(pins);
    let anew = room::too_small(pins.directory(), policy)?;
    if !is_other && anew.is_empty() {
        return Ok(false);
    }
    // A map that is pinned is taken as it is.
    maps::check_shapes(pins.directory())?;
    fault::step();
    let mut ebpf = program::load_beside(pins.directory(), policy, &anew)?;
    if anew.contains(&"SOURCES") {
        carry_policies_over(pins.directory())?;
    }
    let egress = program::egress(&mut ebpf)?;
    egress.load().context("the kernel refuses the egress program")?;
    pins::pin_beside(&pins.egress_program(), |path| egress.pin(path))?;
    let filter = program::filter(&mut ebpf)?;
    pins::pin_over(&pins.program(), |path| filter.pin(path))?;
    finish_swap(pins)?;
    // Dying before this makes the next command swap it once more.
    build::write(pins)?;
    Ok(is_other)
}

/// The maps of the filter on `interface`, to be changed. A swap that was cut short is finished first: the program that runs until
/// then looks at the maps before it.
pub(super) fn maps_to_change(interface: &str) -> Result<Maps> {
    let pins = Pins::attached(interface)?;
    let maps = Maps::open(pins.directory())?;
    finish_swap(&pins)?;
    Ok(maps)
}

/// Lets what a swap pinned beside other pins take their place, and the pinned program that of the one which runs, if the
/// program is pinned already that belongs to it; else nothing of it is left.
fn finish_swap(pins: &Pins) -> Result<()> {
    pins.finish_links()?;
    let directory = pins.directory();
    let (paths, is_done) = (pins::with_beside(directory)?, pins.is_whole());
    for path in paths {
        fault::step();
        if is_done || path == pins.program() {
            let beside = pins::beside(&path);
            fs::remove_file(&beside).with_context(|| format!("cannot remove `{}`", beside.display()))?;
        } else {
            pins::take_place(&path)?;
        }
    }
    if is_done {
        return Ok(());
    }
    if pins.egress_link().exists() {
        let link = SchedClassifierLink::try_from(Pins::open(&pins.egress_link())?)?;
        let mut egress =
            SchedClassifier::from_pin(pins.egress_program()).context("cannot open the egress program's pin")?;
        fault::step();
        egress.attach_to_link(link).context("cannot swap the egress program")?;
    }
    let link = XdpLink::try_from(Pins::open(&pins.link())?).context("the pinned link is none of XDP")?;
    let filter = Xdp::from_pin(pins.program(), XdpAttachType::Interface);
    fault::step();
    filter.context("cannot open the program's pin")?.attach_to_link(link).context("cannot swap the program")?;
    Ok(())
}

/// Writes the policies of every slot, and their sources, into the maps that are pinned beside those that have them.
fn carry_policies_over(directory: &Path) -> Result<()> {
    let old = |name: &str| maps::at(&directory.join(name));
    let new = |name: &str| maps::at(&pins::beside(&directory.join(name)));
    let (from, mut to) = (SourceMaps::collect(old)?, SourceMaps::collect(new)?);
    let [known, written]: [policies::Shared; 2] = [old("POLICIES")?.try_into()?, new("POLICIES")?.try_into()?];
    for slot in 0..GENERATIONS {
        policies::copy_tables(&known, &written, slot)?;
        // What was not written to its end is in force nowhere.
        let sources = from.noted(&mut policies::sources_of(&known, slot)?.roots)?.unwrap_or_default();
        to.write(slot, &mut policies::sources_of(&written, slot)?, &sources)?;
    }
    policies::set_switch_of(&written, policies::switch_of(&known)?)
}

/// Puts the lasting maps of a filter of another ABI among the new pins of this one, which nothing uses yet. Returns the names
/// of those that are of another shape, and begin anew.
pub(super) fn share_maps(old: &Pins, new: &Pins, policy: &CompiledPolicy) -> Result<Vec<&'static str>> {
    // What the maps of this version are like is seen best when they are made.
    drop(program::load_maps(new.directory(), Some(policy), &[])?);
    let mut anew = Vec::new();
    for name in maps::lasting() {
        let [from, to] = [old, new].map(|pins| pins.directory().join(name));
        if !from.exists() && maps::is_new(name) {
            continue;
        }
        if !from.exists() || shape(&from)? != shape(&to)? {
            anew.push(name);
            continue;
        }
        if room::entries(old.directory(), name)? < room::entries(new.directory(), name)? {
            // The policy before made nothing of it.
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
    let switch = policies::switch_at(&old.directory().join("POLICIES"))?;
    fault::step();
    maps.set_switch(switch)?;
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

/// What two maps must have in common to stand for each other: type, sizes, and capacity, unless the policy decides that.
fn shape(path: &Path) -> Result<(MapType, u32, u32, Option<u32>)> {
    let info = MapInfo::from_pin(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let capacity = (!room::is_sized_by_policy(name)).then_some(info.max_entries());
    Ok((info.map_type()?, info.key_size(), info.value_size(), capacity))
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

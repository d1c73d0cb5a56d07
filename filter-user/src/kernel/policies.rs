//! The map of the policies: what is in each slot, and the switch, which says where the one in force is.

use std::{mem::offset_of, path::Path, sync::atomic::Ordering};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, MapData};
use filter_common::{
    source_index::{FilterForm, SourceRoots},
    tables::{GENERATIONS, Policies, Slot, Switch, Tables},
};
use ipnet::IpNet;

use super::{
    mapped::Mapped,
    maps::{Maps, Value},
};

/// The map.
pub(super) type Shared = Array<MapData, Value<Policies>>;

impl Maps {
    /// The tables of a slot, in memory.
    pub(super) fn tables(&self, slot: u32) -> Result<Mapped<Tables>> {
        tables(&self.policies, slot)
    }

    /// Writes sources, which ascend, into a slot that no packet looks at.
    pub(super) fn write_sources(&mut self, slot: u32, sources: &[(IpNet, u32)]) -> Result<()> {
        self.sources.write(slot, &mut sources_of(&self.policies, slot)?, sources)
    }

    /// The sources in a slot, ascending.
    pub(super) fn read_sources(&self, slot: u32) -> Result<Vec<(IpNet, u32)>> {
        self.sources
            .noted(&mut sources_of(&self.policies, slot)?.roots)?
            .context("the sources were not written to their end")
    }

    /// What the switch says.
    pub(super) fn switch(&self) -> Result<Switch> {
        switch_of(&self.policies)
    }

    /// Lets the switch say something else from the next packet on, which finds all that was written before.
    pub(super) fn set_switch(&self, switch: Switch) -> Result<()> {
        set_switch_of(&self.policies, switch)
    }
}

fn tables(policies: &Shared, slot: u32) -> Result<Mapped<Tables>> {
    Mapped::within(policies, start(slot)? + offset_of!(Slot, tables), 1)
}

/// Writes the tables that a slot has in one map into those of another one, which no packet looks at.
pub(super) fn copy_tables(from: &Shared, to: &Shared, slot: u32) -> Result<()> {
    tables(to, slot)?.entries().copy_from_slice(tables(from, slot)?.entries());
    Ok(())
}

/// Where the look-ups of sources begin in a slot, in memory.
pub(super) struct SourcesOfSlot {
    pub(super) form: Mapped<FilterForm>,
    pub(super) roots: Mapped<SourceRoots>,
}

/// Where they begin in this slot.
pub(super) fn sources_of(policies: &Shared, slot: u32) -> Result<SourcesOfSlot> {
    let start = start(slot)?;
    Ok(SourcesOfSlot {
        form: Mapped::within(policies, start + offset_of!(Slot, form), 1)?,
        roots: Mapped::within(policies, start + offset_of!(Slot, roots), 1)?,
    })
}

/// Where a slot begins.
fn start(slot: u32) -> Result<usize> {
    Ok(offset_of!(Policies, slots) + usize::try_from(slot)? * size_of::<Slot>())
}

/// What the switch of these policies says.
pub(super) fn switch_of(policies: &Shared) -> Result<Switch> {
    let word = word(policies).context("cannot read the switch")?;
    Ok(Switch::of_number(word.shared().load(Ordering::Acquire)))
}

/// What the switch of policies says that another ABI pinned, whatever else it has there.
pub(super) fn switch_at(path: &Path) -> Result<Switch> {
    let unknown = || {
        format!(
            "`{}` does not say which policy is in force, so this version cannot take over\nhint: `sipwall detach` takes the \
             filter off",
            path.display()
        )
    };
    let map = MapData::from_pin(path).with_context(unknown)?;
    let word = Mapped::<u64>::of(&map, offset_of!(Policies, switch), 1).with_context(unknown)?;
    let switch = Switch::of_number(word.shared().load(Ordering::Acquire));
    ensure!(switch.slot < GENERATIONS, unknown());
    Ok(switch)
}

/// Lets the switch of these policies say something else, as [`Maps::set_switch`] does.
pub(super) fn set_switch_of(policies: &Shared, switch: Switch) -> Result<()> {
    word(policies).context("cannot write the switch")?.shared().store(switch.number(), Ordering::Release);
    Ok(())
}

/// The switch in memory, as the number that it is there.
fn word(policies: &Shared) -> Result<Mapped<u64>> {
    const { assert!(size_of::<Switch>() == size_of::<u64>()) };
    Mapped::within(policies, offset_of!(Policies, switch), 1)
}

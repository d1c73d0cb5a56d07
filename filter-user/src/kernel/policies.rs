//! The map of the policies: the tables of each slot, and the switch, which says where the one in force is.

use std::{mem::offset_of, sync::atomic::Ordering};

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData};
use filter_common::tables::{Policies, Switch, Tables};

use super::{
    mapped::Mapped,
    maps::{Maps, Value},
};

type Shared = Array<MapData, Value<Policies>>;

impl Maps {
    /// The tables of a slot, in memory.
    pub(super) fn tables(&self, slot: u32) -> Result<Mapped<Tables>> {
        let start = offset_of!(Policies, tables) + usize::try_from(slot)? * size_of::<Tables>();
        Mapped::within(&self.policies, start, 1)
    }

    /// What the switch says.
    pub(super) fn switch(&self) -> Result<Switch> {
        switch_of(&self.policies)
    }

    /// Lets the switch say something else from the next packet on, which finds all that was written before.
    pub(super) fn set_switch(&self, switch: Switch) -> Result<()> {
        word(&self.policies).context("cannot write the switch")?.shared().store(switch.number(), Ordering::Release);
        Ok(())
    }
}

/// What the switch of these policies says.
pub(super) fn switch_of(policies: &Shared) -> Result<Switch> {
    let word = word(policies).context("cannot read the switch")?;
    Ok(Switch::of_number(word.shared().load(Ordering::Acquire)))
}

/// The switch in memory, as the number that it is there.
fn word(policies: &Shared) -> Result<Mapped<u64>> {
    const { assert!(size_of::<Switch>() == size_of::<u64>()) };
    Mapped::within(policies, offset_of!(Policies, switch), 1)
}

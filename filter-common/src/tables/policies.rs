//! Which policies there are, and which of them is in force.

use super::{GENERATIONS, Tables};
use crate::source_index::{FilterForm, SourceRoots};

/// The policies that there are, and which of them is in force: one value, so that one look-up finds all of it.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Policies {
    /// Which generation is in force. It stands here in every ABI: who takes over from another one goes on from it.
    pub switch: Switch,
    /// What each slot has.
    pub slots: [Slot; GENERATIONS as usize],
}

/// One of the places that a policy can be in: all of it but its tries and what is behind the roots.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct Slot {
    /// How the filter in front of the sources is made.
    pub form: FilterForm,
    /// The compiled policy.
    pub tables: Tables,
    /// Where the look-up of a source begins.
    pub roots: SourceRoots,
    /// What another ABI might have besides.
    #[cfg(feature = "older-abi")]
    pub more: u64,
}

/// Which generation is in force.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C, align(8))]
pub struct Switch {
    /// Which lists of live entries have any, a set of [`lists`], where the live allows are, and whether the generation may
    /// be on trial. An empty trie costs as much as any.
    pub lists: u32,
    /// The slot of the policy in force, below [`GENERATIONS`].
    pub slot: u32,
}

/// The bits of [`Switch::lists`].
pub mod lists {
    /// The deny list.
    pub const DENY: u32 = 1 << 0;
    /// The live allows, in the slot that the bits above `ALLOW_SLOT` name.
    pub const ALLOW: u32 = 1 << 1;
    /// The generation is on trial, or was: [`Trial`](crate::Trial) says more. Spares packets that look-up.
    pub(super) const TRIAL: u32 = 1 << 2;
    /// Where the number of that slot begins.
    pub(super) const ALLOW_SLOT: u32 = 8;
}

impl Switch {
    /// The number that stands in memory for it, as the kernel's and this machine's order of octets is.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        (self.slot as u64) << 32 | self.lists as u64
    }

    /// The switch that a number stands for.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves are taken")]
    pub const fn of_number(number: u64) -> Self {
        Self { lists: number as u32, slot: (number >> 32) as u32 }
    }

    /// The same with the generation in another slot in force. `on_trial`: whether it has yet to be confirmed.
    #[must_use]
    pub const fn to(self, slot: u32, on_trial: bool) -> Self {
        let trial = if on_trial { lists::TRIAL } else { 0 };
        Self { slot, lists: self.lists & !lists::TRIAL | trial }
    }

    /// Whether the generation may be on trial.
    #[inline(always)]
    pub const fn may_be_on_trial(self) -> bool {
        self.lists & lists::TRIAL != 0
    }

    /// The slot that the live allows are in; nothing if there are none.
    #[inline(always)]
    pub const fn allows(self) -> Option<u32> {
        if self.lists & lists::ALLOW == 0 { None } else { Some(self.allow_slot()) }
    }

    /// The slot that the live allows were written into last.
    #[inline(always)]
    pub const fn allow_slot(self) -> u32 {
        self.lists >> lists::ALLOW_SLOT & 3
    }

    /// The same with the live allows in this slot. `any`: whether there are any.
    #[must_use]
    pub const fn with_allows(self, slot: u32, any: bool) -> Self {
        let others = self.lists & !lists::ALLOW & !(3 << lists::ALLOW_SLOT);
        let allow = if any { lists::ALLOW } else { 0 };
        Self { lists: others | allow | (slot & 3) << lists::ALLOW_SLOT, ..self }
    }
}

const _: () = {
    assert!(size_of::<Switch>() == 8 && core::mem::offset_of!(Policies, switch) == 0);
    // As much as Linux 6.1 allots for a value.
    assert!(size_of::<Policies>() <= 4 << 20);
};

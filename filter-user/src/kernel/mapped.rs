//! Array maps in this process's memory, for what is too much to be written call by call.

use std::{
    os::fd::AsFd as _,
    ptr, slice,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, IterableMap as _, MapData};
use filter_common::tables::{Policies, Switch};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::maps::Value;

/// An array map in memory.
pub(super) struct Mapped<T> {
    address: *mut T,
    count: usize,
}

// SAFETY: it owns the mapping, as a box owns what is in it.
unsafe impl<T: Send> Send for Mapped<T> {}
// SAFETY: behind a shared reference nothing of it can be reached.
unsafe impl<T: Sync> Sync for Mapped<T> {}

impl<T: bytemuck::Pod> Mapped<T> {
    pub(super) fn new(map: &Array<MapData, Value<T>>) -> Result<Self> {
        // The kernel rounds values up to 8 octets.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let data = map.map();
        let count = usize::try_from(data.info().context("the kernel does not tell a map's size")?.max_entries())?;
        ensure!(count > 0, "a map has no entries");
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping, which takes nobody's place.
        let address = unsafe { mmap(ptr::null_mut(), count * size_of::<T>(), access, flags, data.fd().as_fd(), 0) };
        Ok(Self { address: address.context("cannot map a BPF map into memory")?.cast(), count })
    }

    pub(super) const fn entries(&mut self) -> &mut [T] {
        // SAFETY: the mapping has so many values, of which every bit pattern is one, and lives as long as `self`. Only the
        // program in the kernel has it too, and looks at no entry that is written.
        unsafe { slice::from_raw_parts_mut(self.address, self.count) }
    }
}

impl<T: bytemuck::Pod> Mapped<T> {
    /// The entry of a map that has one.
    pub(super) const fn only(&mut self) -> &mut T {
        // SAFETY: as for `entries`, and there is one at the least.
        unsafe { &mut *self.address }
    }
}

impl Mapped<Policies> {
    /// What the switch says.
    pub(super) fn switch(&self) -> Switch {
        Switch::of_number(self.switch_number().load(Ordering::Acquire))
    }

    /// Lets the switch say something else, all at once, and once all that was written before is there.
    pub(super) fn set_switch(&self, switch: Switch) {
        self.switch_number().store(switch.number(), Ordering::Release);
    }

    fn switch_number(&self) -> &AtomicU64 {
        // SAFETY: the mapping lives as long as `self`, and the switch is one number of 64 bits, in its place. Nobody who
        // writes anything else looks at it.
        unsafe { AtomicU64::from_ptr((&raw mut (*self.address).switch).cast()) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: it is the whole mapping, and no reference into it outlives `self`. What is not unmapped now is at the end of
        // the process.
        let _ = unsafe { munmap(self.address.cast(), self.count * size_of::<T>()) };
    }
}

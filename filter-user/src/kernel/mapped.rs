//! Array maps in this process's memory, for what is too much to be written call by call.

use std::{os::fd::AsFd as _, ptr, slice};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, IterableMap as _, MapData};
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

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: it is the whole mapping, and no reference into it outlives `self`. What is not unmapped now is at the end of
        // the process.
        let _ = unsafe { munmap(self.address.cast(), self.count * size_of::<T>()) };
    }
}

//! Array maps in this process's memory, for what is too much to be written call by call.

use std::{borrow::Borrow, ffi::c_void, os::fd::AsFd as _, ptr, slice, sync::atomic::AtomicU64};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, IterableMap as _, MapData};
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

use super::maps::Value;

/// Entries of an array map in memory, or parts of one.
pub(super) struct Mapped<T> {
    /// The mapping, which begins with a page, and how long it is.
    mapping: *mut c_void,
    octets: usize,
    entries: *mut T,
    count: usize,
}

// SAFETY: it owns the mapping, as a box owns what is in it.
unsafe impl<T: Send> Send for Mapped<T> {}
// SAFETY: behind a shared reference nothing of it can be reached.
unsafe impl<T: Sync> Sync for Mapped<T> {}

impl<T: bytemuck::Pod> Mapped<T> {
    /// All entries.
    pub(super) fn new<M: Borrow<MapData>>(map: &Array<M, Value<T>>) -> Result<Self> {
        let count = map.map().info().context("the kernel does not tell a map's size")?.max_entries();
        Self::part(map, 0, usize::try_from(count)?)
    }

    /// So many entries, of which there is one at least, from the place `first` on: of a large map those alone are mapped, for
    /// the kernel does so page by page.
    pub(super) fn part<M: Borrow<MapData>>(map: &Array<M, Value<T>>, first: usize, count: usize) -> Result<Self> {
        Self::within(map, first * size_of::<T>(), count)
    }

    /// So many values that lie in the entries of a map, from an octet on.
    pub(super) fn within<M: Borrow<MapData>, V: bytemuck::Pod>(
        map: &Array<M, Value<V>>,
        start: usize,
        count: usize,
    ) -> Result<Self> {
        // The kernel rounds values up to 8 octets.
        const { assert!(size_of::<V>().is_multiple_of(8)) };
        Self::of(map.map(), start, count)
    }

    /// So many values that lie in the entries of a map whose shape is not known, from an octet on.
    pub(super) fn of(map: &MapData, start: usize, count: usize) -> Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        ensure!(count > 0 && start.is_multiple_of(align_of::<T>()), "a map has no entries there");
        let before = start % page_size();
        let octets = before + count * size_of::<T>();
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let (data, offset) = (map.fd(), u64::try_from(start - before)?);
        // SAFETY: a new mapping, which takes nobody's place. The kernel refuses one that is longer than the map.
        let mapping = unsafe { mmap(ptr::null_mut(), octets, access, flags, data.as_fd(), offset) };
        let mapping = mapping.context("cannot map a BPF map into memory")?;
        // SAFETY: it is as long as that and what is behind it.
        let entries = unsafe { mapping.byte_add(before) }.cast();
        Ok(Self { mapping, octets, entries, count })
    }

    pub(super) const fn entries(&mut self) -> &mut [T] {
        // SAFETY: the mapping has so many values, of which every bit pattern is one, and lives as long as `self`. Only the
        // program in the kernel has it too, and looks at no entry that is written.
        unsafe { slice::from_raw_parts_mut(self.entries, self.count) }
    }
}

impl Mapped<u64> {
    /// The first number, which packets look at while it is written.
    pub(super) const fn shared(&self) -> &AtomicU64 {
        // SAFETY: the mapping lives as long as `self`, and there is one number at the least, in its place.
        unsafe { AtomicU64::from_ptr(self.entries) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: it is the whole mapping, and no reference into it outlives `self`. What is not unmapped now is at the end of
        // the process.
        let _ = unsafe { munmap(self.mapping, self.octets) };
    }
}

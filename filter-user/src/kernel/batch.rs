//! Many entries of a map by one system call, which aya makes for single ones alone.
//!
//! Tries take such calls since Linux 5.13, which is older than what the filter needs.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result};
use aya::maps::{IterableMap as _, MapData};
use aya_obj::generated::{bpf_attr, bpf_attr__bindgen_ty_3 as Batch, bpf_cmd};

use super::trie::{Key, Trie};

/// How many entries are read, written or removed at once.
pub(super) const AT_ONCE: usize = 4096;

/// Writes entries. Where the kernel refuses one, those before it are written: says how many, and why it refused.
pub(super) fn update<const N: usize, V: bytemuck::Pod>(
    trie: &Trie<N, V>,
    keys: &[Key<N>],
    values: &[V],
) -> Result<(), (usize, io::Error)> {
    assert_eq!(keys.len(), values.len(), "a value for each key");
    let mut batch = Batch { keys: address(keys), values: address(values), ..batch(keys.len()) };
    // SAFETY: the kernel reads so many keys and values of the sizes that the trie was made with.
    unsafe { call(bpf_cmd::BPF_MAP_UPDATE_BATCH, trie.map(), &mut batch) }.map_err(|error| (done(&batch), error))
}

/// Removes entries. Where there is one that the trie does not have, those before it are removed: says how many.
pub(super) fn delete<const N: usize, V: bytemuck::Pod>(
    trie: &Trie<N, V>,
    keys: &[Key<N>],
) -> Result<(), (usize, io::Error)> {
    let mut batch = Batch { keys: address(keys), ..batch(keys.len()) };
    // SAFETY: the kernel reads so many keys of the size that the trie was made with.
    unsafe { call(bpf_cmd::BPF_MAP_DELETE_BATCH, trie.map(), &mut batch) }.map_err(|error| (done(&batch), error))
}

/// Every entry.
pub(super) fn entries<const N: usize, V: bytemuck::Pod>(trie: &Trie<N, V>) -> Result<Vec<(Key<N>, V)>> {
    let mut entries = Vec::new();
    let mut keys = vec![Key::new(0, [0; N]); AT_ONCE];
    let mut values = vec![V::zeroed(); AT_ONCE];
    // Where the kernel stopped, as it says it: a key.
    let (mut from, mut to): (Option<Key<N>>, Key<N>) = (None, Key::new(0, [0; N]));
    loop {
        let mut batch = Batch {
            in_batch: from.as_ref().map_or(0, |from| address(std::slice::from_ref(from))),
            out_batch: address_mut(std::slice::from_mut(&mut to)),
            keys: address_mut(&mut keys),
            values: address_mut(&mut values),
            ..batch(AT_ONCE)
        };
        // SAFETY: the kernel reads one key and writes another one, and at most so many keys and values of the sizes that the
        // trie was made with.
        let read = unsafe { call(bpf_cmd::BPF_MAP_LOOKUP_BATCH, trie.map(), &mut batch) };
        let is_last = match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            read => read.map(|()| false).context("cannot read a trie")?,
        };
        entries.extend(keys.iter().copied().zip(values.iter().copied()).take(done(&batch)));
        if is_last {
            return Ok(entries);
        }
        from = Some(to);
    }
}

fn batch(count: usize) -> Batch {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Batch { in_batch: 0, out_batch: 0, keys: 0, values: 0, count, map_fd: 0, elem_flags: 0, flags: 0 }
}

/// How many entries the kernel got through.
fn done(batch: &Batch) -> usize {
    usize::try_from(batch.count).unwrap_or_default()
}

fn address<T>(values: &[T]) -> u64 {
    values.as_ptr() as u64
}

fn address_mut<T>(values: &mut [T]) -> u64 {
    values.as_mut_ptr() as u64
}

/// # Safety
/// What `batch` points to must be as large as the kernel takes it to be.
unsafe fn call(command: bpf_cmd, map: &MapData, batch: &mut Batch) -> io::Result<()> {
    batch.map_fd = u32::try_from(map.fd().as_fd().as_raw_fd()).map_err(io::Error::other)?;
    // SAFETY: all of it is numbers.
    let mut attributes: bpf_attr = unsafe { mem::zeroed() };
    attributes.batch = *batch;
    // SAFETY: the caller vouches for what the attributes point to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attributes, size_of::<bpf_attr>()) };
    // SAFETY: the kernel wrote into this part, or left it alone.
    *batch = unsafe { attributes.batch };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

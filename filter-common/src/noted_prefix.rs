//! Prefixes as they are noted beside the tries that packets look at: only to who walks over all of it does a trie say what it
//! has.

/// A prefix, and what it stands for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "host", derive(bytemuck::Pod, bytemuck::Zeroable))]
#[repr(C)]
pub struct NotedPrefix {
    /// Its first address, as [`Address::words`](crate::Address::words) gives it.
    pub network: [u64; 2],
    /// What it stands for.
    pub value: u64,
    /// Its length.
    pub length: u64,
}

/// Stands in place of a number of prefixes while their trie is written: what it has then nobody knows.
pub const UNKNOWN: u32 = u32::MAX;

const _: () = assert!(size_of::<NotedPrefix>() == 32);

//! What the service put in force on an interface last: by that it knows what somebody did by hand since.
//!
//! A note in bpffs, beside the directories of the pins: it outlives the filter and the service, and ends with the machine's
//! run. Only the service makes it, or who takes the filter off under its eyes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, MapData};
use bytemuck::{Pod, Zeroable};

use super::{lock::WriteLock, maps::Value, pins};
use crate::fault;

/// The generation of a filter that somebody took off: no filter has it.
const OFF: u64 = 0;
/// A generation that no filter has either: what is in force is not what the service put there.
const OTHERS: u64 = u64::MAX;

/// Tells what a policy file comes to from what others do.
pub type Fingerprint = [u8; 32];

/// What the service put in force last.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Kept {
    generation: u64,
    configured: Fingerprint,
}

impl Kept {
    /// Whether somebody took the filter off, and nobody asked for one since.
    pub const fn is_off(&self) -> bool {
        self.generation == OFF
    }

    /// Whether the policy of this generation was put in force by hand, and the configured one is the same since.
    pub fn is_by_hand(&self, generation: u64, configured: &Fingerprint) -> bool {
        self.generation != generation && self.configured == *configured
    }
}

/// What the service put in force on `interface` last; nothing where it never did since the machine started.
pub fn kept(interface: &str) -> Option<Kept> {
    Some(open(&note(interface))?.get(&0, 0).ok()?.0)
}

/// Notes that the service put the configured policy in force on `interface`, as this generation.
///
/// # Errors
/// If the note cannot be made.
pub fn keep(interface: &str, generation: u64, configured: Fingerprint) -> Result<()> {
    write(interface, Kept { generation, configured })
}

/// Notes that the configured policy is known, and that what is in force on `interface` instead of it may stay.
///
/// # Errors
/// If the note cannot be made.
pub fn set_aside(interface: &str, configured: Fingerprint) -> Result<()> {
    let generation = kept(interface).map_or(OTHERS, |kept| kept.generation);
    write(interface, Kept { generation, configured })
}

/// Notes that nothing that was done on `interface` by hand is to stay.
///
/// # Errors
/// If the note cannot be made.
pub fn insist(interface: &str) -> Result<()> {
    write(interface, Kept { generation: OTHERS, ..Kept::zeroed() })
}

fn write(interface: &str, kept: Kept) -> Result<()> {
    if self::kept(interface) == Some(kept) {
        return Ok(());
    }
    let lock = WriteLock::take()?;
    write_under(&lock, interface, kept)
}

/// Notes that the filter was taken off, and is to stay so.
pub(super) fn take_off(lock: &WriteLock, interface: &str) -> Result<()> {
    let configured = kept(interface).map_or([0; 32], |kept| kept.configured);
    write_under(lock, interface, Kept { generation: OFF, configured })
}

/// Notes that somebody attached a filter, if one was taken off.
pub(super) fn put_on(lock: &WriteLock, interface: &str) -> Result<()> {
    match kept(interface) {
        Some(kept) if kept.is_off() => write_under(lock, interface, Kept { generation: OTHERS, ..kept }),
        _ => Ok(()),
    }
}

/// Forgets what the service did.
pub(super) fn forget(_: &WriteLock, interface: &str) -> Result<()> {
    let path = note(interface);
    fault::step();
    pins::unless_missing(fs::remove_file(&path)).with_context(|| format!("cannot remove `{}`", path.display()))
}

fn write_under(_: &WriteLock, interface: &str, kept: Kept) -> Result<()> {
    let path = note(interface);
    if let Some(mut noted) = open(&path) {
        fault::step();
        return noted.set(0, Value(kept), 0).with_context(|| format!("cannot write `{}`", path.display()));
    }
    let directory = directory();
    fs::create_dir_all(&directory).with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
    let mut noted = Array::<MapData, Value<Kept>>::create(1, 0).context("cannot create a map")?;
    noted.set(0, Value(kept), 0)?;
    pins::pin_over(&path, |path| noted.pin(path))
}

fn open(path: &Path) -> Option<Array<MapData, Value<Kept>>> {
    Map::from_map_data(MapData::from_pin(path).ok()?).ok()?.try_into().ok()
}

fn note(interface: &str) -> PathBuf {
    directory().join(interface)
}

/// No version has a directory of that name for its pins.
fn directory() -> PathBuf {
    pins::home().join("kept")
}

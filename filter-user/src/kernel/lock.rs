//! One writer at a time.

use std::{
    fs::{self, File},
    os::linux::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::pins;

/// How long a command waits for another one to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// The right to change what is in force, until this is dropped or the process ends.
///
/// It is a lock on the directory of the pins: where the state is, and nowhere else.
#[derive(Debug)]
pub(super) struct WriteLock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl WriteLock {
    /// Waits for the right to change.
    ///
    /// # Errors
    /// If bpffs cannot be used, or another command does not finish.
    pub(super) fn take() -> Result<Self> {
        pins::ensure_bpffs()?;
        let directory = pins::home();
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
        let file = File::open(&directory).with_context(|| format!("cannot open `{}`", directory.display()))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                Err(Errno::WOULDBLOCK) => bail!(
                    "another command is changing the filter{}\nhint: try again when it is done",
                    holder(&file).map_or_else(String::new, |holder| format!(": {holder}"))
                ),
                Err(error) => return Err(error).context("cannot lock the directory of the pins"),
            }
        }
    }
}

/// The process that holds the lock, in words, as `/proc/locks` says it.
fn holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.st_ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let id = process_with_lock(&locks, inode)?;
    let name = fs::read_to_string(Path::new("/proc").join(id).join("comm")).unwrap_or_default();
    Some(format!("process {id} ({})", name.trim()))
}

/// `1: FLOCK  ADVISORY  WRITE 1234 00:1f:5678 0 EOF` has the process and, behind the device, the inode.
fn process_with_lock(locks: &str, inode: u64) -> Option<&str> {
    let suffix = format!(":{inode}");
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [_, "FLOCK", _, _, process, file, ..] if file.ends_with(&suffix) => Some(process),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_holds_a_lock_is_found() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 00:1f:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 1234 00:20:77 0 EOF\n";
        assert_eq!(process_with_lock(locks, 77), Some("1234"));
        assert_eq!(process_with_lock(locks, 7), None);
    }
}

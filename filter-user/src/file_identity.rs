//! What tells a file from the one that was there before, and from what it was before.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

/// A file's device, inode, size and times; nothing where there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FileIdentity(Option<(u64, u64, u64, i64, i64, i64)>);

impl FileIdentity {
    /// That of the file which is there now, also by way of links.
    pub(crate) fn of(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        Self(
            metadata
                .map(|file| (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec(), file.ctime_nsec())),
        )
    }
}

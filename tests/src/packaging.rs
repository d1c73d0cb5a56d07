//! What is shipped besides the binary.

use std::path::{Path, PathBuf};

/// A file of `packaging/`.
pub fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(name)
}

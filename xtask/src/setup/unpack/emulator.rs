//! The emulator, with those of its libraries that this machine does not have.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What `dpkg` has installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// Whether the emulator lies in this directory.
pub(super) fn is_in(directory: &Path) -> bool {
    directory.join("usr/bin/qemu-system-x86_64").exists()
}

/// Downloads the emulator's package and what it depends on, but for what is installed.
pub(super) fn download(apt_get: &Path, package: &str, downloads: &Path) -> Result<()> {
    let installed = fs::read_to_string(STATUS).with_context(|| format!("cannot read `{STATUS}`"))?;
    let status = downloads.join("status");
    fs::write(&status, without_emulator(&installed))?;
    fs::create_dir_all(downloads.join("partial"))?;
    let mut apt = super::as_root(apt_get);
    apt.args(["--yes", "--no-install-recommends", "--download-only"]);
    apt.arg("-o").arg(format!("Dir::State::status={}", status.display()));
    apt.arg("-o").arg(format!("Dir::Cache::archives={}", downloads.display()));
    workspace::run(apt.args(["install", package]))
}

/// What is installed, as if nothing of the emulator were: the parts of another version conflict with it.
fn without_emulator(status: &str) -> String {
    let packages = status.split_inclusive("\n\n");
    packages.filter(|package| !package.lines().any(is_of_emulator)).collect()
}

fn is_of_emulator(line: &str) -> bool {
    let source = line.strip_prefix("Source: ").or_else(|| line.strip_prefix("Package: "));
    source.and_then(|source| source.split(' ').next()) == Some("qemu")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_the_emulator_counts_as_installed() {
        let status = "Package: libc6\nSource: glibc\n\nPackage: qemu-utils\nSource: qemu\n\n\
                      Package: qemu-block-extra\nSource: qemu (1:10.0)\n\nPackage: seabios\nVersion: 1\n";
        assert_eq!(without_emulator(status), "Package: libc6\nSource: glibc\n\nPackage: seabios\nVersion: 1\n");
    }
}

//! Programs, with those of their libraries that this machine does not have.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What `dpkg` has installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// Programs that are unpacked together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs {
    /// The packages that have them.
    pub(super) packages: &'static [&'static str],
    /// The source packages of these and of what belongs to the same version.
    pub(super) sources: &'static [&'static str],
    /// The programs.
    pub(super) files: &'static [&'static str],
}

impl Programs {
    /// Whether they lie in this directory.
    pub(super) fn are_in(&self, directory: &Path) -> bool {
        self.files.iter().all(|file| directory.join(file).exists())
    }

    /// Downloads the packages and what they depend on, but for what is installed.
    pub(super) fn download(&self, apt_get: &Path, downloads: &Path) -> Result<()> {
        let installed = fs::read_to_string(STATUS).with_context(|| format!("cannot read `{STATUS}`"))?;
        let status = downloads.join("status");
        fs::write(&status, self.without(&installed))?;
        fs::create_dir_all(downloads.join("partial"))?;
        let mut apt = super::as_root(apt_get);
        apt.args(["--yes", "--no-install-recommends", "--download-only"]);
        apt.arg("-o").arg(format!("Dir::State::status={}", status.display()));
        apt.arg("-o").arg(format!("Dir::Cache::archives={}", downloads.display()));
        workspace::run(apt.arg("install").args(self.packages))
    }

    /// What is installed, as if nothing of these were: what is installed is not downloaded, and parts of another version
    /// conflict.
    fn without(&self, status: &str) -> String {
        let packages = status.split_inclusive("\n\n");
        packages.filter(|package| !package.lines().any(|line| self.is_of_these(line))).collect()
    }

    fn is_of_these(&self, line: &str) -> bool {
        let is_in = |names: &[&str], name: &str| name.split(' ').next().is_some_and(|name| names.contains(&name));
        match line.split_once(": ") {
            Some(("Source", name)) => is_in(self.sources, name),
            // A package that is called as its source is names none.
            Some(("Package", name)) => is_in(self.packages, name) || is_in(self.sources, name),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMULATOR: Programs = Programs { packages: &["qemu-system-x86"], sources: &["qemu"], files: &["bin/qemu"] };

    #[test]
    fn no_part_of_the_programs_counts_as_installed() {
        let status = "Package: libc6\nSource: glibc\n\nPackage: qemu-utils\nSource: qemu\n\n\
                      Package: qemu-block-extra\nSource: qemu (1:10.0)\n\nPackage: seabios\nVersion: 1\n";
        assert_eq!(EMULATOR.without(status), "Package: libc6\nSource: glibc\n\nPackage: seabios\nVersion: 1\n");
    }

    #[test]
    fn a_library_of_another_package_s_source_stays_installed() {
        let programs = Programs { packages: &["iptables"], sources: &[], files: &[] };
        let library = "Package: libxtables12\nSource: iptables\n\n";
        assert_eq!(programs.without(&format!("{library}Package: iptables\n\n")), library);
    }

    #[test]
    fn programs_are_there_when_all_of_them_are() {
        let root = tempfile::tempdir().unwrap();
        assert!(!EMULATOR.are_in(root.path()));
        fs::create_dir(root.path().join("bin")).unwrap();
        fs::write(root.path().join("bin/qemu"), "").unwrap();
        assert!(EMULATOR.are_in(root.path()));
    }
}

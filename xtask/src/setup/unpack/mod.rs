//! What the tests need of Debian's packages without their being installed: unpacked under the build results.
//!
//! This machine's own kernels, boot loader and emulators are left alone.

mod emulator;
mod kernel;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::workspace;

/// What can be unpacked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unpacked {
    /// An older kernel, to be booted by the tests.
    Kernel,
    /// The emulator that boots it. Its package conflicts with the tools of another version of it.
    Emulator,
}

impl Unpacked {
    /// The package that is unpacked, or stands for it.
    pub(super) fn package(self) -> &'static str {
        match self {
            Self::Kernel => "linux-image-cloud-amd64",
            Self::Emulator => "qemu-system-x86",
        }
    }

    /// Where it is unpacked.
    pub(super) fn directory(self) -> PathBuf {
        workspace::target().join(match self {
            Self::Kernel => "old-kernel",
            Self::Emulator => "emulator",
        })
    }

    /// Whether it lies there.
    pub(super) fn is_present(self) -> bool {
        match self {
            Self::Kernel => kernel::is_in(&self.directory()),
            Self::Emulator => emulator::is_in(&self.directory()),
        }
    }

    /// Downloads and unpacks it.
    pub(super) fn unpack(self, apt_get: &Path) -> Result<()> {
        // Without lists of packages nothing is found.
        if let Err(error) = workspace::run(Command::new(apt_get).args(["-o", "DPkg::Lock::Timeout=120", "update"])) {
            eprintln!("warning: {error}");
        }
        let directory = self.directory();
        let downloads = directory.join("packages");
        fs::create_dir_all(&downloads)?;
        match self {
            Self::Kernel => kernel::download(apt_get, self.package(), &downloads)?,
            Self::Emulator => emulator::download(apt_get, self.package(), &downloads)?,
        }
        for file in fs::read_dir(&downloads)? {
            let archive = file?.path();
            if archive.extension().is_some_and(|extension| extension == "deb") {
                workspace::run(Command::new("dpkg").arg("-x").arg(archive).arg(&directory))?;
            }
        }
        Ok(fs::remove_dir_all(&downloads)?)
    }
}

/// `apt-get` as root: its own user may not be let into the directory.
fn as_root(apt_get: &Path) -> Command {
    let mut command = Command::new(apt_get);
    command.args(["-o", "APT::Sandbox::User=root"]);
    command
}

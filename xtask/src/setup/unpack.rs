//! Unpacks a kernel for the tests to boot in an emulated machine. Nothing is installed: this machine's own kernels,
//! boot loader and memory disks are left alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The version that the tests ask for: that of Debian 12.
const VERSION: &str = "6.1";

/// Where the kernel is unpacked.
pub(super) fn directory() -> PathBuf {
    workspace::target().join("old-kernel")
}

/// Whether a kernel of that version lies there.
pub(super) fn is_present(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory.join("boot")) else {
        return false;
    };
    let prefix = format!("vmlinuz-{VERSION}.");
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
}

/// Unpacks the kernel that a package of Debian stands for.
pub(super) fn unpack(apt_get: &Path, package: &str, directory: &Path) -> Result<()> {
    // Without lists of packages there is no telling which one it stands for.
    if let Err(error) = workspace::run(Command::new(apt_get).args(["-o", "DPkg::Lock::Timeout=120", "update"])) {
        eprintln!("warning: {error}");
    }
    let depends =
        Command::new("apt-cache").args(["depends", package]).output().context("`apt-cache` does not start")?;
    let image = image_in(&String::from_utf8_lossy(&depends.stdout))
        .with_context(|| format!("`apt-cache depends {package}` names no kernel"))?;
    let downloads = directory.join("packages");
    fs::create_dir_all(&downloads)?;
    let mut download = Command::new(apt_get);
    // apt's own user may not be let into the directory.
    download.args(["-o", "APT::Sandbox::User=root", "download", &image]).current_dir(&downloads);
    workspace::run(&mut download)?;
    for archive in fs::read_dir(&downloads)? {
        workspace::run(Command::new("dpkg").arg("-x").arg(archive?.path()).arg(directory))?;
    }
    Ok(fs::remove_dir_all(&downloads)?)
}

/// The package of the kernel itself among the dependencies of the one that stands for the newest.
fn image_in(dependencies: &str) -> Option<String> {
    let mut packages = dependencies.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    packages.find(|package| package.starts_with("linux-image-")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_found_among_the_dependencies() {
        let dependencies = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n";
        assert_eq!(image_in(dependencies).as_deref(), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(image_in(""), None);
    }

    #[test]
    fn only_a_kernel_of_the_version_that_is_asked_for_will_do() {
        let root = tempfile::tempdir().unwrap();
        assert!(!is_present(root.path()));
        fs::create_dir(root.path().join("boot")).unwrap();
        for (name, present) in [("config-6.1.0-56", false), ("vmlinuz-6.12.3", false), ("vmlinuz-6.1.0-56", true)] {
            fs::write(root.path().join("boot").join(name), "").unwrap();
            assert_eq!(is_present(root.path()), present, "{name}");
        }
    }
}

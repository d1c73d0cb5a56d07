//! An older kernel.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The package of Debian that stands for the newest kernel.
pub(super) const PACKAGE: &str = "linux-image-cloud-amd64";

/// The version that the tests ask for: that of Debian 12.
const VERSION: &str = "6.1";

/// Whether a kernel of that version lies in this directory.
pub(super) fn is_in(directory: &Path) -> bool {
    let Ok(entries) = fs::read_dir(directory.join("boot")) else {
        return false;
    };
    let prefix = format!("vmlinuz-{VERSION}.");
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
}

/// Downloads the kernel that the package stands for.
pub(super) fn download(apt_get: &Path, downloads: &Path) -> Result<()> {
    let depends =
        Command::new("apt-cache").args(["depends", PACKAGE]).output().context("`apt-cache` does not start")?;
    let image = image_in(&String::from_utf8_lossy(&depends.stdout))
        .with_context(|| format!("`apt-cache depends {PACKAGE}` names no kernel"))?;
    workspace::run(super::as_root(apt_get).args(["download", &image]).current_dir(downloads))
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
        assert!(!is_in(root.path()));
        fs::create_dir(root.path().join("boot")).unwrap();
        for (name, present) in [("config-6.1.0-56", false), ("vmlinuz-6.12.3", false), ("vmlinuz-6.1.0-56", true)] {
            fs::write(root.path().join("boot").join(name), "").unwrap();
            assert_eq!(is_in(root.path()), present, "{name}");
        }
    }
}

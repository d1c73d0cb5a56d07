//! Installs what is missing, or says what to run.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, anyhow, bail};
use filter_ebpf_build::Places;

use super::requirement::{Requirement, Source};
use crate::workspace;

/// Options of `apt-get install`. Debian's compiler conflicts with Debian's own rustup: what a
/// machine has is never removed for it.
const APT_OPTIONS: [&str; 3] = ["--yes", "--no-install-recommends", "--no-remove"];

/// What this machine can install with.
pub(super) struct Installer {
    apt_get: Option<PathBuf>,
    rustup: Option<PathBuf>,
    root: bool,
}

impl Installer {
    pub(super) fn of_this_machine(places: &Places) -> Self {
        Self {
            apt_get: places.program("apt-get"),
            rustup: places.program("rustup"),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// Installs everything, packages of Debian first and in one go.
    pub(super) fn install(&self, missing: &[Requirement]) -> Result<()> {
        self.install_packages(missing)?;
        for requirement in missing {
            match &requirement.source {
                Source::Debian(_) => {}
                Source::Rustup(components) => self.add_components(components, &requirement.hint())?,
                Source::Cargo { arguments, llvm } => {
                    let mut cargo = workspace::cargo();
                    cargo.arg("install").args(arguments).env("LLVM_PREFIX", llvm);
                    workspace::run(&mut cargo).map_err(|error| anyhow!("{error}\n{}", requirement.hint()))?;
                }
                Source::Wheel { package, directory } => {
                    let mut pip = Command::new("pip3");
                    pip.args(["install", "--no-deps", "--disable-pip-version-check", "--root-user-action=ignore"]);
                    pip.args(["--only-binary", ":all:", "--target"]).arg(directory).arg(package);
                    workspace::run(&mut pip).map_err(|error| anyhow!("{error}\n{}", requirement.hint()))?;
                }
                Source::Unpacked(unpacked) => {
                    let Some(apt_get) = &self.apt_get else {
                        bail!("there is no `apt-get` on this machine to get it with\n{}", requirement.hint());
                    };
                    unpacked.unpack(apt_get).map_err(|error| anyhow!("{error:#}\n{}", requirement.hint()))?;
                }
            }
        }
        Ok(())
    }

    fn install_packages(&self, missing: &[Requirement]) -> Result<()> {
        let requirements: Vec<_> = missing.iter().filter(|r| !r.packages().is_empty()).collect();
        let packages: Vec<_> = requirements.iter().flat_map(|r| r.packages()).map(String::as_str).collect();
        let by_hand = || requirements.iter().map(|r| r.hint()).collect::<Vec<_>>().join("\n");
        if packages.is_empty() {
            return Ok(());
        }
        let Some(apt_get) = &self.apt_get else {
            bail!("there is no `apt-get` on this machine to install them with\n{}", by_hand());
        };
        if !self.root {
            bail!("installing packages needs root\nhint: run `{}`, then this command again", as_root(&packages));
        }
        let apt = || {
            let mut apt = Command::new(apt_get);
            apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=120"]);
            apt
        };
        // One unreachable source of many must not matter if the packages come from another.
        if let Err(error) = workspace::run(apt().arg("update")) {
            eprintln!("warning: {error}");
        }
        let install = workspace::run(apt().arg("install").args(APT_OPTIONS).args(packages));
        install.map_err(|error| anyhow!("{error}\n{}", by_hand()))
    }

    fn add_components(&self, components: &[&str], hint: &str) -> Result<()> {
        let Some(rustup) = &self.rustup else {
            bail!("there is no `rustup` on this machine\n{hint}");
        };
        workspace::run(Command::new(rustup).args(["component", "add"]).args(components))
    }
}

impl Requirement {
    fn packages(&self) -> &[String] {
        match &self.source {
            Source::Debian(packages) => packages,
            Source::Rustup(_) | Source::Cargo { .. } | Source::Unpacked(_) | Source::Wheel { .. } => &[],
        }
    }

    /// What to do by hand, as a line of its own.
    pub(super) fn hint(&self) -> String {
        format!("hint: for {}, {}", self.name, self.by_hand)
    }
}

/// The command that installs these packages, for someone who is not root.
fn as_root(packages: &[&str]) -> String {
    let options = APT_OPTIONS.join(" ");
    format!("sudo apt-get update && sudo apt-get install {options} {}", packages.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(packages: &[&str]) -> Vec<Requirement> {
        vec![Requirement {
            name: "`thing`".into(),
            why: "is wanted",
            purposes: &[],
            present: false,
            source: Source::Debian(packages.iter().map(|package| (*package).to_owned()).collect()),
            by_hand: "install `thing`".into(),
        }]
    }

    fn check(installer: &Installer, expected: &str) {
        let error = installer.install(&missing(&["one", "two"])).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_user_is_told_the_command_to_run() {
        let installer = Installer { apt_get: Some("apt-get".into()), rustup: None, root: false };
        check(
            &installer,
            "installing packages needs root\nhint: run `sudo apt-get update && \
             sudo apt-get install --yes --no-install-recommends --no-remove one two`, then this command again",
        );
    }

    #[test]
    fn another_distribution_is_told_what_to_install() {
        let installer = Installer { apt_get: None, rustup: None, root: true };
        check(
            &installer,
            "there is no `apt-get` on this machine to install them with\nhint: for `thing`, install `thing`",
        );
    }

    #[test]
    fn a_failed_installation_says_what_failed_and_what_to_do() {
        let installer = Installer { apt_get: Some("false".into()), rustup: None, root: true };
        check(
            &installer,
            "`DEBIAN_FRONTEND=noninteractive false -o DPkg::Lock::Timeout=120 install --yes \
             --no-install-recommends --no-remove one two` failed (exit status: 1)\nhint: for `thing`, install `thing`",
        );
    }
}

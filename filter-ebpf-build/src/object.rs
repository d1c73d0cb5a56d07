//! Builds the XDP program.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::toolchain::Toolchain;

const TARGET: &str = "bpfel-unknown-none";

/// The package that holds the programs.
const PACKAGE: &str = "filter-ebpf";
/// The object that the binary embeds.
const FILTER: &str = "sipwall";
/// The object that measures the filter, and is never shipped.
const BENCH: &str = "bench";

/// What the program is built from, relative to the workspace.
const INPUTS: [&str; 6] = [
    "Cargo.toml",
    "Cargo.lock",
    "filter-ebpf/Cargo.toml",
    "filter-ebpf/src",
    "filter-common/Cargo.toml",
    "filter-common/src",
];

/// Compiler flags, each one argument: line tables for the verifier's log; BTF, which map definitions are read from; and
/// comparisons both ways, which Linux 4.14 and later know. The third version saves next to nothing beyond that.
const FLAGS: [&str; 3] = ["-Cdebuginfo=2", "-Clink-arg=--btf", "-Ctarget-cpu=v2"];

/// Stands in place of the workspace's release profile. Stripping would take away the debug
/// information that BTF is made from; `bpf-linker` optimises the whole program by itself.
const PROFILE: [&str; 2] = ["profile.release.strip='none'", "profile.release.lto=false"];

/// Variables of an outer cargo, or of a user's host builds, that must not reach this build.
const FOREIGN_VARIABLES: [&str; 9] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// The XDP program of a workspace.
#[derive(Clone, Debug)]
pub struct Program {
    object: &'static str,
    features: &'static [&'static str],
    workspace: PathBuf,
    target: PathBuf,
}

/// Why the program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo did not start.
    #[error("`{}` does not start: {error}", .cargo.display())]
    Start {
        /// The cargo that was to be started.
        cargo: PathBuf,
        /// Why it did not.
        error: io::Error,
    },
    /// Cargo or the compiler failed, and has said why.
    #[error("building the XDP program failed ({0})")]
    Failed(ExitStatus),
}

impl Program {
    /// The program of this workspace.
    ///
    /// It has a build directory of its own, which all profiles share: an outer cargo holds the
    /// lock of the usual one while a build script runs.
    pub fn of_this_workspace() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let workspace = package.parent().unwrap_or(package).to_owned();
        let shared = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let target = workspace.join(shared.unwrap_or_else(|| "target".into())).join("bpf");
        Self { object: FILTER, features: &[], workspace, target }
    }

    /// The program as the version before might have been, whose maps are of another shape: for tests of upgrades.
    #[must_use]
    pub fn of_older_abi(self) -> Self {
        // Apart, for two build scripts may run at the same time.
        Self { features: &["--features", "older-abi"], target: self.target.join("older"), ..self }
    }

    /// The programs that this workspace's filter is measured by.
    pub fn for_benchmarks() -> Self {
        Self { object: BENCH, ..Self::of_this_workspace() }
    }

    /// The files and directories that it is built from.
    pub fn inputs(&self) -> impl Iterator<Item = PathBuf> {
        INPUTS.iter().map(|input| self.workspace.join(input))
    }

    /// Builds it, and returns the path of the object.
    ///
    /// Cargo's messages go to standard error.
    ///
    /// # Errors
    /// If cargo does not start, or fails.
    pub fn build(&self, toolchain: &Toolchain) -> Result<PathBuf, BuildError> {
        let cargo = &toolchain.compiler.cargo;
        let status = self.command(toolchain).status();
        let status = status.map_err(|error| BuildError::Start { cargo: cargo.clone(), error })?;
        if !status.success() {
            return Err(BuildError::Failed(status));
        }
        Ok(self.target.join(TARGET).join("release").join(self.object))
    }

    fn command(&self, toolchain: &Toolchain) -> Command {
        let mut cargo = Command::new(&toolchain.compiler.cargo);
        cargo.current_dir(&self.workspace).args(["build", "--release", "--locked"]);
        cargo.args(["-Z", "build-std=core", "--target", TARGET]);
        cargo.args(["--package", PACKAGE, "--bin", self.object]).args(self.features);
        cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
        cargo.arg("--target-dir").arg(&self.target);
        for variable in FOREIGN_VARIABLES {
            cargo.env_remove(variable);
        }
        // An empty wrapper is none, and flags in this variable replace those of any configuration.
        cargo.env("RUSTC_WRAPPER", "").env("RUSTC_WORKSPACE_WRAPPER", "");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
        // Building the standard library is an unstable feature, also in a compiler from Debian.
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", &toolchain.compiler.rustc);
        cargo.env("PATH", path_with(&toolchain.bpf_linker));
        cargo
    }
}

/// `PATH` with the linker's directory in front: the compiler looks for the linker there.
fn path_with(linker: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = linker.parent().map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    env::join_paths(directories).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::toolchain::Compiler;

    fn command() -> Command {
        let compiler = Compiler { rustc: "/opt/rustc".into(), cargo: "/opt/cargo".into() };
        let toolchain = Toolchain { compiler, bpf_linker: "/opt/bin/bpf-linker".into() };
        Program::of_this_workspace().command(&toolchain)
    }

    #[test]
    fn the_settings_of_an_outer_build_do_not_leak() {
        let command = command();
        let variables: BTreeMap<_, _> = command.get_envs().collect();
        let value = |name: &str| variables[std::ffi::OsStr::new(name)].map(|v| v.to_str().unwrap());
        for variable in FOREIGN_VARIABLES {
            assert_eq!(value(variable), None, "{variable}");
        }
        assert_eq!(value("RUSTC_WORKSPACE_WRAPPER"), Some(""));
        assert_eq!(value("RUSTC"), Some("/opt/rustc"));
        assert_eq!(value("CARGO_ENCODED_RUSTFLAGS"), Some("-Cdebuginfo=2\u{1f}-Clink-arg=--btf\u{1f}-Ctarget-cpu=v2"));
        assert!(value("PATH").unwrap().starts_with("/opt/bin:"));
    }

    #[test]
    fn every_input_exists() {
        for input in Program::of_this_workspace().inputs() {
            assert!(input.exists(), "{}", input.display());
        }
    }
}

//! Which compiler and linker build for the BPF target.
//!
//! The target has no prebuilt `core`, so any compiler will do that comes with its own library
//! sources: rustup's nightly with the `rust-src` component, or Debian's compiler with its source
//! package. `bpf-linker` links the objects.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::places::Places;

/// The lowest minor version of Rust 1.x that builds this workspace.
const OLDEST_MINOR: u32 = 95;

/// Where library sources lie under a compiler's sysroot.
const SOURCES: &str = "lib/rustlib/src/rust";

/// What builds for the BPF target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Toolchain {
    /// A compiler with its library sources.
    pub compiler: Compiler,
    /// The linker for BPF objects.
    pub bpf_linker: PathBuf,
}

/// A compiler that has its library sources, and the cargo to drive it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compiler {
    /// The compiler.
    pub rustc: PathBuf,
    /// The cargo.
    pub cargo: PathBuf,
}

/// Why there is no toolchain.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("no toolchain for the BPF target: {}; `cargo xtask setup` sets one up", sentence(.0))]
pub struct Missing(pub Vec<Rejection>);

/// What a candidate lacks.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// rustup is not installed, or has no nightly.
    #[error("rustup has no nightly")]
    NoNightly,
    /// There is no such compiler, or it would not say what it is.
    #[error("`{}` does not run", .0.display())]
    NoCompiler(PathBuf),
    /// The compiler is older than the workspace's `rust-version`.
    #[error("`{}` is Rust {version}, older than 1.{OLDEST_MINOR}", .rustc.display())]
    TooOld {
        /// The compiler.
        rustc: PathBuf,
        /// Its version.
        version: String,
    },
    /// The compiler has no library sources.
    #[error("`{}` has no library sources in `{}`", .rustc.display(), .sources.display())]
    NoSources {
        /// The compiler.
        rustc: PathBuf,
        /// Where they should lie.
        sources: PathBuf,
    },
    /// The library sources belong to another compiler.
    #[error("`{}` is Rust {version}, but its library sources are those of {found}", .rustc.display())]
    OtherSources {
        /// The compiler.
        rustc: PathBuf,
        /// Its version.
        version: String,
        /// The version of the sources.
        found: String,
    },
    /// There is no linker.
    #[error("`bpf-linker` is not installed")]
    NoLinker,
}

impl Toolchain {
    /// The first complete toolchain.
    ///
    /// # Errors
    /// If there is none: what each candidate lacks, and the command that installs one.
    pub fn find(places: &Places) -> Result<Self, Missing> {
        let compiler = Compiler::find(places);
        match (compiler, places.program("bpf-linker")) {
            (Ok(compiler), Some(bpf_linker)) => Ok(Self { compiler, bpf_linker }),
            (Ok(_), None) => Err(Missing(vec![Rejection::NoLinker])),
            (Err(missing), Some(_)) => Err(missing),
            (Err(Missing(mut rejections)), None) => {
                rejections.push(Rejection::NoLinker);
                Err(Missing(rejections))
            }
        }
    }
}

impl Compiler {
    /// rustup's nightly if it has its library sources, else the compiler of the Debian set.
    ///
    /// # Errors
    /// If neither has: what each lacks.
    pub fn find(places: &Places) -> Result<Self, Missing> {
        Self::nightly(places)
            .or_else(|no_nightly| Self::debian(places).map_err(|no_debian| Missing(vec![no_nightly, no_debian])))
    }

    /// The major version of the LLVM that it emits bitcode of, which `bpf-linker` must know.
    pub fn llvm_major(&self) -> Option<u32> {
        let output = Command::new(&self.rustc).arg("-vV").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        version.split('.').next()?.parse().ok()
    }

    fn nightly(places: &Places) -> Result<Self, Rejection> {
        let rustup = places.program("rustup").ok_or(Rejection::NoNightly)?;
        let which = |program| {
            let mut command = Command::new(&rustup);
            command.args(["which", "--toolchain", "nightly", program]);
            // Asking must not download a toolchain.
            command.env("RUSTUP_AUTO_INSTALL", "0");
            answer(&mut command).map(PathBuf::from).ok_or(Rejection::NoNightly)
        };
        let (rustc, cargo) = (which("rustc")?, which("cargo")?);
        check(&rustc)?;
        Ok(Self { rustc, cargo })
    }

    fn debian(places: &Places) -> Result<Self, Rejection> {
        let rustc = places.debian_rustc.clone();
        check(&rustc)?;
        Ok(Self { rustc, cargo: places.cargo.clone() })
    }
}

/// Whether the compiler is new enough and has its library sources.
fn check(rustc: &Path) -> Result<(), Rejection> {
    let ask = |arguments: &[&str]| {
        let answer = answer(Command::new(rustc).args(arguments));
        answer.ok_or_else(|| Rejection::NoCompiler(rustc.to_owned()))
    };
    let version = release(&ask(&["--version"])?);
    if minor(&version).is_none_or(|minor| minor < OLDEST_MINOR) {
        return Err(Rejection::TooOld { rustc: rustc.to_owned(), version });
    }
    let sources = Path::new(&ask(&["--print", "sysroot"])?).join(SOURCES);
    if !sources.join("library/core/src/lib.rs").is_file() {
        return Err(Rejection::NoSources { rustc: rustc.to_owned(), sources });
    }
    // Only whole source trees say their version: rustup keeps its component in step by itself.
    match fs::read_to_string(sources.join("src/version")) {
        Ok(found) if found.trim() != version => {
            Err(Rejection::OtherSources { rustc: rustc.to_owned(), version, found: found.trim().to_owned() })
        }
        _ => Ok(()),
    }
}

/// `1.96.0` from `rustc 1.96.0 (ac68faa20 2026-05-25)`, and `1.97.0` from a `1.97.0-nightly`.
fn release(version: &str) -> String {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    number.split('-').next().unwrap_or_default().to_owned()
}

fn minor(release: &str) -> Option<u32> {
    release.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// The first line that a command prints, if it succeeds.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}

fn sentence(rejections: &[Rejection]) -> String {
    let parts: Vec<_> = rejections.iter().map(ToString::to_string).collect();
    parts.join(", and ")
}

#[cfg(test)]
mod tests;

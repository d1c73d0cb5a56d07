//! The `sipwall` binary, run as a user would.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use escargot::{Message, format};
use lab::Host;
use serde_json::Value;

use crate::json;

/// The binary, built if its sources are newer.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| program("sipwall"))
}

/// A binary as the version before might have been: of another ABI, with a program of another build.
///
/// # Panics
/// If it cannot be built.
pub fn older_binary() -> &'static PathBuf {
    static OLDER: OnceLock<PathBuf> = OnceLock::new();
    OLDER.get_or_init(|| {
        let target =
            binary().ancestors().nth(2).expect("it lies in a directory of the profile, and that in the build's");
        // What is built is shared with other builds; what comes out stands elsewhere, so that it takes no other's place.
        let apart = build().target_dir(target.join("older")).env("CARGO_BUILD_BUILD_DIR", target);
        let built = apart.bin("sipwall").features("filter-user/older-abi").run();
        built
            .unwrap_or_else(|error| panic!("`cargo build --features filter-user/older-abi`: {error}"))
            .path()
            .to_owned()
    })
}

/// Writes a binary that differs from this one in a letter of what its program says of its compiler: another build of the same
/// ABI.
///
/// # Panics
/// If there is no program in it, or the file cannot be written.
pub fn write_other_build(path: &Path) {
    /// `EM_BPF` in the kernel's `include/uapi/linux/elf-em.h`, where an ELF file has its machine.
    const MACHINE: &[u8] = &[247, 0];
    let mut octets = fs::read(binary()).expect("a binary");
    let find = |from: usize, what: &[u8]| {
        octets[from..].windows(what.len()).position(|window| window == what).map(|place| from + place)
    };
    let mut object = find(1, b"\x7fELF").expect("the binary has a program");
    while octets[object + 18..object + 20] != *MACHINE {
        object = find(object + 1, b"\x7fELF").expect("the binary has a program");
    }
    let compiler = find(object, b"(rustc version").expect("a program says its compiler");
    octets[compiler + 1] = b'R';
    fs::write(path, octets).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
}

/// A program of this workspace, built if its sources are newer.
///
/// # Panics
/// If it cannot be built.
pub fn program(name: &str) -> PathBuf {
    let built = build().bin(name).run();
    built.unwrap_or_else(|error| panic!("`cargo build --bin {name}`: {error}")).path().to_owned()
}

/// The program of a test target of this workspace, built if its sources are newer.
///
/// # Panics
/// If it cannot be built.
pub fn test_program(name: &str) -> PathBuf {
    let built = build().test(name).exec();
    let program = built.expect("`cargo build` makes the test").find_map(|message| program_in(&message.ok()?, name));
    program.unwrap_or_else(|| panic!("there is no test `{name}`"))
}

/// A build of the workspace as `cargo xtask test` builds it, so that nothing is built twice.
fn build() -> escargot::CargoBuild {
    let build = escargot::CargoBuild::new().manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let build = build.args(["--workspace", "--exclude", "filter-ebpf", "--exclude", "fuzz"]);
    // What cargo says of the test that runs here is not for what is built: a crate that looks at it would be built anew.
    let of_cargo = env::vars_os().map(|(name, _)| name).filter(|name| is_of_cargo(name));
    of_cargo.fold(build, escargot::CargoBuild::env_remove)
}

/// Whether cargo sets the variable for the program that it runs.
fn is_of_cargo(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// The program that a message of cargo says it has built, where it is the one of that name.
fn program_in(message: &Message, name: &str) -> Option<PathBuf> {
    match message.decode().ok()? {
        format::Message::CompilerArtifact(artifact) if artifact.target.name == name => {
            Some(artifact.executable?.into())
        }
        _ => None,
    }
}

/// What a command ended with.
#[derive(Debug, Eq, PartialEq)]
pub struct Ended {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ended {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// If the command failed or printed something else.
    pub fn json(&self) -> Value {
        self.assert_done();
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts that the command succeeded.
    ///
    /// # Panics
    /// If it did not.
    pub fn assert_done(&self) {
        assert_eq!(self.code, 0, "{self:?}");
    }

    /// Asserts that the command ended with this code and said this on standard error.
    ///
    /// # Panics
    /// If it did not.
    pub fn assert_failed(&self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(message), "`{message}` is not in {self:?}");
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `sipwall` with these arguments on a host of a lab.
///
/// # Panics
/// If it cannot be started.
pub fn sipwall_on(host: &Host, arguments: &[&str]) -> Ended {
    run(host.command(binary()).args(arguments))
}

/// Runs `sipwall` with these arguments, away from any lab: for commands that only read files.
///
/// # Panics
/// If it cannot be started.
pub fn sipwall(arguments: &[&str]) -> Ended {
    run(Command::new(binary()).args(arguments))
}

fn run(command: &mut Command) -> Ended {
    let ended: Ended = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}")).into();
    // Whatever prints JSON in a test is held to what `docs/json.md` says of it.
    if command.get_args().any(|argument| argument == "--json") {
        json::check(&ended.stdout);
    }
    ended
}

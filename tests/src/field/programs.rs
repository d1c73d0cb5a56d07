//! The peers' programs: unpacked by `cargo xtask setup`, not installed, so that none of them ever runs by itself.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lab::{Host, Process};

/// Where their libraries lie.
const LIBRARIES: [&str; 4] = [
    "usr/lib/x86_64-linux-gnu",
    "lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/kamailio",
    "usr/lib/x86_64-linux-gnu/blas",
];

/// Where they are unpacked, below the directory of build results.
fn directory() -> PathBuf {
    let target = crate::sipwall::binary().ancestors().nth(2).expect("a binary lies in a profile's directory");
    target.join("peers")
}

/// The path of a file of theirs.
pub(super) fn file(path: &str) -> PathBuf {
    let file = directory().join(path);
    assert!(file.exists(), "`{}` is missing\nhint: `cargo xtask setup`", file.display());
    file
}

/// A command that will run one of them on a host, with nothing to read and its output thrown away.
pub(super) fn command(host: &Host, program: &str) -> Command {
    let libraries = LIBRARIES.map(|path| directory().join(path));
    let mut command = host.command(file(program));
    command.env("PYTHONPATH", directory().join("usr/lib/python3/dist-packages"));
    command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries).expect("paths without colons"));
    quiet(&mut command);
    command
}

/// Lets a command read nothing and say nothing.
pub(super) fn quiet(command: &mut Command) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
}

/// Starts a command whose output goes to a file, to be read where something goes wrong.
pub(super) fn start(command: &mut Command, log: &Path) -> Process {
    let log = std::fs::File::create(log).expect("a file");
    let both = log.try_clone().expect("a file");
    Process::start(command.stdout(log).stderr(both)).expect("it starts")
}

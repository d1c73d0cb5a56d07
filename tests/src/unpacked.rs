//! Programs of Debian that `cargo xtask setup` unpacks under the build results, so that none of them ever runs by itself.

use std::{
    env,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lab::{Host, Process};

use crate::sipwall::binary;

/// Where the libraries of unpacked programs lie.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// A set of programs that are unpacked together.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked {
    /// The directory, below that of build results.
    pub directory: &'static str,
}

impl Unpacked {
    fn root(self) -> PathBuf {
        binary().ancestors().nth(2).expect("a binary lies in a profile's directory").join(self.directory)
    }

    /// The path of a file of theirs.
    ///
    /// # Panics
    /// If it is missing.
    pub fn file(self, path: &str) -> PathBuf {
        let file = self.root().join(path);
        assert!(file.exists(), "`{}` is missing\nhint: `cargo xtask setup`", file.display());
        file
    }

    /// A command that will run one of them on a host, with nothing to read.
    ///
    /// # Panics
    /// If it is missing.
    pub fn command(self, host: &Host, program: &str) -> Command {
        let libraries = LIBRARIES.map(|path| self.root().join(path));
        let mut command = host.command(self.file(program));
        command.env("LD_LIBRARY_PATH", env::join_paths(libraries).expect("paths without colons"));
        command.stdin(Stdio::null());
        command
    }
}

/// Starts a command whose output goes to a file, to be read where something goes wrong.
///
/// # Panics
/// If it does not start.
pub fn start(command: &mut Command, log: &Path) -> Process {
    let log = File::create(log).expect("a file");
    let both = log.try_clone().expect("a file");
    Process::start(command.stdout(log).stderr(both)).expect("it starts")
}

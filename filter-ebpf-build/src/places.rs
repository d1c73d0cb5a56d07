//! Where programs are looked for.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Where a toolchain is looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// Directories of programs, in order of precedence.
    pub directories: Vec<PathBuf>,
    /// The compiler of the Debian set.
    pub debian_rustc: PathBuf,
    /// The cargo for a compiler that comes without one.
    pub cargo: PathBuf,
}

impl Places {
    /// This machine: `PATH`, then cargo's own directory of programs, which is often not on it.
    pub fn of_this_machine() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
        let cargo_programs = cargo_home.map(|home| home.join("bin"));
        Self {
            directories: env::split_paths(&path).chain(cargo_programs).collect(),
            debian_rustc: "/usr/bin/rustc".into(),
            cargo: env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
        }
    }

    /// The program of that name in the first directory that has it.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let mut candidates = self.directories.iter().map(|directory| directory.join(name));
        candidates.find(|path| is_executable(path))
    }
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

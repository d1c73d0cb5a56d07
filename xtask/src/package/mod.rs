//! `cargo xtask package`: a Debian package and an archive, both with the same binary, which needs no library.

mod archive;
mod bill;
mod debian;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{setup, workspace};

/// What to make, and where.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The directory for what is made; `target/package` if none is named.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// With a binary that is not optimised: quick to make, for tests.
    #[arg(long)]
    debug: bool,
}

/// Makes both, and says where they are.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Build)?;
    let output = options.output.clone().unwrap_or_else(|| workspace::target().join("package"));
    fs::create_dir_all(&output).with_context(|| format!("cannot make `{}`", output.display()))?;
    let output = output.canonicalize()?;
    let bill = bill::of_materials()?;
    let work = tempfile::tempdir_in(&output)?;
    let binary = binary(&work.path().join("binary"), options.debug)?;
    println!("{}", debian::package(&binary, &bill, work.path(), &output)?.display());
    println!("{}", archive::archive(&binary, &bill, work.path(), &output)?.display());
    Ok(())
}

/// Builds a binary that needs no library, in a directory that is made: it runs whatever the C library of the host is.
pub(crate) fn binary(directory: &Path, debug: bool) -> Result<PathBuf> {
    fs::create_dir(directory)?;
    let mut cargo = workspace::cargo();
    cargo.args(["rustc", "--locked", "--package", "filter-user", "--bin", "sipwall"]);
    if !debug {
        cargo.arg("--release");
    }
    // Only the last step differs from any other build, so nothing is compiled twice for it.
    cargo.args(["--", "-C", "target-feature=+crt-static", "-o"]).arg(directory.join("sipwall"));
    workspace::run(&mut cargo)?;
    // rustc adds what tells this build from others to the name.
    let files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let binary = files.into_iter().find(|file| file.extension().is_none());
    let binary = binary.with_context(|| format!("cargo left no binary in `{}`", directory.display()))?;
    if !debug {
        workspace::run(Command::new("strip").arg("--strip-unneeded").arg(&binary))?;
    }
    Ok(binary)
}

/// The version of everything here.
const VERSION: &str = env!("CARGO_PKG_VERSION");

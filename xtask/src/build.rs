//! `cargo xtask build`: all that is shipped.

use std::path::PathBuf;

use anyhow::Result;

use crate::{setup, workspace};

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Optimise, and leave the binary in `target/release`.
    #[arg(long)]
    release: bool,
}

/// Builds `sipwall`, and says where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Build)?;
    println!("{}", sipwall(options.release)?.display());
    Ok(())
}

/// Builds `sipwall`, with the XDP program in it.
pub(crate) fn sipwall(release: bool) -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--package", "filter-user", "--bin", "sipwall"]);
    let profile = if release { "release" } else { "debug" };
    if release {
        cargo.arg("--release");
    }
    workspace::run(&mut cargo)?;
    Ok(workspace::target().join(profile).join("sipwall"))
}

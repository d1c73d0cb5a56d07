//! `cargo xtask build`: all that is shipped.

use anyhow::Result;

use crate::{setup, workspace};

/// How to build.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Optimise, and leave the binary in `target/release`.
    #[arg(long)]
    release: bool,
}

/// Builds `sipwall`, with the XDP program in it.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Build)?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--package", "filter-user", "--bin", "sipwall"]);
    let profile = if options.release {
        cargo.arg("--release");
        "release"
    } else {
        "debug"
    };
    workspace::run(&mut cargo)?;
    println!("{}", workspace::target().join(profile).join("sipwall").display());
    Ok(())
}

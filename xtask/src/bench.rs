//! `cargo xtask bench`: what the filter costs, also beside others.

use std::process::Command;

use anyhow::Result;

use crate::{package, privilege, setup, workspace};

/// What to measure, and how.
#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Options {
    /// Only the decision, in test runs.
    #[arg(long)]
    classifier: bool,
    /// Only a packet's whole way, beside others.
    #[arg(long)]
    path: bool,
    /// Only what changes cost, and how much memory is taken up.
    #[arg(long)]
    changes: bool,
    /// Fewer cases and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the benchmarks, of the binary that is shipped. What they find is left in `target/bench` too.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Bench)?;
    privilege::check()?;
    let Options { classifier, path, changes, quick, json } = *options;
    let flags =
        [(classifier, "--classifier"), (path, "--path"), (changes, "--changes"), (quick, "--quick"), (json, "--json")];
    workspace::run(workspace::cargo().args(["build", "--release", "--locked", "--package", "bench"]))?;
    let work = tempfile::tempdir_in(workspace::target())?;
    let binary = package::binary(&work.path().join("binary"), false)?;
    let mut bench = Command::new(workspace::target().join("release/bench"));
    bench.env("SIPWALL", binary).arg("--output").arg(workspace::target().join("bench"));
    workspace::run(bench.args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag)))
}

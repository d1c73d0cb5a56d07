//! `cargo xtask fleet-scale`: what a fleet costs its broker. Its figures are this machine's, so it is no test.

use std::process::Command;

use anyhow::Result;

use crate::{setup, workspace};

/// The program that measures: of the crate of the tests, which needs the BPF toolchain.
const PROGRAM: &str = "fleet-scale";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many nodes, one row each.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "50,100,200,400", value_parser = clap::value_parser!(u16).range(1..=1000))]
    nodes: Vec<u16>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Measures, and prints the table.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
    let mut cargo = workspace::cargo();
    // As the tests are built, so that nothing is built twice.
    cargo.args(["build", "--workspace", "--exclude", "filter-ebpf", "--exclude", "fuzz", "--bin", PROGRAM]);
    workspace::run(&mut cargo)?;
    let mut measure = Command::new(workspace::target().join("debug").join(PROGRAM));
    measure.args(options.json.then_some("--json")).args(options.nodes.iter().map(u16::to_string));
    workspace::run(&mut measure)
}

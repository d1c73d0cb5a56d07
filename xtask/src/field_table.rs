//! `cargo xtask field-table`: calls under a flood. Its figures are this machine's, so it is no test.

use std::process::Command;

use anyhow::Result;

use crate::{privilege, setup, workspace};

/// The program that measures: of the crate of the tests, which needs the BPF toolchain.
const PROGRAM: &str = "field-table";

/// Measures, and prints the table.
pub(crate) fn run() -> Result<()> {
    privilege::check()?;
    setup::ensure(setup::Purpose::Test)?;
    let mut cargo = workspace::cargo();
    // As the tests are built, so that nothing is built twice.
    cargo.args(["build", "--workspace", "--exclude", "filter-ebpf", "--exclude", "fuzz", "--bin", PROGRAM]);
    workspace::run(&mut cargo)?;
    workspace::run(&mut Command::new(workspace::target().join("debug").join(PROGRAM)))
}

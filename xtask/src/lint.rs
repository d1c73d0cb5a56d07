//! `cargo xtask lint`: formatting, lints and documentation, none of which may warn.

use anyhow::Result;

use crate::{setup, workspace};

/// Checks the whole workspace.
pub(crate) fn run() -> Result<()> {
    setup::ensure(setup::Purpose::Lint)?;
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
    host()?;
    program()?;
    documentation()
}

fn host() -> Result<()> {
    let mut clippy = workspace::cargo();
    clippy.args(["clippy", "--workspace", "--exclude", "filter-ebpf", "--all-targets"]);
    workspace::run(clippy.args(["--", "-D", "warnings"]))
}

/// The XDP program, as if the host were its target: clippy cannot lint for the BPF target.
///
/// It has an invocation of its own, since together with the user crate `filter-common` would get
/// the features of both, and a build directory of its own, since its flags differ.
fn program() -> Result<()> {
    let mut clippy = workspace::cargo();
    clippy.args(["clippy", "--package", "filter-ebpf", "--target-dir"]);
    clippy.arg(workspace::target().join("lint-ebpf"));
    clippy.env("RUSTFLAGS", "-C panic=abort");
    workspace::run(clippy.args(["--", "-D", "warnings"]))
}

fn documentation() -> Result<()> {
    let mut rustdoc = workspace::cargo();
    rustdoc.args(["doc", "--workspace", "--exclude", "filter-ebpf", "--no-deps"]);
    rustdoc.args(["--document-private-items", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    workspace::run(&mut rustdoc)
}

//! `cargo xtask test`: lints, then every test there is.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::{lint, privilege, setup, workspace};

/// Which tests to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these: `lint`, `unit`, `doc`, or the name of an integration test, a file of `tests/tests`.
    #[arg(long, value_name = "NAME")]
    suite: Option<String>,
}

/// Runs the tests; those that need root fail without it.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
    match options.suite.as_deref() {
        None => {
            privilege::check()?;
            lint::run()?;
            tests(&[])
        }
        Some("lint") => lint::run(),
        Some("unit") => tests(&["--lib", "--bins"]),
        Some("doc") => tests(&["--doc"]),
        Some(name) => integration(name),
    }
}

fn integration(name: &str) -> Result<()> {
    let suites = integration_suites()?;
    if !suites.iter().any(|suite| suite == name) {
        bail!("there is no suite `{name}`; there are `lint`, `unit`, `doc`, `{}`", suites.join("`, `"));
    }
    privilege::check()?;
    tests(&["--test", name])
}

/// The integration tests of the `tests` crate.
fn integration_suites() -> Result<Vec<String>> {
    let directory = workspace::root().join("tests/tests");
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot read `{}`", directory.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let sources = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

fn tests(selection: &[&str]) -> Result<()> {
    let mut cargo = workspace::cargo();
    // `filter-ebpf` builds for the BPF target only.
    cargo.args(["test", "--workspace", "--exclude", "filter-ebpf"]).args(selection);
    workspace::run(&mut cargo)
}

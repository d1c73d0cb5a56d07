//! `cargo xtask test`: lints, then every test there is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{lint, privilege, setup, workspace};

/// Which tests to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these: `lint`, `unit`, `doc`, or the name of an integration test, a file in some crate's `tests`.
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
            run_tests(&[])
        }
        Some("lint") => lint::run(),
        Some("unit") => run_tests(&["--lib", "--bins"]),
        Some("doc") => run_tests(&["--doc"]),
        Some(name) => integration(name),
    }
}

fn integration(name: &str) -> Result<()> {
    let suites = integration_suites()?;
    if !suites.iter().any(|suite| suite == name) {
        bail!("there is no suite `{name}`; there are `lint`, `unit`, `doc`, `{}`", suites.join("`, `"));
    }
    privilege::check()?;
    run_tests(&["--test", name])
}

/// The integration tests of every crate: the files of its directory `tests`.
fn integration_suites() -> Result<Vec<String>> {
    let crates = entries(workspace::root())?.into_iter().map(|path| path.join("tests"));
    let files: Vec<_> = crates.filter(|tests| tests.is_dir()).map(|tests| entries(&tests)).collect::<Result<_>>()?;
    let files = files.into_iter().flatten().filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let mut names: Vec<_> = files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// What a directory holds.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read `{}`", directory.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn run_tests(selection: &[&str]) -> Result<()> {
    let mut cargo = workspace::cargo();
    // `filter-ebpf` builds for the BPF target only.
    cargo.args(["test", "--workspace", "--exclude", "filter-ebpf"]).args(selection);
    workspace::run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_of_every_crate_are_suites() {
        let suites = integration_suites().unwrap();
        assert!(suites.contains(&"namespaces".to_owned()), "{suites:?}");
    }

    #[test]
    fn an_unknown_suite_is_refused_with_those_that_there_are() {
        let error = integration("no-such-suite").unwrap_err().to_string();
        assert!(error.starts_with("there is no suite `no-such-suite`; there are `lint`, `unit`, `doc`, "), "{error}");
    }
}

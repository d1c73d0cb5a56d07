//! `cargo xtask test`: lints, then every test there is.

use std::{collections::BTreeSet, env, str::FromStr, thread};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{fuzz, lint, privilege, setup, workspace};

/// Which tests to run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these: `lint`, `unit`, `doc`, `fuzz`, or the name of an integration test, a file in some crate's `tests`.
    #[arg(long, value_name = "NAME")]
    suite: Option<Suite>,
}

/// A part of the tests.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Suite {
    Lint,
    /// The tests inside the sources.
    Unit,
    /// The examples in the documentation.
    Doc,
    /// A short run of the fuzzers.
    Fuzz,
    /// Test targets of some crate.
    Integration(Vec<String>),
}

/// Suites of several integration tests, by a name that one of them may have too.
const GROUPS: [(&str, &[&str]); 1] = [("field", &["field", "hosts"])];

/// How many tests run at once, as the test harness reads it.
const THREADS: &str = "RUST_TEST_THREADS";

/// Runs the tests; those that need root fail without it.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure(setup::Purpose::Test)?;
    match &options.suite {
        None => {
            privilege::check()?;
            lint::run()?;
            run_tests(&[])?;
            fuzz::briefly()
        }
        Some(Suite::Lint) => lint::run(),
        Some(Suite::Unit) => run_tests(&["--lib", "--bins"]),
        Some(Suite::Doc) => run_tests(&["--doc"]),
        Some(Suite::Fuzz) => fuzz::briefly(),
        Some(Suite::Integration(names)) => {
            privilege::check()?;
            let selection: Vec<_> = names.iter().flat_map(|name| ["--test", name]).collect();
            run_tests(&selection)
        }
    }
}

impl FromStr for Suite {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "lint" => return Ok(Self::Lint),
            "unit" => return Ok(Self::Unit),
            "doc" => return Ok(Self::Doc),
            "fuzz" => return Ok(Self::Fuzz),
            _ => {}
        }
        if let Some((_, members)) = GROUPS.iter().find(|(group, _)| *group == name) {
            return Ok(Self::Integration(members.iter().map(|member| (*member).to_owned()).collect()));
        }
        let known = integration_tests()?;
        if !known.contains(name) {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            bail!("there are `lint`, `unit`, `doc`, `fuzz`, {}", known.join(", "));
        }
        Ok(Self::Integration(vec![name.to_owned()]))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The integration tests of every crate.
fn integration_tests() -> Result<BTreeSet<String>> {
    let mut cargo = workspace::cargo();
    let output = cargo.args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed something else")?;
    let targets = metadata.packages.into_iter().flat_map(|package| package.targets);
    let tests = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
    Ok(tests.map(|target| target.name).collect())
}

fn run_tests(selection: &[&str]) -> Result<()> {
    let mut cargo = workspace::cargo();
    // `filter-ebpf` builds for the BPF target only, and `fuzz` links where it is instrumented only.
    cargo.args(["test", "--workspace", "--exclude", "filter-ebpf", "--exclude", "fuzz"]).args(selection);
    if env::var_os(THREADS).is_none() {
        // Most tests wait most of the time: for packets that must not come, and for processes.
        let processors = thread::available_parallelism()?.get();
        cargo.env(THREADS, (2 * processors).to_string());
    }
    workspace::run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_names_of_their_own_or_of_an_integration_test() {
        let parse = |name: &str| name.parse::<Suite>().unwrap();
        assert_eq!(parse("lint"), Suite::Lint);
        assert_eq!(parse("namespaces"), Suite::Integration(vec!["namespaces".to_owned()]));
    }

    #[test]
    fn a_group_has_integration_tests_that_there_are() {
        let known = integration_tests().unwrap();
        for (name, members) in GROUPS {
            assert_eq!(
                name.parse::<Suite>().unwrap(),
                Suite::Integration(members.iter().map(ToString::to_string).collect())
            );
            assert!(members.iter().all(|member| known.contains(*member)), "{name}: {members:?}");
        }
    }

    #[test]
    fn an_unknown_suite_is_refused_with_those_that_there_are() {
        let error = "no-such-suite".parse::<Suite>().unwrap_err().to_string();
        assert!(error.starts_with("there are `lint`, `unit`, `doc`, `fuzz`, "), "{error}");
        assert!(error.contains("`rules`"), "{error}");
    }
}

//! What the filter costs, also beside others. `cargo xtask bench` runs it.

mod changes;
mod classifier;
mod path;
mod plot;
mod policies;
mod report;
mod statistics;
mod table;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser;
use filter_ebpf_build::{Places, Program, Toolchain};
use filter_user::kernel::Bench;
use report::{Machine, Report};

/// Measures what the filter costs.
#[derive(Parser)]
#[command(name = "bench")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
struct Options {
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
    /// Write the tables, the figures and pictures of them into this directory too.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let Options { classifier, path, changes, quick, json, ref output } = *options;
    let all = !classifier && !path && !changes;
    // First: its figures of memory are those of all maps that there are.
    let changes = (changes || all).then(|| changes::measure(quick)).transpose()?;
    let mut bench = load()?;
    let report = Report {
        machine: Machine::of_this_run()?,
        classifier: (classifier || all).then(|| classifier::measure(&mut bench, quick)).transpose()?,
        changes,
        path: (path || all).then(|| path::measure(bench, quick)).transpose()?,
    };
    if let Some(directory) = output {
        report.write(directory)?;
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

/// Builds and loads the programs that measure.
fn load() -> Result<Bench> {
    let object = Program::for_benchmarks().build(&Toolchain::find(&Places::of_this_machine())?)?;
    let object = fs::read(&object).with_context(|| format!("cannot read `{}`", object.display()))?;
    Bench::load(&object)
}

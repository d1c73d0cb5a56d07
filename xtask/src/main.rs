//! The project's own commands: `cargo xtask COMMAND`.

mod bench;
mod build;
mod demo;
mod field_table;
mod fleet_scale;
mod fuzz;
mod lint;
mod mutants;
mod package;
mod pictures;
mod privilege;
mod setup;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, demonstrates and tests sipwall.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build, the tests and the demo need and this machine lacks.
    Setup,
    /// Build all that is shipped.
    Build(build::Options),
    /// Show the filter at work between network namespaces, and check what it counts.
    Demo(demo::Options),
    /// Make the pictures of the documentation anew, of a run with calls and a scan.
    Pictures(pictures::Options),
    /// Measure what the filter costs, also beside others.
    Bench(bench::Options),
    /// Lint, then run every test.
    Test(test::Options),
    /// Show how calls fare under a flood, with each way to keep strangers out: the table of `docs/field-tests.md`.
    FieldTable,
    /// Measure what a fleet of simulated nodes costs a real broker: the table of `docs/fleet.md`.
    FleetScale(fleet_scale::Options),
    /// Fuzz the decision with raw octets.
    Fuzz(fuzz::Options),
    /// Show that the tests notice when the decision is broken: a table of mutants and what killed them.
    Mutants(mutants::Options),
    /// Make what is shipped: a Debian package, and an archive with a binary that needs no library.
    Package(package::Options),
    /// Check formatting, lints and documentation.
    Lint,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Setup => setup::run(),
        Task::Build(options) => build::run(&options),
        Task::Demo(options) => demo::run(&options),
        Task::Pictures(options) => pictures::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Test(options) => test::run(&options),
        Task::FieldTable => field_table::run(),
        Task::FleetScale(options) => fleet_scale::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::Package(options) => package::run(&options),
        Task::Lint => lint::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

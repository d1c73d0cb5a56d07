//! The command line: one file for each command.

mod allowlists;
mod attach;
mod check;
mod detach;
mod explain;
mod import;
mod output;
mod refresh;
mod replay;
mod stats;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use self::output::print;

/// An XDP ingress filter for SIP and media, compiled from the providers' own allowlists
#[derive(Parser)]
#[command(name = "sipwall", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Import(import::Import),
    Allowlists(allowlists::Allowlists),
    Check(check::Check),
    Explain(explain::Explain),
    Attach(attach::Attach),
    Detach(detach::Detach),
    Replay(replay::Replay),
    Refresh(refresh::Refresh),
    Status(status::Status),
    Stats(stats::Stats),
}

/// The exit code for wrong usage or input; what failed for another reason ends with 1.
pub(crate) const WRONG_INPUT: u8 = 2;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Import(command) => command.run(),
        Command::Allowlists(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Attach(command) => command.run(),
        Command::Detach(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Refresh(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Stats(command) => command.run(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

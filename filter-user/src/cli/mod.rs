//! The command line: one file for each command.

mod allow;
mod allowlists;
mod apply;
mod attach;
mod change;
mod check;
mod completions;
mod confirm;
mod deny;
mod detach;
mod diff;
mod events;
mod explain;
mod fleet;
mod import;
mod listen;
mod live;
mod manual;
mod output;
mod pause;
mod policy;
mod refresh;
mod replay;
mod run;
mod stats;
mod status;
mod target;
mod time;
mod top;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

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
    Apply(apply::Apply),
    Confirm(confirm::Confirm),
    Diff(diff::Diff),
    Allow(allow::Allow),
    Deny(deny::Deny),
    Detach(detach::Detach),
    Replay(replay::Replay),
    Refresh(refresh::Refresh),
    Run(run::Run),
    Fleet(fleet::Fleet),
    Status(status::Status),
    Stats(stats::Stats),
    Events(events::ShowEvents),
    Top(top::Top),
    Completions(completions::Completions),
    #[command(name = "man")]
    Manual(manual::Manual),
}

/// The exit code for wrong usage or input; what failed for another reason ends with 1.
pub(crate) const WRONG_INPUT: u8 = 2;

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let ended = match arguments().command {
        Command::Import(command) => command.run(),
        Command::Allowlists(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Attach(command) => command.run(),
        Command::Apply(command) => command.run(),
        Command::Confirm(command) => command.run(),
        Command::Diff(command) => command.run(),
        Command::Allow(command) => command.run(),
        Command::Deny(command) => command.run(),
        Command::Detach(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Refresh(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Fleet(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Stats(command) => command.run(),
        Command::Events(command) => command.run(),
        Command::Top(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Manual(command) => command.run(),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("error: {}", described(&error));
        ExitCode::FAILURE
    })
}

/// The command line, or the end where it is wrong. What commands say is wrong with their words has hints of its own, and the
/// usage of `sipwall` itself, which [`Parser::parse`] would put behind it, is none.
fn arguments() -> Arguments {
    let matches = Arguments::command().get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// An error with its causes, and behind them what to do about it.
fn described(error: &anyhow::Error) -> String {
    let texts: Vec<_> = error.chain().map(ToString::to_string).collect();
    let (messages, hints): (Vec<_>, Vec<_>) = texts
        .iter()
        .map(|text| text.split_once("\nhint: ").map_or((&**text, None), |(message, hint)| (message, Some(hint))))
        .unzip();
    let hints = hints.into_iter().flatten().map(|hint| format!("\nhint: {hint}"));
    messages.join(": ") + &hints.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands() -> Vec<clap::Command> {
        Arguments::command().get_subcommands().cloned().collect()
    }

    #[test]
    fn every_command_has_examples() {
        for command in commands() {
            assert!(manual::examples(&command).is_some_and(|text| !text.is_empty()), "`{}`", command.get_name());
        }
    }

    #[test]
    fn every_example_is_a_command_line_that_is_taken() {
        for command in commands() {
            for line in manual::examples(&command).unwrap_or_default().lines() {
                let words = line.split(" #").next().unwrap().split(" > ").next().unwrap().split_whitespace();
                let taken = Arguments::command().try_get_matches_from(words);
                let subcommand = taken.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(subcommand.subcommand_name(), Some(command.get_name()), "{line}");
            }
        }
    }

    #[test]
    fn what_to_do_about_an_error_stands_behind_its_causes() {
        let error = anyhow::anyhow!("no such device").context("cannot find `eth9`\nhint: `ip link` lists them");
        assert_eq!(described(&error), "cannot find `eth9`: no such device\nhint: `ip link` lists them");
        assert_eq!(described(&anyhow::anyhow!("one\nline")), "one\nline");
    }

    #[test]
    fn the_command_tree_is_sound() {
        Arguments::command().debug_assert();
    }
}

//! `sipwall completions`

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Arguments, print};

/// Print a script that completes sipwall's commands and options in a shell
///
/// The packages install those for bash, zsh and fish.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall completions bash > /etc/bash_completion.d/sipwall
  sipwall completions zsh > /usr/local/share/zsh/site-functions/_sipwall
  sipwall completions fish > /etc/fish/completions/sipwall.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "sipwall", &mut script);
        print(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

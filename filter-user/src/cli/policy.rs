//! The policy file on the command line, where a command is about nothing but that.

use std::path::{Path, PathBuf};

/// The policy file, as an argument or as the option that other commands have for it.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct PolicyArgument {
    /// The policy file
    #[arg(value_name = "POLICY")]
    argument: Option<PathBuf>,
    /// The same, as an option
    #[arg(long = "policy", value_name = "FILE")]
    option: Option<PathBuf>,
}

impl PolicyArgument {
    pub(crate) fn path(&self) -> &Path {
        self.argument.as_deref().or(self.option.as_deref()).unwrap_or_else(|| Path::new(""))
    }
}

//! `sipwall fleet keygen`

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use filter_user::fleet::Signer;

/// Make a key that signs what a fleet runs
///
/// Its secret half is written to the file, and its public half beside it, with `.pub` behind its name. The public half
/// belongs into `trust` of every node's configuration, the file itself into `sign_with` of the operators'.
#[derive(clap::Args)]
pub(super) struct Keygen {
    /// The file, which must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Keygen {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (signer, public) = Signer::generate(&self.file)?;
        super::output::line(&signer.id().to_string())?;
        eprintln!("hint: nodes trust it by `trust = [\"{}\"]`", public.display());
        Ok(ExitCode::SUCCESS)
    }
}

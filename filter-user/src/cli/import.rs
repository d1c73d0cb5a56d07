//! `sipwall import`: provider documents to an allowlist.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use filter_user::allowlist::{
    Allowlist, Finding, file,
    import::{Source, import},
};

use super::WRONG_INPUT;

/// Read a provider's document and write the allowlist that it states
#[derive(clap::Args)]
pub(crate) struct Import {
    /// The provider's document: Markdown or text
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write the allowlist as TOML to this file instead of standard output
    #[arg(short, long, value_name = "OUT.toml")]
    output: Option<PathBuf>,
    /// Print JSON, with what could not be read under `errors`
    #[arg(long)]
    json: bool,
    /// Write what could be read even if something could not
    #[arg(long)]
    partial: bool,
}

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let [path] = &self.files[..] else {
            anyhow::bail!("one file at a time");
        };
        let source = match Source::read(path) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let allowlist = import(&source);
        report(&source.name, &allowlist);
        self.write(&source, &allowlist)?;
        let failed = !allowlist.errors.is_empty() && !self.partial;
        Ok(if failed { ExitCode::from(WRONG_INPUT) } else { ExitCode::SUCCESS })
    }

    fn write(&self, source: &Source, allowlist: &Allowlist) -> anyhow::Result<()> {
        if self.json {
            print(&format!("{}\n", serde_json::to_string_pretty(allowlist)?))?;
        }
        if !allowlist.errors.is_empty() && !self.partial {
            return Ok(());
        }
        match &self.output {
            Some(path) => {
                let text = file::render(allowlist, &source.name)?;
                fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
            }
            None if self.json => Ok(()),
            None => print(&file::render(allowlist, &source.name)?),
        }
    }
}

/// Writes to standard output; a reader that went away ends the command in peace.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says on standard error what could not be read, what was read with a remark and what cannot be enforced.
fn report(name: &str, allowlist: &Allowlist) {
    let place = |line: u32| match line {
        0 => name.to_owned(),
        line => format!("{name}:{line}"),
    };
    for row in &allowlist.unenforced {
        eprintln!("not enforced: {}: `{}`: {}", place(row.line), row.name.replace('\n', " "), row.why);
    }
    for Finding { line, message } in &allowlist.warnings {
        eprintln!("warning: {}: {message}", place(*line));
    }
    for Finding { line, message } in &allowlist.errors {
        eprintln!("error: {}: {message}", place(*line));
    }
}

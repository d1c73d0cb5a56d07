//! `sipwall import`: provider documents to an allowlist.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use filter_user::allowlist::{
    Allowlist, Finding,
    compare::compare,
    file,
    import::{Fate, Imported, Options, Source, import},
    merge::merge,
    trunk,
};

use super::{WRONG_INPUT, output, print};

/// Read providers' documents and write the allowlist that they state
///
/// Reads Markdown, HTML, plain text, JSON and Terraform. Several documents are compared with each other and joined.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall import page.md -o carrier.toml      # a provider's page becomes an allowlist
  sipwall import page.html --explain           # what became of every row
  sipwall import new.json old.json --json      # two documents, compared and joined")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Import {
    /// The providers' documents
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
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Say row by row what became of it, instead of printing the allowlist
    #[arg(long)]
    explain: bool,
    /// Import rows for laptops, browsers and the like too
    #[arg(long)]
    include_clients: bool,
    /// Import only rows whose column KEY holds VALUE
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    select: Vec<(String, String)>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// A document with its file's name.
type Named = (String, Imported);

impl Import {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let sources: Result<Vec<_>, _> = self.files.iter().map(|path| Source::read(path)).collect();
        let sources = match sources {
            Ok(sources) => sources,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(WRONG_INPUT));
            }
        };
        let documents = self.read(sources);
        for (name, document) in &documents {
            report(name, &document.allowlist);
        }
        let is_mixed = mixes_trunks(&documents);
        if is_mixed {
            eprintln!("error: a trunk's table is part of a policy, not of an allowlist\nhint: import it by itself");
        }
        let is_refused = is_mixed || self.refuses(&documents);
        let outcome = self.outcome(&documents, is_refused).filter(|_| !is_mixed);
        self.write(documents, is_refused)?;
        if let Some(outcome) = outcome {
            eprintln!("{outcome}");
        }
        Ok(if is_refused { ExitCode::from(WRONG_INPUT) } else { ExitCode::SUCCESS })
    }

    /// What came of it, where the messages before it and the output leave a doubt.
    fn outcome(&self, documents: &[Named], is_refused: bool) -> Option<String> {
        let count = |of: fn(&Imported) -> usize| documents.iter().map(|(_, document)| of(document)).sum::<usize>();
        let errors = output::count(count(|document| document.allowlist.errors.len()), "error", "errors");
        let warnings = output::count(count(|document| document.allowlist.warnings.len()), "warning", "warnings");
        let entries = output::count(count(|document| document.allowlist.entries.len()), "entry", "entries");
        let trunks = count(|document| document.trunks.len());
        let has_errors = documents.iter().any(|(_, document)| !document.allowlist.errors.is_empty());
        match &self.output {
            _ if is_refused && has_errors => {
                Some(format!("nothing written: {errors}\nhint: `--partial` writes what could be read"))
            }
            _ if is_refused => Some(format!("nothing written: `--strict`, and {warnings}")),
            Some(path) if trunks > 0 => {
                Some(format!("`{}`: {}", path.display(), output::count(trunks, "trunk", "trunks")))
            }
            Some(path) if has_errors => Some(format!("`{}`: {entries}, and {errors} left out", path.display())),
            Some(path) => Some(format!("`{}`: {entries}", path.display())),
            None => None,
        }
    }

    fn read(&self, sources: Vec<Source>) -> Vec<Named> {
        let options = Options { include_clients: self.include_clients, select: self.select.clone() };
        let read = |source: Source| {
            let imported = import(&source, &options);
            (source.name, imported)
        };
        let mut documents: Vec<_> = sources.into_iter().map(read).collect();
        let compared: Vec<_> = documents.iter().map(|(name, document)| (name.as_str(), &document.allowlist)).collect();
        for (index, finding) in compare(&compared) {
            documents[index].1.allowlist.warnings.push(finding);
        }
        documents
    }

    fn refuses(&self, documents: &[Named]) -> bool {
        let mut allowlists = documents.iter().map(|(_, document)| &document.allowlist);
        allowlists.any(|allowlist| {
            !self.partial && !allowlist.errors.is_empty() || self.strict && !allowlist.warnings.is_empty()
        })
    }

    fn write(&self, documents: Vec<Named>, is_refused: bool) -> anyhow::Result<()> {
        if self.explain {
            explain(&documents, self.json)?;
        }
        let names: Vec<_> = documents.iter().map(|(name, _)| name.clone()).collect();
        let trunks: Vec<_> = documents.iter().flat_map(|(_, document)| document.trunks.clone()).collect();
        let allowlist = merge(documents.into_iter().map(|(name, document)| (name, document.allowlist)).collect());
        if self.json && !self.explain {
            output::json(&allowlist)?;
        }
        if is_refused {
            return Ok(());
        }
        let text = if trunks.is_empty() {
            file::render(&allowlist, &names.join(" "))?
        } else {
            trunk::render(&trunks, &allowlist.provider)?
        };
        match &self.output {
            Some(path) => fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display())),
            None if self.json || self.explain => Ok(()),
            None => print(&text),
        }
    }
}

/// Whether some documents are trunks and others have entries: one file cannot hold both.
fn mixes_trunks(documents: &[Named]) -> bool {
    let trunks = documents.iter().filter(|(_, document)| !document.trunks.is_empty()).count();
    trunks > 0 && trunks < documents.len()
}

/// Prints what became of every row of every document.
fn explain(documents: &[Named], json: bool) -> anyhow::Result<()> {
    for (name, document) in documents {
        for Fate { line, text, outcome } in &document.fates {
            if json {
                output::json(&serde_json::json!({ "file": name, "line": line, "row": text, "outcome": outcome }))?;
            } else {
                print(&format!("{}: {outcome}{}\n", place(name, *line), quoted(text)))?;
            }
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { text } else { format!("  [{text}]") }
}

fn place(name: &str, line: u32) -> String {
    match line {
        0 => name.to_owned(),
        line => format!("{name}:{line}"),
    }
}

/// Says on standard error what could not be read, what was read with a remark and what cannot be enforced.
fn report(name: &str, allowlist: &Allowlist) {
    for row in &allowlist.unenforced {
        let cell = row.name.replace('\n', " ");
        eprintln!("not enforced: {}: `{cell}`: {} [{}]", place(name, row.line), row.why, row.why.code());
    }
    for Finding { code, line, message } in &allowlist.warnings {
        eprintln!("warning: {}: {message} [{}]", place(name, *line), code.code());
    }
    for Finding { code, line, message } in &allowlist.errors {
        eprintln!("error: {}: {message} [{}]", place(name, *line), code.code());
    }
}

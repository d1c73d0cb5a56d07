//! Imports a provider's document.

use std::{borrow::Cow, path::Path};

use super::{
    document::{Document, Item},
    interpret::{Reading, Selection, Wanted, interpret, provider_of},
    limits::LARGEST_DOCUMENT,
    model::{Allowlist, Finding},
    problem::{Fault, Misread},
    reader::Syntax,
    trunk::Trunk,
};
use crate::text_file::{self, TextFileError};

/// A document as it was read from disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// The file as the user named it.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Why a document could not be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{name}`: {error}")]
pub struct SourceError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub error: TextFileError,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// If the file cannot be read, is too large or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        match text_file::read(path, LARGEST_DOCUMENT) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => Err(SourceError { name, error }),
        }
    }

    /// The name without folders and extension.
    fn stem(&self) -> &str {
        Path::new(&self.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }
}

/// What of a document is wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Options {
    /// Import rows for laptops, browsers and the like too.
    pub include_clients: bool,
    /// Import only rows whose column `key` holds `value`; several values of one key add up.
    pub select: Vec<(String, String)>,
}

/// A document as it was understood.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Imported {
    /// What the document allows.
    pub allowlist: Allowlist,
    /// What became of each row, in the order of the document.
    pub fates: Vec<Fate>,
    /// The trunks whose settings the document holds.
    pub trunks: Vec<Trunk>,
}

/// What became of a row of a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fate {
    /// The line in the document, from 1; 0 for the document as a whole.
    pub line: u32,
    /// The row as it stands.
    pub text: String,
    /// What became of it, in words.
    pub outcome: String,
}

/// Imports a document: what it allows, what cannot be enforced, and what could not be read.
pub fn import(source: &Source, options: &Options) -> Imported {
    let text = with_line_feeds(source.text.trim_start_matches('\u{feff}'));
    let text = &*text;
    let document = Syntax::detect(&source.name, text).read(text);
    let wanted = Wanted { include_clients: options.include_clients, selection: selection(options, &document) };
    let Reading { mut allowlist, fates, trunks, passed, .. } = interpret(&document, &wanted);
    allowlist.provider = provider(&document, source.stem(), text);
    allowlist.title = document.title.clone().unwrap_or_else(|| source.stem().to_owned());
    allowlist.check_prefixes();
    if let Some(key) = unknown_key(&options.select, &document) {
        let message = format!("no table has a column `{key}` to select by");
        allowlist.errors.push(Finding::new(0, Fault::UnknownColumn.of(message)));
    }
    if allowlist.entries.is_empty() && allowlist.errors.is_empty() {
        allowlist.errors.push(Finding::new(0, why_empty(&allowlist, passed, text)));
    }
    Imported { allowlist, fates, trunks }
}

/// The text with every line ended by a line feed: all readers count the same lines, whatever the system that wrote it.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return text.into();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").into()
}

/// A key that the user selects by and that no table has.
fn unknown_key(select: &[(String, String)], document: &Document) -> Option<String> {
    let tables = document.items.iter().filter_map(|item| match item {
        Item::Table(table) => Some(table),
        _ => None,
    });
    Selection(select.to_vec()).unknown_key(tables).map(str::to_owned)
}

/// The rows that the user asks for, or else those for voice of a document that holds many services.
fn selection(options: &Options, document: &Document) -> Selection {
    if options.select.is_empty() {
        let default = document.selection.iter();
        return Selection(default.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
    }
    Selection(options.select.clone())
}

fn provider(document: &Document, stem: &str, text: &str) -> String {
    let title = document.title.as_deref().unwrap_or_default();
    document.provider.map_or_else(|| provider_of(title, stem, text), str::to_owned)
}

/// Says why a document gave no entry.
fn why_empty(allowlist: &Allowlist, passed: usize, text: &str) -> Misread {
    if let Some(first) = allowlist.unenforced.first() {
        let count = allowlist.unenforced.len();
        let (name, line, why) = (&first.name, first.line, &first.why);
        return Fault::NothingEnforceable.of(format!(
            "no row can be enforced by address: {count} left out, the first is `{name}` on line {line} ({why})"
        ));
    }
    if passed > 0 {
        let message = format!("none of the {passed} rows is selected: choose others with `--select KEY=VALUE`");
        return Fault::NothingSelected.of(message);
    }
    if describes_a_trunk(text) {
        return Fault::NoAddresses
            .of("the document holds no addresses: it describes the access control of a trunk, which belongs in the \
                `[provider.trunk]` table of the policy");
    }
    let expected = "the document holds no addresses: expected a table, or a block of addresses under a heading";
    Fault::NoAddresses.of(expected)
}

fn describes_a_trunk(text: &str) -> bool {
    let folded = text.to_lowercase();
    folded.contains("trunk") && (folded.contains("access control") || folded.contains("allow the following addresses"))
}

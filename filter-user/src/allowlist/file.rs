//! Allowlist files: TOML as `sipwall import -o` writes it, or JSON as `import --json` prints it.

use std::{fmt, path::Path};

use super::{builtin, limits::LARGEST_DOCUMENT, model::Allowlist};
use crate::text_file;

/// Why an allowlist file could not be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct FileError {
    /// The file.
    pub file: String,
    /// The line, from 1, where one is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

impl FileError {
    /// A file that is called as no allowlist file is may be a provider's document.
    fn with_hint_at_import(self, path: &Path) -> Self {
        if path.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
            return self;
        }
        let hint = "a provider's document is read by `sipwall import` first, or named as `source`";
        Self { message: format!("{}\nhint: {hint}", self.message), ..self }
    }
}

impl Allowlist {
    /// Loads a built-in allowlist by its name, or else the file at `name_or_path`, relative to `folder`.
    ///
    /// # Errors
    /// If there is neither, or the file does not hold an allowlist.
    pub fn load(name_or_path: &str, folder: &Path) -> Result<Self, FileError> {
        if let Some(builtin) = builtin::get(name_or_path) {
            return builtin.allowlist();
        }
        let path = folder.join(name_or_path);
        let file = path.display().to_string();
        match text_file::read(&path, LARGEST_DOCUMENT) {
            Ok(text) => parse(&file, &text).map_err(|error| error.with_hint_at_import(&path)),
            Err(error) => Err(FileError {
                message: format!("cannot read the allowlist: {error}{}", hint_at_builtins(name_or_path)),
                file,
                line: None,
            }),
        }
    }
}

fn hint_at_builtins(name: &str) -> String {
    if name.contains(['/', '.']) {
        return String::new();
    }
    let names: Vec<_> = builtin::names().collect();
    format!("\nhint: the built-in allowlists are `{}`", names.join("`, `"))
}

/// Reads the text of an allowlist file; JSON begins with a brace.
///
/// # Errors
/// Names the file and the line of what is wrong.
pub fn parse(file: &str, text: &str) -> Result<Allowlist, FileError> {
    let error = |line, message: &str| FileError {
        file: file.to_owned(),
        line,
        message: message.trim_end().replace('\n', ": "),
    };
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|why| {
            let message = why.to_string();
            let place = message.rfind(" at line ").unwrap_or(message.len());
            error(Some(why.line()), &message[..place])
        });
    }
    toml::from_str(text).map_err(|why| {
        let line = why.span().map(|span| 1 + text[..span.start].matches('\n').count());
        error(line, why.message())
    })
}

/// The TOML text of an allowlist, with a comment that says which document it was read from.
///
/// # Errors
/// If TOML cannot express it.
pub fn render(allowlist: &Allowlist, document: &str) -> Result<String, toml::ser::Error> {
    let document = document.replace(['\n', '\r'], " ");
    Ok(format!("# Read by `sipwall import {document}`.\n{}", toml::to_string_pretty(allowlist)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allowlist::{Entry, Protocol, Service};

    fn sample() -> Allowlist {
        Allowlist {
            provider: "acme".to_owned(),
            title: "Acme".to_owned(),
            entries: vec![Entry {
                service: Service::SipTls,
                section: "Signalling".to_owned(),
                regions: vec!["eu".to_owned()],
                remote: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::1/128".parse().unwrap()],
                protocol: Protocol::Tcp,
                remote_ports: vec!["5061".parse().unwrap()],
                line: 7,
            }],
            ..Allowlist::default()
        }
    }

    #[test]
    fn an_allowlist_survives_toml_and_json() {
        let toml = render(&sample(), "acme.md").unwrap();
        assert_eq!(parse("a.toml", &toml).unwrap(), sample(), "{toml}");
        let json = serde_json::to_string_pretty(&sample()).unwrap();
        assert_eq!(parse("a.json", &json).unwrap(), sample(), "{json}");
    }

    fn refused(text: &str, expected: &str) {
        let message = parse("a.toml", text).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn errors_name_file_and_line() {
        refused("provider = \"a\"\ntitle = 1\n", "a.toml:2: ");
        refused("provider = \"a\"\ntitle = \"\"\ncolour = 1\n", "a.toml:3: unknown field `colour`");
        refused("{\n \"provider\": \"a\",\n \"title\": 1\n}", "a.toml:3: invalid type");
        let entry = |remote| {
            format!(
                "provider = \"a\"\ntitle = \"\"\n[[entries]]\nservice = \"media\"\nsection = \"\"\nremote = [{remote}]\n\
                 protocol = \"udp\"\nline = 1\n"
            )
        };
        refused(&entry("\"192.0.2.0/33\""), "a.toml:6: ");
        refused(&entry("\"192.0.2.9/24\""), "a.toml:6: `192.0.2.9/24` has host bits set");
        refused(&entry(""), "a.toml:6: an entry without prefixes");
    }

    #[test]
    fn a_document_that_was_not_imported_hints_at_import() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("page.md"), "# A page\n").unwrap();
        let message = Allowlist::load("page.md", directory.path()).unwrap_err().to_string();
        assert!(
            message.ends_with("\nhint: a provider's document is read by `sipwall import` first, or named as `source`")
        );
    }

    #[test]
    fn a_name_that_is_no_builtin_and_no_file_hints_at_the_builtins() {
        let message = Allowlist::load("kore-eu", Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(message.contains("hint: the built-in allowlists are `kore-us`, `twilio-interconnect`"), "{message}");
    }
}

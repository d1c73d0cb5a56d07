//! Readers: one per syntax, each yielding the neutral form of [`super::document`].

mod markdown;
mod pipes;
mod text;

use super::document::Document;

/// The syntax of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Syntax {
    Markdown,
    Text,
}

impl Syntax {
    /// The syntax that the file's name or, where that says nothing, its text shows.
    pub(crate) fn detect(name: &str, text: &str) -> Self {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "md" | "mdx" | "markdown" | "mkd" => Self::Markdown,
            _ if text.lines().any(|line| line.starts_with("## ") || line.starts_with("|:--")) => Self::Markdown,
            _ => Self::Text,
        }
    }

    /// Reads `text` into the neutral form.
    pub(crate) fn read(self, text: &str) -> Document {
        match self {
            Self::Markdown => markdown::read(text),
            Self::Text => text::read(text),
        }
    }
}

//! Readers: one per syntax, each yielding the neutral form of [`super::document`].

mod grid;
mod hcl;
mod html;
mod json;
mod markdown;
mod pipes;
mod prepare;
mod shapes;
mod text;
mod tree;
mod trunk;

use super::document::Document;

/// The syntax of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Syntax {
    Hcl,
    Html,
    Json,
    Markdown,
    Text,
}

impl Syntax {
    /// The syntax that the file's name or, where that says nothing, its text shows.
    pub(crate) fn detect(name: &str, text: &str) -> Self {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "md" | "mdx" | "markdown" | "mkd" => Self::Markdown,
            "json" => Self::Json,
            "tf" | "hcl" => Self::Hcl,
            "html" | "htm" | "xhtml" => Self::Html,
            _ if text.trim_start().starts_with(['{', '[']) => Self::Json,
            _ if begins_with_markup(text) => Self::Html,
            _ if text.lines().any(|line| line.starts_with("## ") || line.starts_with("|:--")) => Self::Markdown,
            _ => Self::Text,
        }
    }

    /// Reads `text` into the neutral form.
    pub(crate) fn read(self, text: &str) -> Document {
        match self {
            Self::Hcl => hcl::read(text),
            Self::Html => html::read(text, 1),
            Self::Json => json::read(text),
            Self::Markdown => markdown::read(text),
            Self::Text => text::read(text),
        }
    }
}

fn begins_with_markup(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(9).collect();
    let start = start.to_ascii_lowercase();
    ["<!doctype", "<html", "<body", "<table", "<div", "<head"].iter().any(|tag| start.starts_with(tag))
}

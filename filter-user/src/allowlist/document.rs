//! The neutral form of a document: headings, tables and blocks of lines, each with its line number.
//!
//! Every reader yields this form, whatever the syntax was, and the interpreter reads nothing else.

use super::model::Finding;

/// A document, in reading order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Document {
    /// The title, where the document states one.
    pub(crate) title: Option<String>,
    /// What the document holds, from first line to last.
    pub(crate) items: Vec<Item>,
    /// What the reader itself could not read.
    pub(crate) errors: Vec<Finding>,
}

/// One thing in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// A heading: what follows stands under it.
    Heading(Heading),
    /// A table.
    Table(Table),
    /// A paragraph, a list or a block of code.
    Block(Block),
}

/// A heading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Heading {
    /// 1 is the title; a larger number is a smaller heading.
    pub(crate) level: u8,
    pub(crate) text: String,
    pub(crate) line: u32,
}

/// A grid of cells; the syntax says how many of its first rows are headers, perhaps wrongly.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Table {
    pub(crate) header_rows: usize,
    pub(crate) rows: Vec<Row>,
}

/// A row of a table; spans are filled in, a line break inside a cell is `\n`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) line: u32,
    pub(crate) cells: Vec<String>,
}

/// Consecutive lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    pub(crate) lines: Vec<Line>,
}

/// How a block is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BlockKind {
    /// Running text.
    Prose,
    /// The items of a list.
    List,
    /// Preformatted text.
    Code,
}

/// A line of a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Line {
    /// The line of the document, from 1.
    pub(crate) number: u32,
    pub(crate) text: String,
}

/// The headings under which the current item stands, the title first.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadingPath(Vec<Heading>);

impl HeadingPath {
    /// Goes under `heading`, which ends every heading of its level and below.
    pub(crate) fn enter(&mut self, heading: &Heading) {
        self.0.retain(|outer| outer.level < heading.level);
        self.0.push(heading.clone());
    }

    /// The nearest heading's text, empty before the first heading.
    pub(crate) fn section(&self) -> &str {
        self.0.last().map_or("", |heading| &heading.text)
    }

    /// The headings' texts, nearest first.
    pub(crate) fn nearest_first(&self) -> impl Iterator<Item = &str> {
        self.0.iter().rev().map(|heading| heading.text.as_str())
    }
}

/// Finds the line of a byte offset.
pub(crate) struct LineIndex(Vec<usize>);

impl LineIndex {
    /// Indexes the starts of the lines of `text`.
    pub(crate) fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(breaks.map(|(at, _)| at + 1).collect())
    }

    /// The line, from 1, that holds the byte at `offset`.
    pub(crate) fn line_of(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|start| *start <= offset);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

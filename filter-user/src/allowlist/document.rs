//! The neutral form of a document: headings, tables and blocks of lines, each with its line number.
//!
//! Every reader yields this form, whatever the syntax was, and the interpreter reads nothing else.

use super::{
    model::Finding,
    problem::{Fault, Misread, Oddity, Remark, Why},
};

/// A document, in reading order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Document {
    /// The title, where the document states one.
    pub(crate) title: Option<String>,
    /// What the document holds, from first line to last.
    pub(crate) items: Vec<Item>,
    /// What the reader itself could not read.
    pub(crate) errors: Vec<Finding<Fault>>,
    /// The trunks whose settings the document holds.
    pub(crate) trunks: Vec<TrunkSettings>,
    /// The provider, where the shape of the document tells.
    pub(crate) provider: Option<&'static str>,
    /// The rows for voice, `KEY=VALUE`, of a document that holds many services.
    pub(crate) selection: Vec<(&'static str, &'static str)>,
    /// What the reader passed over and the reader of the allowlist should know.
    pub(crate) warnings: Vec<Finding<Oddity>>,
}

/// One thing in a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Item {
    /// A heading: what follows stands under it.
    Heading(Heading),
    /// The end of what stands under headings of this level and below.
    SectionEnd(SectionEnd),
    /// A table.
    Table(Table),
    /// A paragraph, a list or a block of code.
    Block(Block),
}

impl Item {
    /// The first line of the item.
    pub(crate) fn line(&self) -> u32 {
        match self {
            Self::Heading(heading) => heading.line,
            Self::SectionEnd(end) => end.line,
            Self::Table(table) => table.rows.first().map_or(0, |row| row.line),
            Self::Block(block) => block.lines.first().map_or(0, |line| line.number),
        }
    }
}

/// Where a section ends without another heading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SectionEnd {
    pub(crate) level: u8,
    pub(crate) line: u32,
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
    /// An empty cell states nothing; in a page it can stand for the cell above.
    pub(crate) is_data: bool,
    /// The document names services of its own, not SIP's: the rows' services are unspecified.
    pub(crate) is_bare: bool,
}

/// A row of a table; spans are filled in, a line break inside a cell is `\n`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Row {
    pub(crate) line: u32,
    pub(crate) cells: Vec<String>,
    pub(crate) note: Option<Note>,
}

/// What a reader knows of a row beyond its cells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Note {
    /// The row is not for this filter, and why.
    LeaveOut(Why),
    /// The row is used, with a warning.
    Warn(Remark),
    /// The row cannot be read.
    Refuse(Misread),
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

/// The settings of a trunk that concern a filter, as its export states them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TrunkSettings {
    /// The trunk's label.
    pub(crate) name: String,
    /// Addresses that may call.
    pub(crate) allow: Vec<Line>,
    /// Addresses that may never call.
    pub(crate) always_deny: Vec<Line>,
    /// SIP servers and proxies, `HOST` or `HOST:PORT`.
    pub(crate) outbound_proxies: Vec<Line>,
    /// Whether the packet's source decides, not the Via header.
    pub(crate) use_source_address: Option<bool>,
    /// The port on which the trunk listens, from 1.
    pub(crate) listen_port: Option<u16>,
    /// `udp`, `tcp` or `tls`.
    pub(crate) transport: Option<String>,
}

/// The headings under which the current item stands, the title first.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadingPath(Vec<Heading>);

impl HeadingPath {
    /// Goes under `heading`, which ends every heading of its level and below.
    pub(crate) fn enter(&mut self, heading: &Heading) {
        self.leave(heading.level);
        self.0.push(heading.clone());
    }

    /// Leaves every heading of `level` and below.
    pub(crate) fn leave(&mut self, level: u8) {
        self.0.retain(|outer| outer.level < level);
    }

    /// The nearest heading's text, empty before the first heading.
    pub(crate) fn section(&self) -> &str {
        self.0.last().map_or("", |heading| &heading.text)
    }

    /// The headings' texts, nearest first.
    pub(crate) fn nearest_first(&self) -> impl Iterator<Item = &str> + Clone {
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

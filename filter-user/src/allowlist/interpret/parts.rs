//! The parts of a document: each table and block with its headings, its texts sorted by what they mean.

use super::{
    block::{BlockReading, read_block},
    fields::Fields,
    key_value,
    ports::Ports,
    regions::RegionBook,
    rule::Surroundings,
    select::{Selection, Sifted},
    table::rows_of,
};
use crate::allowlist::{
    document::{Document, HeadingPath, Item, Table},
    problem::Misread,
};

/// A table or block with its headings.
pub(crate) struct Part {
    path: HeadingPath,
    /// The ports that a line above states for what follows it under the same heading.
    standing: Ports,
    pub(crate) content: Content,
}

/// What a part holds.
pub(crate) enum Content {
    Rows(Vec<Fields>),
    /// A table that is about something else than rules, with the line of its first row.
    OtherTable(u32),
    /// A table that is too large, with its first line and why.
    Refused(u32, Misread),
    Block(Box<BlockReading>),
}

/// The parts of a document in order, less the rows that are not selected; and how many those are.
pub(crate) fn parts_of(document: &Document, selection: &Selection) -> (Vec<Part>, usize) {
    let mut walk =
        Walk { selection, path: HeadingPath::default(), standing: Ports::default(), parts: Vec::new(), passed: 0 };
    for item in &document.items {
        walk.take(item);
    }
    (walk.parts, walk.passed)
}

struct Walk<'a> {
    selection: &'a Selection,
    path: HeadingPath,
    standing: Ports,
    parts: Vec<Part>,
    passed: usize,
}

impl Walk<'_> {
    fn take(&mut self, item: &Item) {
        match item {
            Item::Heading(heading) => {
                self.path.enter(heading);
                self.standing = Ports::default();
            }
            Item::SectionEnd(end) => {
                self.path.leave(end.level);
                self.standing = Ports::default();
            }
            Item::Table(table) => self.table(table),
            Item::Block(block) => {
                let reading = read_block(block);
                let leading = reading.leading_ports.clone();
                self.push(Content::Block(Box::new(reading)));
                self.standing = leading.unwrap_or_else(|| std::mem::take(&mut self.standing));
            }
        }
    }

    fn table(&mut self, table: &Table) {
        let Sifted { table, passed } = self.selection.sift(table);
        self.passed += passed;
        let line = table.rows.first().map_or(0, |row| row.line);
        self.push(match rows_of(&key_value::as_rows(&table).unwrap_or(table)) {
            Ok(rows) if rows.is_empty() => Content::OtherTable(line),
            Ok(rows) => Content::Rows(rows),
            Err(why) => Content::Refused(line, why),
        });
    }

    fn push(&mut self, content: Content) {
        self.parts.push(Part { path: self.path.clone(), standing: self.standing.clone(), content });
    }
}

impl Part {
    /// The heading over the part.
    pub(crate) fn section(&self) -> &str {
        self.path.section()
    }

    /// Whether the part holds addresses.
    pub(crate) fn holds_addresses(&self) -> bool {
        match &self.content {
            Content::Rows(rows) => !rows.is_empty(),
            Content::OtherTable(_) | Content::Refused(..) => false,
            Content::Block(block) => !block.groups.is_empty(),
        }
    }

    /// What stands round a row whose region cells are `regions`.
    pub(crate) fn surroundings(&self, book: &RegionBook, regions: &[String]) -> Surroundings {
        Surroundings {
            section: self.section().to_owned(),
            headings: self.path.nearest_first().map(str::to_owned).collect(),
            regions: book.names(regions, self.section()),
            standing: self.standing.clone(),
        }
    }
}

//! The parts of a document: each table and block with its headings, its texts sorted by what they mean.

use super::{
    block::{ABOVE_OR_BELOW, AddressGroup, BlockReading, read_block},
    fields::Fields,
    headings::Headings,
    key_value,
    ports::Ports,
    regions::RegionBook,
    rule::Surroundings,
    select::{Selection, Sifted},
    table::rows_of,
};
use crate::allowlist::{
    document::{Document, HeadingPath, Item, Table},
    problem::{Fault, Misread},
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
    let mut walk = Walk {
        selection,
        path: HeadingPath::default(),
        standing: Ports::default(),
        trailing: None,
        doubtful: None,
        bad_ports: Vec::new(),
        has_addresses: false,
        parts: Vec::new(),
        passed: 0,
    };
    for item in &document.items {
        walk.take(item);
    }
    walk.end_section();
    (walk.parts, walk.passed)
}

struct Walk<'a> {
    selection: &'a Selection,
    path: HeadingPath,
    standing: Ports,
    /// The line of ports that closed the addresses above it, under the same heading.
    trailing: Option<u32>,
    /// The same line, where addresses below it have no ports so far.
    doubtful: Option<u32>,
    /// Lines of ports under the same heading that could not be read.
    bad_ports: Vec<(u32, Misread)>,
    /// Under the same heading stand addresses without ports beside them.
    has_addresses: bool,
    parts: Vec<Part>,
    passed: usize,
}

impl Walk<'_> {
    fn take(&mut self, item: &Item) {
        match item {
            Item::Heading(heading) => {
                self.end_section();
                self.path.enter(heading);
            }
            Item::SectionEnd(end) => {
                self.end_section();
                self.path.leave(end.level);
            }
            Item::Table(table) => self.table(table),
            Item::Block(block) => self.block(read_block(block)),
        }
    }

    /// A block of ports alone closes the addresses right above it, or stands over what follows.
    fn block(&mut self, mut reading: BlockReading) {
        let leading = reading.leading_ports.take();
        if let (Some((line, ports)), true) = (&leading, reading.groups.is_empty() && self.standing.is_empty()) {
            let follows_ports = self.trailing.is_some() && self.doubtful.is_none();
            let above = self.parts.last_mut().and_then(|part| part.open_group(&self.path, follows_ports));
            if let Some(above) = above {
                above.ports.groups.extend(ports.groups.iter().cloned());
                (self.trailing, self.doubtful) = (Some(*line), None);
                return;
            }
        }
        if reading.groups.iter().any(|group| group.ports.is_empty()) {
            self.doubtful = self.doubtful.or(self.trailing);
        }
        self.doubtful = reading.doubtful.or(self.doubtful);
        self.trailing = reading.doubtful.or(self.trailing);
        self.has_addresses |= !reading.groups.is_empty();
        self.bad_ports.append(&mut reading.bad_ports);
        self.push(Content::Block(Box::new(reading)));
        self.standing = leading.map_or_else(|| std::mem::take(&mut self.standing), |(_, ports)| ports);
    }

    /// Nothing that was said of ports holds beyond the end of what stands under a heading.
    fn end_section(&mut self) {
        if let Some(line) = self.doubtful.take() {
            self.push(Content::Refused(line, Fault::WhosePorts.of(ABOVE_OR_BELOW)));
        }
        let bad_ports = std::mem::take(&mut self.bad_ports);
        if std::mem::take(&mut self.has_addresses) {
            for (line, why) in bad_ports {
                self.push(Content::Refused(line, why));
            }
        }
        (self.standing, self.trailing) = (Ports::default(), None);
    }

    fn table(&mut self, table: &Table) {
        let Sifted { table, passed } = self.selection.sift(table);
        self.passed += passed;
        let line = table.rows.first().map_or(0, |row| row.line);
        let content = match rows_of(&key_value::as_rows(&table).unwrap_or(table)) {
            Ok(rows) if rows.is_empty() => Content::OtherTable(line),
            Ok(rows) => {
                self.has_addresses |= rows.iter().any(|row| row.port.is_empty());
                Content::Rows(rows)
            }
            Err(why) => Content::Refused(line, why),
        };
        self.push(content);
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

    /// The last addresses of a block under the same headings that no ports close, or not only those of the line above.
    fn open_group(&mut self, path: &HeadingPath, follows_ports: bool) -> Option<&mut AddressGroup> {
        let is_open = self.standing.is_empty() && self.path.nearest_first().eq(path.nearest_first());
        match &mut self.content {
            Content::Block(block) if is_open => {
                block.groups.last_mut().filter(|group| follows_ports || group.ports.is_empty())
            }
            _ => None,
        }
    }

    /// Whether the part holds addresses.
    pub(crate) fn holds_addresses(&self) -> bool {
        match &self.content {
            Content::Rows(rows) => !rows.is_empty(),
            Content::OtherTable(_) | Content::Refused(..) => false,
            Content::Block(block) => !block.groups.is_empty(),
        }
    }

    /// The regions of a row whose region cells are `cells`.
    pub(crate) fn regions(&self, book: &RegionBook, cells: &[String]) -> Vec<String> {
        book.names(cells, self.section())
    }

    /// What stands round a row whose region cells are `regions`.
    pub(crate) fn surroundings(&self, book: &RegionBook, regions: &[String]) -> Surroundings {
        Surroundings {
            section: self.section().to_owned(),
            headings: Headings::of(self.path.nearest_first()),
            regions: self.regions(book, regions),
            standing: self.standing.clone(),
        }
    }
}

//! Turns the neutral form of a document into entries: what a table or an address block means.

mod addresses;
mod block;
mod columns;
mod fields;
mod ports;
mod protocols;
mod provider;
mod regions;
mod rule;
mod services;

pub(crate) use self::provider::provider_of;
use self::{
    block::{AddressGroup, LineKind, groups_of},
    fields::{Fields, rows_of},
    regions::RegionBook,
    rule::{Judgement, Surroundings, judge_block, judge_row, leave_out},
};
use super::{
    document::{Document, HeadingPath, Item},
    model::{Allowlist, Finding},
    words::words,
};

/// Headings under which addresses are the reader's own or made up.
const EXAMPLE_WORDS: [&str; 5] = ["example", "examples", "sample", "samples", "troubleshooting"];

/// Whether a line of plain text holds no address, readable or not.
pub(crate) fn is_prose_line(text: &str) -> bool {
    matches!(LineKind::of(text), LineKind::Prose)
}

/// Whether a line of plain text holds addresses or ports and nothing else.
pub(crate) fn is_address_line(text: &str) -> bool {
    matches!(LineKind::of(text), LineKind::Addresses(_) | LineKind::Ports(_))
}

/// Interprets a document: its entries, what cannot be enforced, and what could not be read.
///
/// Provider and title are left to the caller.
pub(crate) fn interpret(document: &Document) -> Allowlist {
    let parts = parts_of(document);
    let book = regions_of(document, &parts);
    let mut allowlist = Allowlist { errors: document.errors.clone(), ..Allowlist::default() };
    for part in &parts {
        judge(part, &book, &mut allowlist);
    }
    allowlist
}

/// A table or block with its headings, its texts sorted by what they mean.
struct Part {
    path: HeadingPath,
    content: Content,
}

enum Content {
    Rows(Vec<Fields>),
    Groups { groups: Vec<AddressGroup>, unreadable: Vec<(u32, String)> },
}

fn parts_of(document: &Document) -> Vec<Part> {
    let mut path = HeadingPath::default();
    let mut parts = Vec::new();
    for item in &document.items {
        let content = match item {
            Item::Heading(heading) => {
                path.enter(heading);
                continue;
            }
            Item::Table(table) => Content::Rows(rows_of(table)),
            Item::Block(block) => {
                let (groups, unreadable) = groups_of(block);
                Content::Groups { groups, unreadable }
            }
        };
        parts.push(Part { path: path.clone(), content });
    }
    parts
}

/// The regions that the document names, in cells and in headings over addresses.
fn regions_of(document: &Document, parts: &[Part]) -> RegionBook {
    let mut book = RegionBook::default();
    for part in parts {
        if let Content::Rows(rows) = &part.content {
            for row in rows {
                book.add_row(&row.regions);
            }
        }
    }
    book.add_places(document);
    for part in parts.iter().filter(|part| part.holds_addresses()) {
        book.add_heading(part.path.section());
    }
    book
}

impl Part {
    fn holds_addresses(&self) -> bool {
        match &self.content {
            Content::Rows(rows) => !rows.is_empty(),
            Content::Groups { groups, .. } => !groups.is_empty(),
        }
    }

    fn surroundings(&self, regions: Vec<String>) -> Surroundings {
        Surroundings {
            section: self.path.section().to_owned(),
            headings: self.path.nearest_first().map(str::to_owned).collect(),
            regions,
        }
    }
}

fn judge(part: &Part, book: &RegionBook, allowlist: &mut Allowlist) {
    let section = part.path.section();
    match &part.content {
        Content::Rows(rows) => {
            for row in rows {
                let surroundings = part.surroundings(book.names(&row.regions, section));
                allowlist.take(row.line, judge_row(row, &surroundings));
            }
        }
        Content::Groups { groups, unreadable } => {
            let surroundings = part.surroundings(book.names(&[], section));
            for group in groups {
                let judgement = if is_example(section) && group.ports.is_empty() {
                    leave_out(group, "stands under a heading for examples")
                } else {
                    judge_block(group, &surroundings)
                };
                allowlist.take(group.line, Ok(judgement));
            }
            for (line, why) in unreadable {
                allowlist.take(*line, Err(why.clone()));
            }
        }
    }
}

fn is_example(heading: &str) -> bool {
    words(heading).iter().any(|word| EXAMPLE_WORDS.contains(&word.as_str()))
}

impl Allowlist {
    fn take(&mut self, line: u32, judged: Result<Judgement, String>) {
        match judged {
            Ok(judgement) => {
                self.entries.extend(judgement.entries);
                self.unenforced.extend(judgement.unenforced);
                let remarks = judgement.remarks.into_iter();
                self.warnings.extend(remarks.map(|message| Finding { line, message }));
            }
            Err(message) => self.errors.push(Finding { line, message }),
        }
    }
}

//! Reads plain text, as it comes out of a scraped page: tables with `|` or tabs, lists, lines that look like headings.

use super::{
    super::{
        document::{Block, BlockKind, Document, Heading, Item, Line, SectionEnd},
        interpret::{is_address_line, is_prose_line},
    },
    pipes::{self, Separator},
};

/// A line longer than this is running text, not a heading, in characters.
const LONGEST_HEADING: usize = 80;

/// What pages put round their text that scrapers take along.
const FURNITURE: [&str; 5] = ["copy code block", "copy", "(information)", "info", "page anchor"];

/// The most lines that a cell spans.
const MOST_HELD: usize = 64;

/// The one level of the headings of plain text.
const HEADING_LEVEL: u8 = 2;

/// Reads a page of plain text.
pub(super) fn read(text: &str) -> Document {
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        reader.take(number, line);
    }
    reader.close_table();
    reader.document
}

#[derive(Default)]
struct Reader {
    document: Document,
    rows: Vec<Line>,
    separator: Option<Separator>,
    /// Lines after a row of the open table that may begin the next row: a cell that spans lines.
    held: Vec<Line>,
    /// Whether data has come since the last heading: prose after it ends the heading's reach.
    data_since_heading: bool,
}

impl Reader {
    fn take(&mut self, number: u32, raw: &str) {
        let separator = Separator::of(raw);
        let line = Line { number, text: raw.to_owned() };
        match separator {
            Some(_) if separator == self.separator => {
                self.rows.append(&mut self.held);
                self.rows.push(line);
            }
            Some(_) => {
                self.close_table();
                self.separator = separator;
                self.rows.push(line);
            }
            None if self.may_begin_a_row(raw) => self.held.push(line),
            None => {
                self.close_table();
                self.take_line(number, raw);
            }
        }
    }

    /// Whether a line without separators can be the beginning of a row of the open table.
    fn may_begin_a_row(&self, line: &str) -> bool {
        self.separator.is_some()
            && self.held.len() < MOST_HELD
            && !line.trim().is_empty()
            && line.len() <= LONGEST_HEADING
            && is_prose_line(line)
    }

    fn close_table(&mut self) {
        if let Some(separator) = self.separator.take().filter(|_| !self.rows.is_empty()) {
            let rows = std::mem::take(&mut self.rows);
            match pipes::without_numbers(&rows, separator) {
                Some(lines) => lines.iter().for_each(|line| self.take_line(line.number, &line.text)),
                None => {
                    self.document.items.push(Item::Table(pipes::table(&rows, separator)));
                    self.data_since_heading = true;
                }
            }
        }
        for line in std::mem::take(&mut self.held) {
            self.take_line(line.number, &line.text);
        }
    }

    fn take_line(&mut self, number: u32, raw: &str) {
        let lines = without_line_marks(raw);
        let lines = lines.iter().map(|line| line.trim());
        for text in lines.filter(|line| !line.is_empty() && !is_furniture(line)) {
            if looks_like_heading(text) {
                self.push_heading(text, number);
            } else {
                self.push_line(text, number);
            }
        }
    }

    fn push_heading(&mut self, text: &str, line: u32) {
        self.data_since_heading = false;
        let text = text.to_owned();
        let heading = Heading { level: HEADING_LEVEL, text, line };
        self.document.items.push(Item::Heading(heading));
    }

    /// Running text after data is about something else.
    fn end_section(&mut self, line: u32) {
        self.data_since_heading = false;
        let level = HEADING_LEVEL;
        self.document.items.push(Item::SectionEnd(SectionEnd { level, line }));
    }

    fn push_line(&mut self, text: &str, number: u32) {
        let is_data = is_address_line(text);
        if !is_data && self.data_since_heading {
            self.end_section(number);
        }
        self.data_since_heading |= is_data;
        let line = Line { number, text: text.to_owned() };
        match self.document.items.last_mut() {
            Some(Item::Block(block)) => block.lines.push(line),
            _ => self.document.items.push(Item::Block(Block { kind: BlockKind::Prose, lines: vec![line] })),
        }
    }
}

/// The lines that a scraper joined with the marks of a line-numbered code block, `_10 192.0.2.1_10 192.0.2.2`.
fn without_line_marks(line: &str) -> Vec<String> {
    let marked = line.strip_prefix('_').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
    if !marked {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    for part in line.split('_').filter(|part| !part.is_empty()) {
        let text = part.trim_start_matches(|digit: char| digit.is_ascii_digit());
        lines.push(text.trim().to_owned());
    }
    lines
}

fn is_furniture(line: &str) -> bool {
    let line = line.to_lowercase();
    FURNITURE.iter().any(|known| line == *known) || line.ends_with(" page anchor")
}

/// Whether a line of plain text stands as a heading: short, begins with a capital, ends as no sentence does.
fn looks_like_heading(line: &str) -> bool {
    line.chars().count() <= LONGEST_HEADING
        && line.starts_with(char::is_uppercase)
        && !line.ends_with(['.', ':', ';', ',', '!', '?'])
        && !line.contains(": ")
        && is_prose_line(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_marks_of_a_scraped_code_block_part_its_lines() {
        let lines = without_line_marks("_10 208.78.112.64_10 208.78.112.65_10 Ports: 5060 (UDP/TCP)");
        assert_eq!(lines, ["208.78.112.64", "208.78.112.65", "Ports: 5060 (UDP/TCP)"]);
    }

    #[test]
    fn headings_of_plain_text_are_told_from_sentences() {
        for (line, expected) in [
            ("Interconnect Connections - Global Media IP Range", true),
            ("Allow all of these addresses.", false),
            ("parameter in the URI", false),
            ("Ports: 5060 (UDP/TCP)", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(looks_like_heading(line), expected, "{line}");
        }
    }
}

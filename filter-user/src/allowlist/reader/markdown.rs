//! Reads Markdown with GFM tables.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{
    super::document::{Block, BlockKind, Document, Heading, Item, Line, LineIndex, Row, Table},
    html, pipes,
    prepare::{Prepared, prepare},
};

/// The level of a paragraph that is set in bold as a whole: below every real heading.
const BOLD_HEADING_LEVEL: u8 = 7;

/// Reads a Markdown page.
pub(super) fn read(text: &str) -> Document {
    let Prepared { markdown, mut items, warnings, mut errors } = prepare(text);
    let mut reader = Reader::new(&markdown);
    for (event, range) in Parser::new_ext(&markdown, Options::ENABLE_TABLES).into_offset_iter() {
        reader.take(event, range);
    }
    let mut document = reader.document;
    items.append(&mut document.items);
    errors.append(&mut document.errors);
    items.sort_by_key(Item::line);
    Document { items, errors, warnings, ..document }
}

struct Reader<'a> {
    markdown: &'a str,
    /// Where the open row of a table stands.
    row: Range<usize>,
    /// Whether the header of the open table begins with a pipe.
    begins_with_pipe: bool,
    index: LineIndex,
    document: Document,
    /// The lines of the paragraph, list item, heading or cell that is open.
    lines: Vec<Line>,
    block: Option<Block>,
    table: Option<Table>,
    list_depth: usize,
    /// Bytes of text in bold, and in all, of the open paragraph.
    bold: usize,
    strong_depth: usize,
    /// Inside `<sup>`, which holds footnote marks.
    superscript: bool,
    /// The open block of HTML, with its first line.
    html: Option<(u32, String)>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            markdown: text,
            row: 0..0,
            begins_with_pipe: true,
            index: LineIndex::new(text),
            document: Document::default(),
            lines: Vec::new(),
            block: None,
            table: None,
            list_depth: 0,
            bold: 0,
            strong_depth: 0,
            superscript: false,
            html: None,
        }
    }

    fn take(&mut self, event: Event<'_>, range: Range<usize>) {
        let line = self.index.line_of(range.start);
        match event {
            Event::Start(tag) => {
                match tag {
                    Tag::TableHead => self.begins_with_pipe = pipes::begins_with_pipe(&self.markdown[range]),
                    Tag::TableRow => self.row = range,
                    _ => {}
                }
                self.start(&tag, line);
            }
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Code(text) => self.text(&text, line),
            Event::SoftBreak | Event::HardBreak => self.new_line(line + 1),
            Event::InlineHtml(html) => self.inline_html(&html, line),
            Event::Html(html) => self.html.get_or_insert((line, String::new())).1.push_str(&html),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, line: u32) {
        match tag {
            Tag::List(_) => {
                self.close_lines(BlockKind::List);
                self.list_depth += 1;
            }
            Tag::Item => self.close_lines(BlockKind::List),
            Tag::CodeBlock(_) => self.close_block(),
            Tag::Table(_) => {
                self.close_block();
                self.table = Some(Table::default());
            }
            Tag::TableHead | Tag::TableRow => self.start_row(line),
            Tag::Strong => self.strong_depth += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.end_heading(level),
            TagEnd::Paragraph if self.list_depth == 0 => self.end_paragraph(),
            TagEnd::Paragraph | TagEnd::Item => self.close_lines(BlockKind::List),
            TagEnd::List(_) => {
                self.list_depth = self.list_depth.saturating_sub(1);
                if self.list_depth == 0 {
                    self.close_block();
                }
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::HtmlBlock => self.end_html(),
            TagEnd::TableRow => self.fit_row(),
            TagEnd::TableCell => self.end_cell(),
            TagEnd::TableHead => self.count_header_row(),
            TagEnd::Table => self.end_table(),
            TagEnd::Strong => self.strong_depth = self.strong_depth.saturating_sub(1),
            _ => {}
        }
    }

    /// Adds text, which in a code block holds whole lines.
    fn text(&mut self, text: &str, line: u32) {
        if self.superscript {
            return;
        }
        if self.strong_depth > 0 {
            self.bold += text.trim().len();
        }
        for (number, part) in (line..).zip(text.split('\n')) {
            match self.lines.last_mut() {
                Some(last) if last.number == number => last.text.push_str(part),
                _ => self.lines.push(Line { number, text: part.to_owned() }),
            }
        }
    }

    fn new_line(&mut self, number: u32) {
        self.lines.push(Line { number, text: String::new() });
    }

    fn inline_html(&mut self, html: &str, line: u32) {
        let tag = html.trim_matches(['<', '>', ' ', '/']).to_ascii_lowercase();
        match tag.as_str() {
            "br" => self.lines.push(Line { number: line, text: String::new() }),
            "sup" => self.superscript = !html.contains('/'),
            _ => {}
        }
    }

    /// What was gathered since the last block, list item, heading or cell, on one line per break.
    fn take_text(&mut self) -> String {
        let lines = std::mem::take(&mut self.lines);
        let texts: Vec<_> = lines.into_iter().map(|line| line.text).collect();
        texts.join("\n")
    }

    /// Adds the gathered lines to the open block.
    fn close_lines(&mut self, kind: BlockKind) {
        self.bold = 0;
        let lines = std::mem::take(&mut self.lines);
        let block = self.block.get_or_insert(Block { kind, lines: Vec::new() });
        block.lines.extend(lines.into_iter().filter(|line| !line.text.trim().is_empty()));
    }

    fn close_block(&mut self) {
        if !self.lines.is_empty() {
            self.close_lines(BlockKind::Prose);
        }
        if let Some(block) = self.block.take() {
            self.document.items.extend(pipes::items(block));
        }
    }

    fn end_heading(&mut self, level: HeadingLevel) {
        let line = self.lines.first().map_or(0, |line| line.number);
        let text = without_anchor(&self.take_text());
        self.bold = 0;
        if self.document.title.is_none() && level == HeadingLevel::H1 {
            self.document.title = Some(text.clone());
        }
        self.push_heading(level as u8, text, line);
    }

    fn push_heading(&mut self, level: u8, text: String, line: u32) {
        self.close_block();
        self.document.items.push(Item::Heading(Heading { level, text, line }));
    }

    /// Ends a paragraph; one that is all bold is a heading in all but name.
    fn end_paragraph(&mut self) {
        let length: usize = self.lines.iter().map(|line| line.text.trim().len()).sum();
        match self.lines.first().map(|line| line.number) {
            Some(line) if self.bold == length && self.lines.len() == 1 => {
                let text = self.take_text();
                self.push_heading(BOLD_HEADING_LEVEL, text.trim().to_owned(), line);
            }
            _ => self.close_block(),
        }
        self.bold = 0;
    }

    fn end_code(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let kind = BlockKind::Code;
        self.document.items.extend(pipes::items(Block { kind, lines }));
        self.bold = 0;
    }

    fn start_row(&mut self, line: u32) {
        if let Some(table) = &mut self.table {
            table.rows.push(Row { line, cells: Vec::new(), note: None });
        }
    }

    fn end_cell(&mut self) {
        let text = self.take_text();
        self.bold = 0;
        if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
            row.cells.push(text);
        }
    }

    fn count_header_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.header_rows = table.rows.len();
        }
    }

    /// Puts right what GFM makes of a row that does not fit its header: it drops cells that are too many, and takes an empty
    /// first cell for the outer pipe of a table that has none.
    fn fit_row(&mut self) {
        let source = self.markdown.get(self.row.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let begins_empty = pipes::begins_with_pipe(source) && !self.begins_with_pipe;
        if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
            let columns = row.cells.len();
            if begins_empty {
                row.cells.insert(0, String::new());
                row.cells.truncate(columns);
            }
            let cells = pipes::Separator::Pipe.cells(source);
            row.cells.extend(cells.into_iter().skip(columns - usize::from(begins_empty)));
        }
    }

    /// Reads a block of HTML as a page of its own.
    fn end_html(&mut self) {
        if let Some((line, html)) = self.html.take() {
            self.close_block();
            let page = html::read(&html, line);
            self.document.items.extend(page.items);
            self.document.errors.extend(page.errors);
            if self.document.title.is_none() {
                self.document.title = page.title;
            }
        }
    }

    fn end_table(&mut self) {
        self.document.items.extend(self.table.take().map(Item::Table));
    }
}

/// A heading's text without the anchor that some generators append: `Gateways [#ip-addresses]`.
fn without_anchor(text: &str) -> String {
    let cut = text.find("[#").or_else(|| text.find("{#")).unwrap_or(text.len());
    text[..cut].trim().to_owned()
}

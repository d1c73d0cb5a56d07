//! Reads HTML: whole pages, and tables inside Markdown.
//!
//! Works on the tokens of the page, not on its tree: memory and time stay in proportion to the page whatever its nesting,
//! and each row keeps its line.

use std::cell::RefCell;

use html5ever::{
    TokenizerResult,
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind},
};

use super::{
    super::{
        document::{Block, BlockKind, Document, Heading, Item, Line},
        model::Finding,
    },
    grid::{Grid, GridCell},
    pipes,
};

/// Tables nested deeper than this are not opened: their text joins the cell around them.
const DEEPEST_TABLE: usize = 16;

/// Reads a page, or a piece of one that begins on line `first_line` of its document.
pub(super) fn read(text: &str, first_line: u32) -> Document {
    let breaks = u32::try_from(text.trim_end().matches('\n').count()).unwrap_or(u32::MAX);
    let last_line = first_line.saturating_add(breaks);
    let reader = Reader { page: RefCell::new(Page::default()), first_line, last_line };
    let tokenizer = Tokenizer::new(reader, TokenizerOpts::default());
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(text));
    // A script's end yields control to a script engine: there is none, so go on.
    while !matches!(tokenizer.feed(&queue), TokenizerResult::Done) {}
    tokenizer.end();
    let mut page = tokenizer.sink.page.into_inner();
    page.close_everything();
    page.document
}

struct Reader {
    page: RefCell<Page>,
    first_line: u32,
    /// The tokenizer has been seen to count a line too many (an input of the fuzz corpus): none is beyond this one.
    last_line: u32,
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(self.first_line).saturating_sub(1);
        let line = line.min(self.last_line);
        let mut page = self.page.borrow_mut();
        match token {
            Token::CharacterTokens(text) => page.text(&text, line),
            Token::TagToken(tag) => {
                let is_start = tag.kind == TagKind::StartTag;
                page.tag(&tag, line);
                if is_start {
                    return raw_text(&tag.name);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// How the text inside an element that holds no markup ends.
fn raw_text(name: &str) -> TokenSinkResult<()> {
    match name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "style" | "iframe" | "noembed" | "noframes" | "xmp" => TokenSinkResult::RawData(RawKind::Rawtext),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        _ => TokenSinkResult::Continue,
    }
}

#[derive(Default)]
struct Page {
    document: Document,
    tables: Vec<OpenTable>,
    /// The text since the last break, outside of tables.
    lines: Vec<Line>,
    heading: Option<(u8, u32)>,
    /// The element whose text is not part of the page: a script, a footnote mark.
    skipping: Option<String>,
    in_pre: bool,
    in_title: bool,
}

#[derive(Default)]
struct OpenTable {
    grid: Grid,
    cell: Option<GridCell>,
    line: u32,
    in_head: bool,
}

impl Page {
    fn text(&mut self, text: &str, line: u32) {
        if self.skipping.is_some() {
            return;
        }
        if self.in_title {
            self.document.title.get_or_insert_default().push_str(text);
        } else if let Some(table) = self.tables.last_mut() {
            if let Some(cell) = &mut table.cell {
                cell.text.push_str(&text.replace('\n', " "));
            }
        } else if self.in_pre {
            self.preformatted(text, line);
        } else {
            self.outside_tables(&text.replace('\n', " "), line);
        }
    }

    /// Text in which line breaks part lines; `line` is that of its end.
    fn preformatted(&mut self, text: &str, line: u32) {
        let breaks = u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX);
        for (number, part) in (line.saturating_sub(breaks)..).zip(text.split('\n')) {
            if number > line.saturating_sub(breaks) {
                self.break_line();
            }
            self.outside_tables(part, number);
        }
    }

    fn outside_tables(&mut self, text: &str, number: u32) {
        match self.lines.last_mut().filter(|last| !last.text.ends_with('\n')) {
            Some(last) => last.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => self.lines.push(Line { number, text: text.to_owned() }),
        }
    }

    /// Ends the line of text or of the open cell.
    fn break_line(&mut self) {
        match self.tables.last_mut() {
            Some(table) => {
                if let Some(cell) = &mut table.cell {
                    cell.text.push('\n');
                }
            }
            None => {
                if let Some(last) = self.lines.last_mut() {
                    last.text.push('\n');
                }
            }
        }
    }

    fn tag(&mut self, tag: &Tag, line: u32) {
        let is_start = tag.kind == TagKind::StartTag;
        if let Some(skipped) = self.skipping.take() {
            let ends = !is_start && *skipped == *tag.name || skipped == "sup" && is_block(&tag.name);
            if !ends || !is_start {
                self.skipping = (!ends).then_some(skipped);
                return;
            }
        }
        match &*tag.name {
            "script" | "style" | "sup" | "svg" | "noscript" | "template" if is_start && !tag.self_closing => {
                self.skipping = Some(tag.name.to_string());
            }
            "title" if self.tables.is_empty() && self.document.items.is_empty() => {
                self.in_title = is_start;
            }
            "table" if is_start => self.open_table(line),
            "table" => self.close_table(),
            "thead" | "tbody" | "tfoot" | "tr" | "td" | "th" => {
                self.table_part(tag, line, is_start);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(&tag.name, line, is_start),
            "pre" => {
                self.close_block(if self.in_pre { BlockKind::Code } else { BlockKind::Prose });
                self.in_pre = is_start;
            }
            "ul" | "ol" => self.close_block(if is_start { BlockKind::Prose } else { BlockKind::List }),
            "br" | "p" | "div" | "li" | "section" | "article" | "dt" | "dd" | "hr" => {
                self.break_line();
            }
            _ => {}
        }
    }

    fn open_table(&mut self, line: u32) {
        if self.tables.len() < DEEPEST_TABLE {
            if self.tables.is_empty() {
                self.close_block(BlockKind::Prose);
            }
            self.tables.push(OpenTable { line, ..OpenTable::default() });
        }
    }

    fn close_table(&mut self) {
        if let Some(mut table) = self.tables.pop() {
            table.close_cell();
            match table.grid.into_table() {
                Ok(grid) if grid.rows.is_empty() => {}
                Ok(grid) => self.document.items.push(Item::Table(grid)),
                Err(why) => self.document.errors.push(Finding::new(table.line, why)),
            }
        }
    }

    fn table_part(&mut self, tag: &Tag, line: u32, is_start: bool) {
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        table.close_cell();
        table.line = line;
        match (&*tag.name, is_start) {
            ("thead", _) => table.in_head = is_start,
            ("tr", true) => table.grid.start_row(line, table.in_head),
            ("td" | "th", true) => {
                table.cell = Some(GridCell {
                    text: String::new(),
                    rows: span(tag, "rowspan"),
                    columns: span(tag, "colspan"),
                    is_header: &*tag.name == "th",
                });
            }
            _ => {}
        }
    }

    fn heading(&mut self, name: &str, line: u32, is_start: bool) {
        if !self.tables.is_empty() {
            return;
        }
        if is_start {
            self.close_block(BlockKind::Prose);
            self.heading = Some((name.bytes().next_back().map_or(1, |digit| digit - b'0'), line));
        } else if let Some((level, line)) = self.heading.take() {
            let text = joined(&std::mem::take(&mut self.lines));
            if level == 1 {
                self.document.title = Some(text.clone());
            }
            self.document.items.push(Item::Heading(Heading { level, text, line }));
        }
    }

    fn close_block(&mut self, kind: BlockKind) {
        let kind = if self.in_pre { BlockKind::Code } else { kind };
        let mut lines = std::mem::take(&mut self.lines);
        for line in &mut lines {
            line.text = line.text.trim().to_owned();
        }
        lines.retain(|line| !line.text.is_empty());
        self.document.items.extend(pipes::items(Block { kind, lines }));
    }

    fn close_everything(&mut self) {
        while !self.tables.is_empty() {
            self.close_table();
        }
        self.close_block(BlockKind::Prose);
        if let Some(title) = &mut self.document.title {
            *title = title.trim().to_owned();
        }
    }
}

impl OpenTable {
    fn close_cell(&mut self) {
        if let Some(cell) = self.cell.take() {
            self.grid.push(cell, self.line);
        }
    }
}

/// Whether an element cannot stand inside a footnote mark: a mark that was never closed ends before it.
fn is_block(name: &str) -> bool {
    matches!(name, "table" | "tr" | "td" | "th" | "p" | "div" | "li" | "br" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

fn span(tag: &Tag, name: &str) -> usize {
    let attribute = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
    attribute.and_then(|attribute| attribute.value.trim().parse().ok()).unwrap_or(1).max(1)
}

fn joined(lines: &[Line]) -> String {
    let text: Vec<_> = lines.iter().map(|line| line.text.trim()).collect();
    text.join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(html: &str) -> Vec<Vec<String>> {
        let tables = read(html, 1).items.into_iter().filter_map(|item| match item {
            Item::Table(table) => Some(table.rows),
            _ => None,
        });
        let show = |rows: Vec<super::super::super::document::Row>| {
            rows.iter().map(|row| format!("{}: {}", row.line, row.cells.join("|"))).collect()
        };
        tables.map(show).collect()
    }

    #[test]
    fn rows_keep_their_lines_and_breaks_part_items() {
        let html = "<h2>SIP</h2>\n<table>\n<tr><th>IP<th>Port</tr>\n<tr><td>192.0.2.1<br/>192.0.2.2</td><td>5060</td>\n</table>";
        assert_eq!(tables(html), [["3: IP|Port", "4: 192.0.2.1\n192.0.2.2|5060"]]);
    }

    #[test]
    fn footnote_marks_and_scripts_are_no_text() {
        let html = "<table><tr><td>192.0.2.1<sup>1</sup></td></tr></table><script>'<table><tr><td>x'</script>";
        assert_eq!(tables(html), [["1: 192.0.2.1"]]);
    }

    #[test]
    fn preformatted_lines_stay_apart_with_their_numbers() {
        let items = read("<p>x</p>\n<pre><code>192.0.2.1\n192.0.2.2\n\nPorts: 5060\n</code></pre>", 1).items;
        let Some(Item::Block(block)) = items.last() else {
            panic!("{items:?}");
        };
        let lines: Vec<_> = block.lines.iter().map(|line| (line.number, line.text.as_str())).collect();
        assert_eq!(lines, [(2, "192.0.2.1"), (3, "192.0.2.2"), (5, "Ports: 5060")]);
    }

    #[test]
    fn entities_are_characters() {
        assert_eq!(
            tables("<table><tr><td>10000&nbsp;&ndash;&#160;20000</td></tr></table>"),
            [["1: 10000\u{a0}–\u{a0}20000"]]
        );
    }

    #[test]
    fn a_footnote_mark_that_is_not_closed_ends_with_its_cell() {
        assert_eq!(tables("<table><tr><td>192.0.2.1<sup>1<td>5060</table>"), [["1: 192.0.2.1|5060"]]);
    }

    #[test]
    fn unclosed_and_nested_markup_ends() {
        let html = "<table><tr><td>".repeat(100_000);
        assert!(read(&html, 1).items.len() <= DEEPEST_TABLE);
    }
}

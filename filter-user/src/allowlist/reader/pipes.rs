//! Tables set with `|` or tabs in lines of plain text, and the lines around them.

use super::super::{
    document::{Block, BlockKind, Item, Line, Row, Table},
    limits::MOST_COLUMNS,
};

/// A number below this, alone before a line, is the line's: no service of SIP's has such a port.
const MOST_SINGLE_NUMBER: u32 = 20;

/// The tables and blocks in the lines of a block.
pub(super) fn items(block: Block) -> Vec<Item> {
    let Block { kind, lines } = block;
    let mut items = Vec::new();
    let mut rest = lines.into_iter().peekable();
    while let Some(line) = rest.next() {
        let Some(separator) = Separator::of(&line.text) else {
            push_line(&mut items, kind, line);
            continue;
        };
        let mut run = vec![line];
        while let Some(next) = rest.next_if(|next| Separator::of(&next.text) == Some(separator)) {
            run.push(next);
        }
        if let Some(lines) = without_numbers(&run, separator) {
            for line in lines {
                push_line(&mut items, kind, line);
            }
        } else if is_table(&run, kind) {
            items.push(Item::Table(table(&run, separator)));
        } else {
            for line in run {
                push_line(&mut items, kind, line);
            }
        }
    }
    items
}

/// The lines of a page that numbers its lines, `1⇥192.0.2.1`; nothing where the first cells do not count.
pub(super) fn without_numbers(run: &[Line], separator: Separator) -> Option<Vec<Line>> {
    let mut lines = Vec::with_capacity(run.len());
    let mut last = None;
    for line in run {
        let cells = separator.cells(&line.text);
        let [number, text] = <[String; 2]>::try_from(cells).ok()?;
        let number: u32 = number.parse().ok()?;
        if last.is_some_and(|last| number != last + 1) {
            return None;
        }
        last = Some(number);
        lines.push(Line { number: line.number, text });
    }
    (lines.len() > 1 || last.is_some_and(|last| last < MOST_SINGLE_NUMBER)).then_some(lines)
}

/// Whether lines with separators make a table; in running text only a line of dashes shows it.
fn is_table(run: &[Line], kind: BlockKind) -> bool {
    kind == BlockKind::Code && run.len() > 1 || run.iter().any(|line| is_rule(&line.text))
}

fn push_line(items: &mut Vec<Item>, kind: BlockKind, line: Line) {
    if line.text.trim().is_empty() {
        return;
    }
    match items.last_mut() {
        Some(Item::Block(block)) => block.lines.push(line),
        _ => items.push(Item::Block(Block { kind, lines: vec![line] })),
    }
}

/// What separates the cells of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Separator {
    Pipe,
    Tab,
}

impl Separator {
    /// The separator of `line`, if it is a row of a table.
    pub(super) fn of(line: &str) -> Option<Self> {
        if line.contains('|') {
            Some(Self::Pipe)
        } else if line.trim().contains('\t') {
            Some(Self::Tab)
        } else {
            None
        }
    }

    /// The cells of `line`.
    pub(super) fn cells(self, line: &str) -> Vec<String> {
        let cells = match self {
            Self::Pipe => split_pipes(line),
            Self::Tab => line.split('\t').map(str::to_owned).collect(),
        };
        cells.iter().map(|cell| with_breaks(cell.trim())).collect()
    }
}

/// Splits at `|` except where a backslash escapes it; outer pipes bound no cell.
fn split_pipes(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').filter(|rest| !rest.ends_with('\\')).unwrap_or(line);
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for character in line.chars() {
        match (character, cells.last_mut()) {
            ('|', _) if !escaped => cells.push(String::new()),
            (other, Some(cell)) => cell.push(other),
            (_, None) => {}
        }
        escaped = character == '\\' && !escaped;
    }
    cells
}

/// Whether a row begins with a pipe; in a table whose rows do not, that is an empty first cell.
pub(super) fn begins_with_pipe(line: &str) -> bool {
    line.trim_start().starts_with('|')
}

fn with_breaks(cell: &str) -> String {
    let mut cell = cell.to_owned();
    for tag in ["<br>", "<br/>", "<br />", "<BR>"] {
        cell = cell.replace(tag, "\n");
    }
    cell
}

/// The table that consecutive lines make; a line of dashes marks what stands above it as headers.
pub(super) fn table(lines: &[Line], separator: Separator) -> Table {
    let mut table = Table::default();
    let begins_with_pipe = lines.first().is_some_and(|line| begins_with_pipe(&line.text));
    for line in lines {
        if is_rule(&line.text) {
            if table.header_rows == 0 {
                table.header_rows = table.rows.len();
            }
            continue;
        }
        let mut cells = separator.cells(&line.text);
        if separator == Separator::Pipe && !begins_with_pipe && self::begins_with_pipe(&line.text) {
            cells.insert(0, String::new());
        }
        table.rows.push(Row { line: line.number, cells, note: None });
    }
    let columns = table.rows.first().map_or(0, |row| row.cells.len().min(MOST_COLUMNS));
    for row in table.rows.iter_mut().filter(|row| row.cells.len() < columns) {
        row.cells.resize(columns, String::new());
    }
    table
}

/// Whether `line` is a delimiter, `---|:---:|---`.
fn is_rule(line: &str) -> bool {
    line.contains("--") && line.chars().all(|character| " \t|:-+".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_split_at_unescaped_pipes() {
        for (line, expected) in [
            ("| a | b |", vec!["a", "b"]),
            ("a | b |", vec!["a", "b"]),
            ("a | | c", vec!["a", "", "c"]),
            ("| a \\| b | c |", vec!["a \\| b", "c"]),
            ("| a<br />b |", vec!["a\nb"]),
        ] {
            assert_eq!(Separator::Pipe.cells(line), expected, "{line}");
        }
    }

    #[test]
    fn rows_above_the_line_of_dashes_are_headers() {
        let lines: Vec<_> = (1..)
            .zip(["a | b |", "---|---|", "1 | 2 |"])
            .map(|(number, text)| Line { number, text: text.to_owned() })
            .collect();
        let table = table(&lines, Separator::Pipe);
        assert_eq!((table.header_rows, table.rows.len(), table.rows[1].line), (1, 2, 3));
    }
}

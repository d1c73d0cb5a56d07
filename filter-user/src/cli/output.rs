//! What commands print: data on stdout.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Prints data as JSON, on one line.
pub(crate) fn json(data: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string(data)?)
}

/// Prints a line of data.
pub(crate) fn line(text: &str) -> Result<()> {
    print(&format!("{text}\n"))
}

/// Prints data; a reader that went away ends the command in peace.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// Text of somebody else that does nothing to a terminal: what would move the cursor, colour it or turn it is escaped.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().fold(String::new(), |mut harmless, c| {
        if is_harmless(c) {
            harmless.push(c);
        } else {
            harmless.extend(c.escape_default());
        }
        harmless
    })
}

/// Whether a character is no control, and nothing that turns the direction of text (Unicode, UAX 9).
fn is_harmless(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same of several lines; all but the first are indented.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n  ")
}

/// A table with these headings, for people.
pub(crate) fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    table
}

/// Lets the columns from `first` on hold numbers.
pub(crate) fn numbers_from(table: &mut Table, first: usize) {
    for column in table.column_iter_mut().skip(first) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Lets one column hold numbers.
pub(crate) fn numbers_in(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// So many of something, for people.
pub(crate) fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// A rate for people, in five characters or so: `0`, `0.3`, `12`, `999`, `1.2k`, `3.4M`.
pub(crate) fn quantity(number: f64) -> String {
    let (scaled, unit) = match number {
        small if small < 999.5 => (small, ""),
        thousands if thousands < 999_500.0 => (thousands / 1e3, "k"),
        millions if millions < 999_500_000.0 => (millions / 1e6, "M"),
        more => (more / 1e9, "G"),
    };
    if scaled < 0.05 {
        "0".to_owned()
    } else if scaled < 9.95 {
        let text = format!("{scaled:.1}");
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    } else {
        format!("{scaled:.0}{unit}")
    }
}

/// A part of a whole, in percent.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share has no 53 bits that matter")]
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        0.0 => "0 %".to_owned(),
        little if little < 0.05 => "<0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{9b}\n→"), "a\\u{1b}[2Jb\\u{9b}\\n→");
        assert_eq!(harmless("a\u{202e}b\u{2067}ü"), "a\\u{202e}b\\u{2067}ü");
    }

    #[test]
    fn rates_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.333, "0.3"),
            (1.0, "1"),
            (9.96, "10"),
            (999.4, "999"),
            (999.5, "1k"),
            (1234.0, "1.2k"),
            (56_789.0, "57k"),
            (999_499.0, "999k"),
            (999_500.0, "1M"),
            (1_250_000_000.0, "1.2G"),
        ] {
            assert_eq!(quantity(number), text, "{number}");
        }
    }

    #[test]
    fn shares_are_percent_and_little_is_not_nothing() {
        for (part, whole, text) in
            [(0, 0, "-"), (0, 5, "0 %"), (1, 1_000_000, "<0.1 %"), (1, 3, "33.3 %"), (5, 5, "100.0 %")]
        {
            assert_eq!(share(part, whole), text, "{part} of {whole}");
        }
    }
}

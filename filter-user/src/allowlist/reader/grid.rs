//! Lays the cells of an HTML table out on a grid, with `rowspan` and `colspan` filled in.

use super::super::{
    document::{Row, Table},
    limits::{MOST_COLUMNS, MOST_REPEATED_TEXT},
    problem::{Fault, Misread},
};

/// A table as its cells come.
#[derive(Debug, Default)]
pub(super) struct Grid {
    rows: Vec<GridRow>,
}

#[derive(Debug, Default)]
struct GridRow {
    line: u32,
    is_header: bool,
    cells: Vec<GridCell>,
}

/// A cell with its spans, each at least 1.
#[derive(Debug, Default)]
pub(super) struct GridCell {
    pub(super) text: String,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) is_header: bool,
}

impl Grid {
    /// Begins a row.
    pub(super) fn start_row(&mut self, line: u32, is_header: bool) {
        self.rows.push(GridRow { line, is_header, cells: Vec::new() });
    }

    /// Adds a cell to the last row, or to a row of its own where none was begun.
    pub(super) fn push(&mut self, cell: GridCell, line: u32) {
        if self.rows.is_empty() {
            self.start_row(line, false);
        }
        if let Some(row) = self.rows.last_mut() {
            row.cells.push(cell);
        }
    }

    /// The table, its leading rows of headers counted.
    ///
    /// # Errors
    /// If its spans repeat more text than any provider's table holds.
    pub(super) fn into_table(self) -> Result<Table, Misread> {
        let mut table = Table::default();
        let mut layout = Layout { hanging: Vec::new(), budget: MOST_REPEATED_TEXT };
        for row in self.rows {
            let is_header = row.is_header || row.cells.iter().all(|cell| cell.is_header);
            let cells = layout.lay_out(row.cells);
            if cells.is_empty() {
                continue;
            }
            if is_header && table.header_rows == table.rows.len() {
                table.header_rows += 1;
            }
            table.rows.push(Row { line: row.line, cells, note: None });
        }
        if layout.budget == 0 {
            return Err(Fault::TooMuchRepeated.of("the cells of a table span too much of it"));
        }
        Ok(table)
    }
}

/// Lays rows out one under the other.
struct Layout {
    /// For each column, the text that reaches down from above and for how many more rows.
    hanging: Vec<(String, usize)>,
    /// How much text spans may still repeat, in bytes.
    budget: usize,
}

impl Layout {
    /// The texts of a row, column by column: those that hang down from above keep their places.
    fn lay_out(&mut self, cells: Vec<GridCell>) -> Vec<String> {
        let mut texts = Vec::new();
        let mut cells = cells.into_iter();
        // One column more than a table may have, so that too wide a table shows.
        while texts.len() <= MOST_COLUMNS {
            let column = texts.len();
            if let Some(text) = self.hanging_at(column) {
                texts.push(text);
            } else if let Some(cell) = cells.next() {
                for _ in 0..cell.columns.min(MOST_COLUMNS + 1 - column) {
                    self.hang(texts.len(), &cell);
                    texts.push(self.repeated(&cell.text));
                }
            } else if self.hanging.iter().skip(column).any(|(_, left)| *left > 0) {
                texts.push(String::new());
            } else {
                break;
            }
        }
        texts
    }

    fn hanging_at(&mut self, column: usize) -> Option<String> {
        let (text, left) = self.hanging.get_mut(column).filter(|(_, left)| *left > 0)?;
        *left -= 1;
        let text = text.clone();
        Some(self.repeated(&text))
    }

    /// A copy of `text`, or nothing once the copies are too many.
    fn repeated(&mut self, text: &str) -> String {
        self.budget = self.budget.saturating_sub(text.len());
        if self.budget == 0 { String::new() } else { text.to_owned() }
    }

    fn hang(&mut self, column: usize, cell: &GridCell) {
        if self.hanging.len() <= column {
            self.hanging.resize(column + 1, (String::new(), 0));
        }
        let rows = cell.rows.saturating_sub(1);
        let text = if rows > 0 { self.repeated(&cell.text) } else { String::new() };
        self.hanging[column] = (text, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str, rows: usize, columns: usize) -> GridCell {
        GridCell { text: text.to_owned(), rows, columns, is_header: false }
    }

    #[test]
    fn spans_are_filled_in() {
        let mut grid = Grid::default();
        grid.start_row(1, true);
        grid.push(cell("service", 1, 1), 1);
        grid.push(cell("remote", 1, 2), 1);
        grid.start_row(2, false);
        grid.push(cell("sip", 2, 1), 2);
        grid.push(cell("192.0.2.1", 1, 1), 2);
        grid.push(cell("5060", 1, 1), 2);
        grid.start_row(3, false);
        grid.push(cell("192.0.2.2", 1, 1), 3);
        grid.push(cell("5061", 1, 1), 3);
        let table = grid.into_table().unwrap();
        let cells: Vec<_> = table.rows.iter().map(|row| row.cells.join(" ")).collect();
        assert_eq!(cells, ["service remote remote", "sip 192.0.2.1 5060", "sip 192.0.2.2 5061"]);
        assert_eq!(table.header_rows, 1);
    }

    #[test]
    fn an_enormous_span_ends_beyond_the_widest_table() {
        let mut grid = Grid::default();
        grid.start_row(1, false);
        grid.push(cell("x", usize::MAX, usize::MAX), 1);
        assert_eq!(grid.into_table().unwrap().rows[0].cells.len(), MOST_COLUMNS + 1);
    }
}

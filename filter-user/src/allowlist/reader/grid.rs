//! Lays the cells of an HTML table out on a grid, with `rowspan` and `colspan` filled in.

use super::super::document::{Row, Table};

/// More columns than any table of rules has: wider spans are cut.
const MOST_COLUMNS: usize = 64;

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
    pub(super) fn into_table(self) -> Table {
        let mut rows = Vec::with_capacity(self.rows.len());
        let mut header_rows = 0;
        // For each column, the text that reaches down from above and for how many more rows.
        let mut hanging: Vec<(String, usize)> = Vec::new();
        for row in self.rows {
            let is_header = row.is_header || row.cells.iter().all(|cell| cell.is_header);
            let cells = lay_out(row.cells, &mut hanging);
            if cells.is_empty() {
                continue;
            }
            if is_header && header_rows == rows.len() {
                header_rows += 1;
            }
            rows.push(Row { line: row.line, cells, note: None });
        }
        Table { header_rows, rows, is_data: false, is_bare: false }
    }
}

/// The texts of a row, column by column: those that hang down from above keep their places.
fn lay_out(cells: Vec<GridCell>, hanging: &mut Vec<(String, usize)>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut cells = cells.into_iter();
    while texts.len() < MOST_COLUMNS {
        let column = texts.len();
        if let Some((text, left)) = hanging.get_mut(column).filter(|(_, left)| *left > 0) {
            *left -= 1;
            texts.push(text.clone());
        } else if let Some(cell) = cells.next() {
            for _ in 0..cell.columns.min(MOST_COLUMNS - column) {
                hang(hanging, texts.len(), &cell);
                texts.push(cell.text.clone());
            }
        } else if hanging.iter().skip(column).any(|(_, left)| *left > 0) {
            texts.push(String::new());
        } else {
            break;
        }
    }
    texts
}

fn hang(hanging: &mut Vec<(String, usize)>, column: usize, cell: &GridCell) {
    if hanging.len() <= column {
        hanging.resize(column + 1, (String::new(), 0));
    }
    hanging[column] = (cell.text.clone(), cell.rows.saturating_sub(1));
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
        let table = grid.into_table();
        let cells: Vec<_> = table.rows.iter().map(|row| row.cells.join(" ")).collect();
        assert_eq!(cells, ["service remote remote", "sip 192.0.2.1 5060", "sip 192.0.2.2 5061"]);
        assert_eq!(table.header_rows, 1);
    }

    #[test]
    fn an_enormous_span_is_cut() {
        let mut grid = Grid::default();
        grid.start_row(1, false);
        grid.push(cell("x", usize::MAX, usize::MAX), 1);
        assert_eq!(grid.into_table().rows[0].cells.len(), MOST_COLUMNS);
    }
}

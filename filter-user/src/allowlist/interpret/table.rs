//! Walks a table from top to bottom: headers, headings inside it, cells that stand for those above.

use super::{
    super::{
        document::{Row, Table},
        limits::{MOST_COLUMNS, MOST_REPEATED_TEXT},
        problem::{Fault, Misread},
        words::tidy,
    },
    columns::{Columns, Role, is_addresses, is_header, is_ports},
    fields::Fields,
    protocols::Kinds,
};

/// A longer text alone in a row is a remark, not a heading, in bytes.
const LONGEST_TITLE: usize = 60;

/// The rows of a table that hold rules; none where the table is about something else.
///
/// # Errors
/// If the table is larger than any that a provider publishes.
pub(crate) fn rows_of(table: &Table) -> Result<Vec<Fields>, Misread> {
    if table.rows.iter().any(|row| row.cells.len() > MOST_COLUMNS) {
        let message = format!("a table with more than {MOST_COLUMNS} columns is not read");
        return Err(Fault::TooManyColumns.of(message));
    }
    let cells: Vec<_> = table.rows.iter().map(tidied).collect();
    let columns = columns_of(table, &cells);
    let is_about_rules = columns.has_addresses() || columns.has(Role::Port) && columns.has(Role::Protocol);
    if !is_about_rules {
        return Ok(Vec::new());
    }
    let mut walk = Walk {
        table,
        columns,
        above: Above::Header,
        group: String::new(),
        waiting_regions: None,
        rows: Vec::new(),
        budget: MOST_REPEATED_TEXT,
    };
    for (index, (row, cells)) in table.rows.iter().zip(&cells).enumerate() {
        walk.take(index, row, cells);
    }
    if walk.budget == 0 {
        return Err(Fault::TooMuchRepeated.of("too much of a table stands for the cells above"));
    }
    Ok(walk.rows)
}

fn tidied(row: &Row) -> Vec<String> {
    row.cells.iter().map(|cell| tidy(cell)).collect()
}

/// The columns by the headers at the top, and where those say nothing, by the cells.
fn columns_of(table: &Table, cells: &[Vec<String>]) -> Columns {
    let mut columns = Columns::default();
    for row in cells.iter().take(table.header_rows.max(1)) {
        if table.header_rows > 0 || is_header(row) {
            columns.add_header(row);
        }
    }
    let body: Vec<_> = cells.iter().skip(table.header_rows).filter(|row| !is_header(row)).cloned().collect();
    columns.complete_from(&body);
    columns
}

/// What stands over a row.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Above {
    /// A header: another header below joins it.
    Header,
    /// A heading inside the table: a header below it stands under it.
    Title,
    Data,
}

struct Walk<'a> {
    table: &'a Table,
    columns: Columns,
    above: Above,
    /// The heading inside the table.
    group: String,
    /// Region cells of rows that hold nothing else, with the line of the first: the row below continues them.
    waiting_regions: Option<(u32, Vec<String>)>,
    rows: Vec<Fields>,
    /// How much text rows may still take over from those above, in bytes.
    budget: usize,
}

impl Walk<'_> {
    fn take(&mut self, index: usize, row: &Row, cells: &[String]) {
        if cells.iter().all(String::is_empty) {
            return;
        }
        if index < self.table.header_rows || is_header(cells) {
            self.take_header(index, cells);
        } else if let Some(title) = title_of(cells) {
            self.take_title(row.line, title, cells);
        } else {
            self.take_data(row, cells);
        }
    }

    /// Headers at the top are known already; one in the body begins the table anew.
    fn take_header(&mut self, index: usize, cells: &[String]) {
        match self.above {
            Above::Header if index < self.table.header_rows => {}
            Above::Header => self.columns.add_header(cells),
            Above::Title => self.columns = Columns::under(cells),
            Above::Data => {
                self.columns = Columns::under(cells);
                self.group.clear();
            }
        }
        self.above = Above::Header;
    }

    /// A text alone in a row is a heading inside the table, or in a region column one of the regions of the row below.
    fn take_title(&mut self, line: u32, title: &str, cells: &[String]) {
        self.above = Above::Data;
        let is_region = self.columns.cells(cells, Role::Region).any(|cell| cell == title);
        if is_region && Kinds::of_text(title).is_empty() {
            let (_, regions) = self.waiting_regions.get_or_insert((line, Vec::new()));
            regions.push(title.to_owned());
        } else if title.len() <= LONGEST_TITLE {
            title.clone_into(&mut self.group);
            self.above = Above::Title;
        }
    }

    fn take_data(&mut self, row: &Row, cells: &[String]) {
        self.above = Above::Data;
        let mut fields = Fields::of_row(row, cells, &self.columns);
        fields.group.clone_from(&self.group);
        fields.is_bare = self.table.is_bare;
        self.continue_regions(&mut fields);
        let above = self.rows.last().filter(|above| above.group == fields.group);
        if let Some(above) = above.filter(|_| !self.table.is_data) {
            self.budget = self.budget.saturating_sub(above.weight());
            if self.budget > 0 {
                fields.inherit(above);
            }
        }
        self.rows.push(fields);
    }

    /// Puts the regions of the rows above before those of a row; a row with regions of its own begins with theirs.
    fn continue_regions(&mut self, fields: &mut Fields) {
        if let Some((line, mut regions)) = self.waiting_regions.take() {
            if !fields.regions.is_empty() {
                fields.line = line;
            }
            regions.append(&mut fields.regions);
            fields.regions = vec![regions.join("\n")];
        }
    }
}

/// The text of a row that holds one text and no data.
fn title_of(cells: &[String]) -> Option<&str> {
    let mut stated = cells.iter().filter(|cell| !cell.is_empty());
    let first = stated.next()?;
    let is_alone = stated.all(|cell| cell == first) && cells.len() > 1;
    (is_alone && !is_addresses(first) && !is_ports(first)).then_some(first.as_str())
}

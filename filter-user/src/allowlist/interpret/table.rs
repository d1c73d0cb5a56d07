//! Walks a table from top to bottom: headers, headings inside it, cells that stand for those above.

use super::{
    super::{
        document::{Note, Row, Table},
        limits::{MOST_COLUMNS, MOST_REPEATED_TEXT},
        problem::{Fault, Misread},
        words::{shorten, tidy},
    },
    columns::{Columns, is_addresses, is_header, is_ports},
    fields::Fields,
    protocols::Kinds,
    role::Role,
};

/// The longest piece of a row that a message quotes, in characters.
const QUOTE: usize = 80;

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
        } else if let Some(title) = title_of(cells).filter(|title| !self.columns.understands(cells, title)) {
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

    /// Takes a row of data: one rule, or several side by side.
    fn take_data(&mut self, row: &Row, cells: &[String]) {
        self.above = Above::Data;
        if let Some(cell) = self.columns.out_of_place(cells) {
            let message = format!("no header says what `{cell}` is (row `{}`)", shorten(&cells.join(" | "), QUOTE));
            let note = Some(Note::Refuse(Fault::OutOfPlace.of(message)));
            return self.rows.push(Fields { note, ..Fields::of_row(row, cells, &self.columns) });
        }
        let (line, regions) = self.regions_of(row, cells);
        for facet in self.columns.facets() {
            let mut fields = Fields::of_row(row, cells, &facet.columns);
            (fields.facet, fields.shares_ports) = (facet.kinds, facet.shares_ports);
            (fields.line, fields.regions) = (line, regions.clone());
            fields.group.clone_from(&self.group);
            fields.is_bare = self.table.is_bare;
            if !self.table.is_data {
                inherit(&mut fields, &self.rows, &mut self.budget);
            }
            self.rows.push(fields);
        }
    }

    /// The first line of a row and its regions, after those of the rows above that it continues; a row with regions of
    /// its own begins with theirs.
    fn regions_of(&mut self, row: &Row, cells: &[String]) -> (u32, Vec<String>) {
        let own = self.columns.cells(cells, Role::Region).filter(|cell| !cell.is_empty());
        let mut own: Vec<_> = own.map(str::to_owned).collect();
        let Some((line, mut regions)) = self.waiting_regions.take() else {
            return (row.line, own);
        };
        let line = if own.is_empty() { row.line } else { line };
        regions.append(&mut own);
        (line, vec![regions.join("\n")])
    }
}

/// The most rules that stand side by side: each has a column of its own.
const MOST_FACETS: usize = MOST_COLUMNS;

/// Fills what a rule leaves empty from the nearest rule of its kind above it, in the same group.
fn inherit(fields: &mut Fields, rows: &[Fields], budget: &mut usize) {
    let mut above = rows.iter().rev().take(MOST_FACETS);
    if let Some(above) = above.find(|above| above.facet == fields.facet).filter(|above| above.group == fields.group) {
        *budget = budget.saturating_sub(above.weight());
        if *budget > 0 {
            fields.inherit(above);
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

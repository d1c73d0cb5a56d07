//! The rows of a table with each cell under what it means.

use super::{
    super::{
        document::{Row, Table},
        words::tidy,
    },
    columns::{Columns, Role, is_addresses, is_header, is_ports},
};

/// A row of a table: the text of its cells by meaning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Fields {
    /// The first line of the row.
    pub(crate) line: u32,
    /// What the row is about: the cells of its label columns.
    pub(crate) labels: Vec<String>,
    /// The row in the body that stands as a heading over this one.
    pub(crate) group: String,
    /// The headers over the label and region columns.
    pub(crate) headers: String,
    pub(crate) protocol: String,
    pub(crate) source_address: String,
    pub(crate) source_port: String,
    pub(crate) destination_address: String,
    /// Addresses of which the header does not say whose they are.
    pub(crate) address: String,
    pub(crate) port: String,
    pub(crate) regions: Vec<String>,
    pub(crate) direction: String,
    /// The row as it stands, for messages.
    pub(crate) text: String,
}

/// The rows of a table that hold rules; none where the table is about something else.
pub(crate) fn rows_of(table: &Table) -> Vec<Fields> {
    let mut walk = Walk::new(table);
    for (index, row) in table.rows.iter().enumerate() {
        let cells: Vec<_> = row.cells.iter().map(|cell| tidy(cell)).collect();
        walk.take(index, row, &cells);
    }
    walk.rows
}

struct Walk {
    header_rows: usize,
    columns: Columns,
    /// Whether the row before was a header: another header below it joins it.
    under_header: bool,
    group: String,
    rows: Vec<Fields>,
    is_about_rules: bool,
}

impl Walk {
    fn new(table: &Table) -> Self {
        let tidied = |row: &Row| row.cells.iter().map(|cell| tidy(cell)).collect::<Vec<_>>();
        let body: Vec<_> =
            table.rows.iter().skip(table.header_rows).map(tidied).filter(|row| !is_header(row)).collect();
        let mut columns = Columns::default();
        for row in table.rows.iter().take(table.header_rows.max(1)).map(tidied) {
            if table.header_rows > 0 || is_header(&row) {
                columns.add_header(&row);
            }
        }
        columns.complete_from(&body);
        Self {
            header_rows: table.header_rows,
            is_about_rules: columns.has_addresses(),
            columns,
            under_header: true,
            group: String::new(),
            rows: Vec::new(),
        }
    }

    fn take(&mut self, index: usize, row: &Row, cells: &[String]) {
        if cells.iter().all(String::is_empty) || !self.is_about_rules {
            return;
        }
        if index < self.header_rows || is_header(cells) {
            self.take_header(index, cells);
        } else if let Some(title) = title_of(cells) {
            title.clone_into(&mut self.group);
            self.under_header = false;
        } else {
            self.under_header = false;
            let fields = self.fields(row.line, cells);
            self.rows.push(fields);
        }
    }

    /// Headers at the top are known already; one in the body begins the table anew.
    fn take_header(&mut self, index: usize, cells: &[String]) {
        if self.under_header {
            if index >= self.header_rows {
                self.columns.add_header(cells);
            }
        } else {
            self.columns = Columns::under(cells);
            self.group.clear();
        }
        self.under_header = true;
    }

    fn fields(&self, line: u32, cells: &[String]) -> Fields {
        let texts = |role| {
            self.columns.cells(cells, role).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let joined = |role| texts(role).join("\n");
        let headers = self.columns.headers(Role::Label).chain(self.columns.headers(Role::Region));
        let mut fields = Fields {
            line,
            labels: texts(Role::Label),
            group: self.group.clone(),
            headers: headers.collect::<Vec<_>>().join(" "),
            protocol: joined(Role::Protocol),
            source_address: joined(Role::SourceAddress),
            source_port: joined(Role::SourcePort),
            destination_address: joined(Role::DestinationAddress),
            address: joined(Role::Address),
            port: joined(Role::Port),
            regions: texts(Role::Region),
            direction: joined(Role::Direction),
            text: cells.join(" | "),
        };
        self.inherit(&mut fields);
        fields
    }

    /// Fills empty cells from the row above, within a component: a new label begins a new one.
    fn inherit(&self, fields: &mut Fields) {
        let Some(above) = self.rows.last().filter(|above| above.group == fields.group) else {
            return;
        };
        let is_new = !fields.labels.is_empty() && fields.labels != above.labels;
        if is_new {
            return;
        }
        fields.labels.clone_from(&above.labels);
        let pairs = [
            (&mut fields.protocol, &above.protocol),
            (&mut fields.port, &above.port),
            (&mut fields.destination_address, &above.destination_address),
            (&mut fields.address, &above.address),
            (&mut fields.source_address, &above.source_address),
            (&mut fields.direction, &above.direction),
        ];
        for (cell, above) in pairs {
            if cell.is_empty() {
                cell.clone_from(above);
            }
        }
        if fields.regions.is_empty() {
            fields.regions.clone_from(&above.regions);
        }
    }
}

/// The text of a row that holds one text and no data: a heading inside the table.
fn title_of(cells: &[String]) -> Option<&str> {
    let mut stated = cells.iter().filter(|cell| !cell.is_empty());
    let first = stated.next()?;
    let is_alone = stated.all(|cell| cell == first) && cells.len() > 1;
    (is_alone && !is_addresses(first) && !is_ports(first)).then_some(first.as_str())
}

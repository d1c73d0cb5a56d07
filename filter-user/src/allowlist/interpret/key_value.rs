//! Turns key/value tables (`IP address | 192.0.2.1` over `Port | 5060`) into tables of rows.

use super::{
    super::{
        document::{Row, Table},
        words::tidy,
    },
    columns::Columns,
    role::Role,
};

/// The same rules with a header row, if the first column of `table` holds what headers say.
pub(crate) fn as_rows(table: &Table) -> Option<Table> {
    let header = table.rows.first().map(cells)?;
    if Columns::under(&header).has_addresses() && role(&header) != Some(Role::Address) {
        return None;
    }
    let rows: Vec<_> = table.rows.iter().filter(|row| role(&cells(row)).is_some()).collect();
    let roles: Vec<_> = rows.iter().filter_map(|row| role(&cells(row))).collect();
    let addresses = roles.iter().any(|role| role.is_address());
    let others = roles.iter().any(|role| matches!(role, Role::Port | Role::Protocol));
    let most = roles.len() * 2 > table.rows.len();
    (addresses && others && most).then(|| transpose(&rows))
}

fn cells(row: &Row) -> Vec<String> {
    row.cells.iter().map(|cell| tidy(cell)).collect()
}

/// What the first cell of a row says that the others hold.
fn role(row: &[String]) -> Option<Role> {
    Role::of_header(row.first()?).filter(|_| row.len() > 1)
}

/// Makes the first column the header; a key that comes again begins another record.
fn transpose(rows: &[&Row]) -> Table {
    let mut table = Table { header_rows: 1, rows: Vec::new(), is_data: false, is_bare: false };
    let mut start = 0;
    for end in 1..=rows.len() {
        let begins_anew = rows.get(end).is_none_or(|row| rows[start..end].iter().any(|above| key(above) == key(row)));
        if begins_anew {
            append(&mut table, &rows[start..end]);
            start = end;
        }
    }
    table
}

fn key(row: &Row) -> String {
    row.cells.first().map(|cell| tidy(cell)).unwrap_or_default()
}

/// Appends one record: its keys as a header, then a row for each column of values.
fn append(table: &mut Table, record: &[&Row]) {
    let line = record.first().map_or(0, |row| row.line);
    let columns = record.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    for column in 0..columns {
        let cells = record.iter().map(|row| row.cells.get(column).cloned().unwrap_or_default());
        table.rows.push(Row { line, cells: cells.collect(), note: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]]) -> Table {
        let row = |(line, cells): (u32, &&[&str])| Row {
            line,
            cells: cells.iter().map(|cell| (*cell).to_owned()).collect(),
            note: None,
        };
        Table { header_rows: 0, rows: (1..).zip(rows).map(row).collect(), is_data: false, is_bare: false }
    }

    #[test]
    fn each_column_of_values_is_a_row() {
        let rows =
            as_rows(&table(&[&["IP address", "192.0.2.1", "192.0.2.2"], &["Port", "5060", "5061"]])).unwrap().rows;
        let cells: Vec<_> = rows.iter().map(|row| row.cells.join(" ")).collect();
        assert_eq!(cells, ["IP address Port", "192.0.2.1 5060", "192.0.2.2 5061"]);
    }

    #[test]
    fn a_key_that_comes_again_begins_another_record() {
        let rows = [&["IP", "192.0.2.1"][..], &["Port", "5060"], &["IP", "192.0.2.2"], &["Port", "5061"]];
        let lines: Vec<_> = as_rows(&table(&rows)).unwrap().rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [1, 1, 3, 3]);
    }

    #[test]
    fn a_table_with_headers_above_is_none() {
        assert_eq!(as_rows(&table(&[&["IP address", "Port"], &["192.0.2.1", "5060"]])), None);
        assert_eq!(as_rows(&table(&[&["Component", "IP address"], &["Gateway", "192.0.2.1"]])), None);
    }
}

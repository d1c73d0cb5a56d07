//! Chooses rows of a table by a column's value, as `--select KEY=VALUE` asks.

use super::super::{
    document::Table,
    words::{fold, tidy},
};

/// The rows that are wanted: for each key, one of its values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Selection(pub(crate) Vec<(String, String)>);

/// A table with the wanted rows alone, and how many were passed over.
pub(crate) struct Sifted {
    pub(crate) table: Table,
    pub(crate) passed: usize,
}

impl Selection {
    /// Takes out the rows of `table` that have a selected key's column but none of its values.
    pub(crate) fn sift(&self, table: &Table) -> Sifted {
        let mut sifted = table.clone();
        let header = table.rows.first().map(|row| row.cells.clone()).unwrap_or_default();
        for (column, name) in header.iter().enumerate() {
            let values = self.values(name);
            if !values.is_empty() {
                let mut index = 0;
                sifted.rows.retain(|row| {
                    index += 1;
                    index <= table.header_rows.max(1)
                        || row.cells.get(column).is_some_and(|cell| values.contains(&key(cell)))
                });
            }
        }
        Sifted { passed: table.rows.len() - sifted.rows.len(), table: sifted }
    }

    fn values(&self, name: &str) -> Vec<String> {
        let selected = self.0.iter().filter(|(selected, _)| key(selected) == key(name));
        selected.map(|(_, value)| key(value)).collect()
    }

    /// A selected key that no table of `tables` has as a column.
    pub(crate) fn unknown_key<'a>(&self, tables: impl Iterator<Item = &'a Table>) -> Option<&str> {
        let mut names = Vec::new();
        for row in tables.filter_map(|table| table.rows.first()) {
            names.extend(row.cells.iter().map(|cell| key(cell)));
        }
        self.0.iter().map(|(selected, _)| selected.as_str()).find(|selected| !names.contains(&key(selected)))
    }
}

/// How keys and values compare: without case, accents and spaces.
fn key(text: &str) -> String {
    fold(&tidy(text)).replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::{super::super::document::Row, *};

    fn table() -> Table {
        let rows = [["CIDR", "Service"], ["192.0.2.0/24", "VOICE"], ["198.51.100.0/24", "mail"]];
        let row = |cells: [&str; 2]| Row { line: 1, cells: cells.map(str::to_owned).to_vec(), note: None };
        Table { header_rows: 1, rows: rows.map(row).to_vec(), is_data: false, is_bare: false }
    }

    fn select(key: &str, value: &str) -> Selection {
        Selection(vec![(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn rows_with_another_value_are_passed_over() {
        let sifted = select("service", "voice").sift(&table());
        assert_eq!((sifted.table.rows.len(), sifted.passed), (2, 1));
        assert_eq!(select("region", "eu").sift(&table()).passed, 0);
    }

    #[test]
    fn a_key_that_is_no_column_is_told() {
        let tables = [table()];
        assert_eq!(select("colour", "red").unknown_key(tables.iter()), Some("colour"));
        assert_eq!(select("service", "voice").unknown_key(tables.iter()), None);
    }
}

//! Documents that derive from the code are what the code says. `UPDATE_EXPECT=1 cargo test -p tests --test docs` rewrites them.

use std::{collections::BTreeSet, fmt::Write as _};

use expect_test::expect_file;
use filter_common::Reason;

#[test]
fn the_table_of_reasons_is_that_of_the_enum() {
    let mut page = String::from(
        "# Reasons\n\n\
         Every packet ends in one of these. The names are those of `sipwall stats` and `sipwall explain`; in monitor mode \
         what would be dropped is counted as `would_drop` under the same name, and passes.\n\n\
         | reason | action | meaning |\n| --- | --- | --- |\n",
    );
    for reason in Reason::ALL {
        writeln!(page, "| `{}` | {} | {} |", reason.name(), reason.action().name(), reason.description())
            .expect("a string takes every write");
    }
    expect_file!["../../docs/reasons.md"].assert_eq(&page);
}

#[test]
fn the_table_of_classes_has_every_reason() {
    let page = include_str!("../../docs/classes.md");
    let named: BTreeSet<_> = page.lines().filter_map(|line| line.rsplit('|').nth(1)).flat_map(backticked).collect();
    let known: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(named, known);
}

/// What stands between backticks in a text.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

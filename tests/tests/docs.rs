//! Documents that derive from the code are what the code says. `UPDATE_EXPECT=1 cargo test -p tests --test docs` rewrites them.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

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

/// What a picture of the documentation may weigh.
const LARGEST: u64 = 150_000;

#[test]
fn every_picture_of_the_documentation_is_there_is_shown_and_is_small() {
    let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let files = |directory: &Path| -> Vec<PathBuf> {
        fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
    };
    let pages = files(docs).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let texts: Vec<_> = pages.map(|page| fs::read_to_string(page).expect("a page")).collect();
    let names = |text: &str| -> Vec<String> {
        let behind = text.split("pictures/").skip(1);
        behind.filter_map(|rest| rest.split([')', '"']).next()).map(str::to_owned).collect()
    };
    let shown: BTreeSet<_> = texts.iter().flat_map(|text| names(text)).collect();
    let kept: BTreeSet<_> = files(&docs.join("pictures"))
        .iter()
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(shown, kept);
    for name in kept {
        let size = fs::metadata(docs.join("pictures").join(&name)).expect("a file").len();
        assert!((1..=LARGEST).contains(&size), "{name} has {size} bytes\nhint: `cargo xtask pictures`");
    }
}

/// What stands between backticks in a text.
fn backticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

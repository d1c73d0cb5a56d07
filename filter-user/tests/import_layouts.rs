//! The same rules in every layout that providers use import to the same entries.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use filter_user::allowlist::{
    Allowlist,
    import::{Options, Source, import},
};

fn layouts() -> Vec<std::path::PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/layouts");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.collect()
}

fn read(path: &Path) -> Allowlist {
    import(&Source::read(path).unwrap(), &Options::default()).allowlist
}

/// The entries without line, section and order: what a filter makes of them.
fn rules(allowlist: &Allowlist) -> Vec<String> {
    let rules = allowlist
        .entries
        .iter()
        .map(|entry| format!("{} {:?} {:?} {:?}", entry.service, entry.protocol, entry.remote, entry.remote_ports));
    let mut rules: Vec<_> = rules.collect();
    rules.sort();
    rules
}

#[test]
fn every_layout_gives_the_entries_of_the_plain_one() {
    let layouts = layouts();
    let plain = layouts.iter().find(|path| path.ends_with("plain.md")).unwrap();
    let expected = rules(&read(plain));
    assert_eq!((expected.len(), layouts.len()), (6, 15));
    for path in layouts {
        let allowlist = read(&path);
        assert_eq!(rules(&allowlist), expected, "{}", path.display());
        assert!(allowlist.errors.is_empty() && allowlist.unenforced.is_empty(), "{}", path.display());
    }
}

#[test]
fn entries_name_the_first_line_of_their_row_or_block() {
    for (name, expected) in [
        ("inherited.md", vec![8, 9, 11, 12, 13]),
        ("combined-ports.md", vec![7, 8, 9]),
        ("key-value.md", vec![7, 14, 20]),
        ("tabs.md", vec![7, 8, 14, 19, 20]),
        ("components.mdx", vec![9, 10, 16, 25, 26]),
        ("blocks.md", vec![6, 12, 17]),
        ("page.html", vec![14, 15, 16, 17, 18]),
        ("html-in-markdown.md", vec![9, 10, 12, 18, 19]),
        ("scraped.txt", vec![5, 9, 10, 11]),
        ("numbered.txt", vec![10, 26, 33, 35]),
    ] {
        let path = layouts().into_iter().find(|path| path.ends_with(name)).unwrap();
        let mut lines: Vec<_> = read(&path).entries.iter().map(|entry| entry.line).collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines, expected, "{name}");
    }
}

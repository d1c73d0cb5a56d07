//! Pages in the layouts of real providers, each with what it must give.
//!
//! `UPDATE_EXPECT=1` writes the expectations anew: read the difference before you keep it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write, fs, path::Path};

use expect_test::expect_file;
use filter_user::allowlist::{
    Allowlist,
    import::{Options, Source, import},
    ports_text,
};

fn show(allowlist: &Allowlist) -> String {
    let mut text = format!("{}: {}\n", allowlist.provider, allowlist.title);
    for entry in &allowlist.entries {
        let remote: Vec<_> = entry.remote.iter().map(ToString::to_string).collect();
        let ports = ports_text(&entry.remote_ports);
        let regions = entry.regions.join(", ");
        writeln!(
            text,
            "{}: {}/{} {} [{ports}] {:?} ({regions})",
            entry.line,
            entry.service,
            entry.protocol,
            remote.join(" "),
            entry.section,
        )
        .unwrap();
    }
    for prefix in &allowlist.denied {
        writeln!(text, "denied: {prefix}").unwrap();
    }
    for row in &allowlist.unenforced {
        let ports = ports_text(&row.remote_ports);
        writeln!(text, "{}: not enforced: {}/{} [{ports}]: {}", row.line, row.name, row.protocol, row.why).unwrap();
    }
    for warning in &allowlist.warnings {
        writeln!(text, "{}: warning: {}", warning.line, warning.message).unwrap();
    }
    for error in &allowlist.errors {
        writeln!(text, "{}: error: {}", error.line, error.message).unwrap();
    }
    text
}

#[test]
fn every_page_gives_what_stands_beside_it() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pages");
    let mut pages: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension != "expected"));
    assert!(pages.len() >= 63, "{pages:?}");
    for page in pages {
        let allowlist = import(&Source::read(&page).unwrap(), &Options::default()).allowlist;
        let mut expected = page.clone().into_os_string();
        expected.push(".expected");
        expect_file![Path::new(&expected)].assert_eq(&show(&allowlist));
    }
}

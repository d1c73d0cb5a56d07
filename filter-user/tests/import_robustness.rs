//! Hostile documents: no panic, and time and memory in proportion to the document.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command, time::Duration};

use filter_user::allowlist::import::{Imported, Options, Source, import};
use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

const KORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/provider-docs/kore-us-firewall-rules.md");

/// How long an unoptimised build may take for a hostile document of [`SIZE`]; linear work takes a tenth of it.
const LONGEST: Duration = Duration::from_secs(30);

/// The size of a hostile document, in bytes.
const SIZE: usize = 40_000;

fn read(name: &str, text: String) -> Imported {
    import(&Source { name: name.to_owned(), text }, &Options::default())
}

/// What `task` gives, and the time that a processor worked for it: the machine may be busy with other things.
fn work<T>(task: impl FnOnce() -> T) -> (T, Duration) {
    let begun = worked();
    let done = task();
    (done, worked().saturating_sub(begun))
}

/// How long a processor has worked for this thread.
fn worked() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Imports `start`, then `unit` over and over, in time.
fn check(name: &str, start: &str, unit: &str) {
    check_size(SIZE, name, start, unit);
}

fn check_size(size: usize, name: &str, start: &str, unit: &str) {
    let text = format!("{start}{}", unit.repeat(size / unit.len()));
    let took = work(|| read(name, text)).1;
    assert!(took < LONGEST, "{name}: {start:?} and then {unit:?} over and over took {took:?}");
}

#[test]
fn deeply_nested_documents_are_read_in_time() {
    for (name, start, unit) in [
        ("a.md", "", "> "),
        ("a.md", "", "* "),
        ("a.md", "", "["),
        ("a.md", "", "**"),
        ("a.md", "", "<A title=\"x\">\n"),
        ("a.md", "", "<table><tr><td>"),
        ("a.md", "", "=== \"x\"\n"),
        ("a.html", "", "<div>"),
        ("a.html", "", "<table><tr><td>"),
        ("a.html", "", "<sup>"),
        ("a.json", "", "["),
        ("a.json", "", "{\"a\":"),
        ("a.tf", "a = ", "["),
        ("a.tf", "", "a {\n"),
        ("a.tf", "a = ", "jsonencode("),
        ("a.tf", "a = ", "-"),
        ("a.txt", "", "("),
    ] {
        check(name, start, unit);
    }
}

/// What takes an unoptimised build a second or two if the work grows with the document, and hours if with its square.
#[test]
fn two_megabytes_are_read_in_time_by_every_reader() {
    for (name, start, unit) in [
        ("a.md", "| IP | Port |\n|---|---|\n", "|\n"),
        ("a.md", "", "<table><tr><td>"),
        ("a.html", "", "<table><tr><td>"),
        ("a.json", "", "["),
        ("a.tf", "", "a {\n"),
        ("a.txt", "", "("),
    ] {
        check_size(2_000_000, name, start, unit);
    }
}

#[test]
fn long_and_wide_tables_are_read_in_time() {
    let table = "| IP | Port | Region |\n|---|---|---|\n";
    let html = "<table><tr><th>IP<th>Port";
    for (name, start, unit) in [
        ("a.md", table, "| 3.0.0.1 | 5060 | |\n"),
        ("a.md", table, "|\n"),
        ("a.md", "", "|"),
        ("a.md", "", "|-"),
        ("a.md", "| IP ", "| 3.0.0.1 "),
        ("a.md", "| SIP IP | Media IP | Port |\n|---|---|---|\n", "| 3.0.0.1 | 3.0.0.2 | 5060 |\n"),
        ("a.txt", "", "|"),
        ("a.txt", "IP | Port\n", "3.0.0.1 | 5060\n"),
        ("a.txt", "IP | Port\n", "Port | IP\n"),
        ("a.txt", "IP | Port\n", "x\n"),
        ("a.html", html, "<tr><td rowspan=60000 colspan=60000>3.0.0.1"),
        ("a.html", html, "<tr><td rowspan=60000>3.0.0.1<td>"),
        ("a.json", "[", "{\"cidr\":\"3.0.0.1\"},"),
    ] {
        check(name, start, unit);
    }
    let wide = format!("{}\n{}\n", "|x".repeat(SIZE / 8), "|-".repeat(SIZE / 8));
    check("a.md", &wide, "|\n");
    check("a.txt", &wide, "x|\n");
}

#[test]
fn long_cells_and_lines_are_read_in_time() {
    let cell = "| IP | Port |\n|---|---|\n|";
    for (name, start, unit) in [
        ("a.md", cell, "3.0.0.1 "),
        ("a.md", cell, "3.0.0.1 (3.0.0.1) "),
        ("a.md", cell, "3.0.0.1 ( "),
        ("a.md", cell, "::1-8::2 "),
        ("a.md", "| Port |\n|---|\n|", "1/"),
        ("a.md", "| Port |\n|---|\n|", "UDP "),
        ("a.md", "| Region | IP |\n|---|---|\n|", "a (b) "),
        ("a.txt", "", "_10 3.0.0.1"),
        ("a.txt", "", "3.0.0.1 "),
        ("a.txt", "Ports: ", "1, "),
        ("a.txt", "", "3.0.0.1\n"),
        ("a.txt", "", "3.0.0.1\nPorts: 5060\n"),
        ("a.txt", "", "Ports: 5060\n3.0.0.1\n"),
        ("a.txt", "", "1\t3.0.0.1\n"),
        ("a.md", "", "<li>3.0.0.1\n\n"),
        ("a.md", "", ":::x\n"),
        ("a.md", "", "* 3.0.0.1\n\nPorts: 1\n\n"),
        ("a.txt", "", "North America Virginia Gateways\n3.0.0.1\n"),
    ] {
        check(name, start, unit);
    }
}

#[test]
fn many_different_regions_and_ranges_are_read_in_time() {
    let rows: Vec<_> = (0..2_000).map(|n| format!("| r{n} (a{n}) | 3.{}.{}.1 |\n", n / 250, n % 250)).collect();
    let rows = rows.concat();
    check("a.md", &format!("| Region | IP |\n|---|---|\n{rows}"), "\n");
    let headings: Vec<_> = (0..2_000).map(|n| format!("## Europe {n}\n\n* 3.0.0.1\n\n")).collect();
    let headings = headings.concat();
    check("a.md", &headings, "\n");
    let ranges: Vec<_> = (0..2_000).map(|n| format!("{n:x}::1 - {n:x}:ffff::2\n")).collect();
    let ranges = ranges.concat();
    check("a.txt", &ranges, "\n");
}

#[test]
fn a_tall_cell_that_others_stand_for_is_refused_not_copied_for_ever() {
    let cell = "3.0.0.1 ".repeat(10_000);
    let rows = "| | 5060 |\n".repeat(50_000);
    let page = read("a.md", format!("| IP | Port |\n|---|---|\n| {cell} | 5060 |\n{rows}"));
    assert!(page.allowlist.errors[0].message.contains("stands for the cells above"), "{:?}", page.allowlist.errors);
    let rows = "<tr><td>5060".repeat(50_000);
    let page = read("a.html", format!("<table><tr><th>IP<th>Port<tr><td rowspan=60000>{cell}<td>5060{rows}</table>"));
    assert!(page.allowlist.errors[0].message.contains("span too much"), "{:?}", page.allowlist.errors);
}

#[test]
fn a_document_of_50_megabytes_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.md");
    fs::write(&path, "| a ".repeat(12_500_000)).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_sipwall")).arg("import").arg(&path).output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(stderr.contains("it has more than the 16777216 bytes that such a file may have"), "{stderr}");
}

#[test]
fn what_never_ends_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "[[deny]]\nname = \"abuse\"\nfile = \"/dev/zero\"\n").unwrap();
    let policy = policy.to_str().unwrap();
    for arguments in [
        &["import", "/dev/zero"][..],
        &["allowlists", "show", "/dev/zero"],
        &["check", "/dev/zero"],
        &["check", policy],
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_sipwall")).args(arguments).output().unwrap();
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains("it has more than the ") && stderr.contains("bytes"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_page_of_a_megabyte_is_read_well_within_a_second_of_optimised_code() {
    let page = fs::read_to_string(KORE).unwrap();
    let (imported, took) = work(|| read("kore.md", page.repeat(1_000_000 / page.len())));
    assert!(imported.allowlist.entries.len() > 5_000);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Pieces of documents, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "|",
        "\n",
        " ",
        "---",
        "| IP | Port |\n|---|---|\n",
        "192.0.2.1",
        "/24",
        "-",
        "(",
        ")",
        ",",
        "10,000",
        "5060",
        "UDP",
        "TLS",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "```",
        "=== \"x\"\n",
        "    ",
        "*",
        "`",
        "#",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        "::",
        "_10 ",
        "Ports: ",
        "é",
        "\u{a0}",
        "–",
        "<sup>",
        "trunk_access_acl_allowList",
        "entities",
        "cidr",
    ]);
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_document_makes_the_importer_panic(text in pieces(), kind in 0_usize..5) {
        let name = ["a.md", "a.txt", "a.html", "a.json", "a.tf"][kind];
        read(name, text);
    }

    #[test]
    fn no_text_makes_the_importer_panic(text in any::<String>(), kind in 0_usize..5) {
        let name = ["a.md", "a.txt", "a.html", "a.json", "a.tf"][kind];
        read(name, text);
    }
}

//! How long an import takes: pages of a megabyte in every syntax, and hostile documents of two.
//!
//! `cargo bench -p filter-user --bench import` prints the figures of `docs/import.md`.

use std::{fmt::Write as _, time::Duration};

use filter_user::allowlist::import::{Imported, Options, Source, import};
use rustix::time::{ClockId, clock_gettime};

/// The size of a page, in bytes.
const PAGE: usize = 1_000_000;

/// The size of a hostile document, in bytes.
const HOSTILE: usize = 2_000_000;

/// How often a page is imported; the median counts.
const TIMES: usize = 7;

fn main() {
    println!("| 1 MB of | entries | time |\n| --- | --- | --- |");
    for (name, page) in pages() {
        let source = Source { name: name.to_owned(), text: page };
        let mut times: Vec<_> = (0..TIMES).map(|_| timed(&source).0).collect();
        times.sort_unstable();
        let (_, imported) = timed(&source);
        println!("| `{name}` | {} | {} ms |", imported.allowlist.entries.len(), times[TIMES / 2].as_millis());
    }
    println!("\n| 2 MB, hostile | begins with | and then over and over | time |\n| --- | --- | --- | --- |");
    for (name, start, unit) in HOSTILE_DOCUMENTS {
        let text = format!("{start}{}", unit.repeat(HOSTILE / unit.len()));
        let (time, _) = timed(&Source { name: (*name).to_owned(), text });
        println!("| `{name}` | {start:?} | {unit:?} | {} ms |", time.as_millis());
    }
}

fn timed(source: &Source) -> (Duration, Imported) {
    let begun = worked();
    let imported = import(source, &Options::default());
    (worked().saturating_sub(begun), imported)
}

/// How long a processor has worked for this thread: the machine may be busy with other things.
fn worked() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A page in each syntax: rows of hosts in many networks, under a heading every hundred rows.
fn pages() -> [(&'static str, String); 6] {
    let table = "\n\n| Service | Protocol | IP address | Port |\n|---|---|---|---|\n";
    let html = "<table><tr><th>Service<th>Protocol<th>IP address<th>Port</tr>\n";
    [
        ("page.md", page("## SIP", table, "", |host| format!("| SBC | TCP/UDP | {host} | 5060 |\n"))),
        (
            "page.html",
            page("<h2>SIP</h2>", html, "</table>\n", |host| {
                format!("<tr><td>SBC</td><td>TCP/UDP</td><td>{host}</td><td>5060</td></tr>\n")
            }),
        ),
        (
            "page.txt",
            page("SIP", "\nService\tProtocol\tIP address\tPort\n", "", |host| format!("SBC\tUDP\t{host}\t5060\n")),
        ),
        ("list.txt", page("", "", "", |host| format!("{host}\n"))),
        (
            "ranges.json",
            page("{\"entities\":[", "", "", |host| {
                format!("{{\"cidr\":\"{host}/32\",\"service\":\"audiohook\",\"direction\":\"both\"}},\n")
            }) + "{\"cidr\":\"3.0.0.0/24\",\"direction\":\"both\"}]}",
        ),
        (
            "trunk.tf",
            page("properties = jsonencode({ trunk_access_acl_allowList = { value = { instance = [", "\n", "", |host| {
                format!("\"{host}\",\n")
            }) + "] } } })",
        ),
    ]
}

/// Rows until the page is long enough; only pages that end their tables repeat the headings.
fn page(heading: &str, start: &str, end: &str, row: impl Fn(String) -> String) -> String {
    let mut page = format!("{heading}{start}");
    for number in 0_u32.. {
        if page.len() >= PAGE {
            break;
        }
        if number % 100 == 99 && !end.is_empty() {
            write!(page, "{end}{heading}{number}{start}").unwrap_or_default();
        }
        page.push_str(&row(format!("{}.{}.{}.{}", 3 + number % 5, number >> 14 & 255, number >> 6 & 255, number & 63)));
    }
    page + end
}

/// File name, beginning, and what follows over and over.
const HOSTILE_DOCUMENTS: &[(&str, &str, &str)] = &[
    ("a.md", "", "> "),
    ("a.md", "", "* "),
    ("a.md", "", "["),
    ("a.md", "", "![["),
    ("a.md", "", "[a]("),
    ("a.md", "", "**a "),
    ("a.md", "", "*a_ "),
    ("a.md", "", "`` ` "),
    ("a.md", "", "`a``b"),
    ("a.md", "", "<b>"),
    ("a.md", "", "<a "),
    ("a.md", "", "<!--"),
    ("a.md", "", "&amp"),
    ("a.md", "", "\\"),
    ("a.md", "", "[^a]: x\n\n"),
    ("a.md", "", "# x\n"),
    ("a.md", "", "# x\n\n* 3.0.0.1\n\n"),
    ("a.md", "", "**x**\n\n3.0.0.1\n\n"),
    ("a.md", "", "```\n"),
    ("a.md", "", "<A title=\"x\">\n"),
    ("a.md", "", "<table><tr><td>"),
    ("a.md", "", "<table><tr><td>\n"),
    ("a.md", "", "=== \"x\"\n"),
    ("a.md", "", "=== \"x\"\n    "),
    ("a.md", "", "!!! x\n"),
    ("a.md", "", "| IP | Port |\n|---|---|\n| 3.0.0.1 | 5060 |\n\n"),
    ("a.md", "| IP | Port | Region |\n|---|---|---|\n", "| 3.0.0.1 | 5060 | |\n"),
    ("a.md", "| IP | Port |\n|---|---|\n", "|\n"),
    ("a.md", "| IP | Port |\n|---|---|\n| 3.0.0.1 | 5060 |\n", "| | |\n"),
    ("a.md", "| IP | Port |\n|---|---|\n", "| IP | Port |\n"),
    ("a.md", "| IP | Port |\n|---|---|\n", "| x | |\n"),
    ("a.md", "| Region | IP |\n|---|---|\n", "| x | |\n"),
    ("a.md", "", "|"),
    ("a.md", "", "|-"),
    ("a.md", "", "|\n"),
    ("a.md", "| IP ", "| 3.0.0.1 "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "3.0.0.1 "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "3.0.0.1<br>"),
    ("a.md", "| IP | Port |\n|---|---|\n|", "3.0.0.1 (3.0.0.1) "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "3.0.0.1 ( "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "::1-8::2 "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "a.example.com "),
    ("a.md", "| IP | Port |\n|---|---|\n|", "x "),
    ("a.md", "| IP | Port |\n|---|---|\n| 3.0.0.1 |", "1/"),
    ("a.md", "| IP | Port |\n|---|---|\n| 3.0.0.1 |", "9"),
    ("a.md", "| IP | Port |\n|---|---|\n| 3.0.0.1 |", "UDP "),
    ("a.md", "| IP | Protocol |\n|---|---|\n| 3.0.0.1 |", "UDP("),
    ("a.md", "| Region | IP |\n|---|---|\n|", "a (b) "),
    ("a.md", "| Region | IP |\n|---|---|\n|", "a<br>"),
    ("a.md", "| ", "IP address "),
    ("a.md", "", "<li>3.0.0.1\n\n"),
    ("a.md", "", ":::x\n"),
    ("a.md", "", "* 3.0.0.1\n\nPorts: 1\n\n"),
    ("a.md", "| SIP IP | Media IP | Port |\n|---|---|---|\n", "| 3.0.0.1 | 3.0.0.2 | 5060 |\n"),
    ("a.html", "", "<div>"),
    ("a.html", "", "<table><tr><td>"),
    ("a.html", "", "<table>"),
    ("a.html", "", "<table><tr><td>3.0.0.1</table>"),
    ("a.html", "", "<sup>"),
    ("a.html", "", "<"),
    ("a.html", "", "<a "),
    ("a.html", "<a ", "x=1 "),
    ("a.html", "<a x=\"", "y"),
    ("a.html", "", "<!--"),
    ("a.html", "", "<script>"),
    ("a.html", "", "&#x41;"),
    ("a.html", "", "<h2>x</h2>"),
    ("a.html", "", "<h2>"),
    ("a.html", "", "<br>"),
    ("a.html", "", "<ul><li>3.0.0.1"),
    ("a.html", "", "<pre>3.0.0.1\n"),
    ("a.html", "", "<title>"),
    ("a.html", "<table><tr><th>IP<th>Port", "<tr><td rowspan=60000 colspan=60000>3.0.0.1"),
    ("a.html", "<table><tr><th>IP<th>Port", "<tr><td rowspan=60000>3.0.0.1<td>"),
    ("a.html", "<table><tr><th>IP<th>Port", "<tr>"),
    ("a.html", "<table><tr><th>IP<th>Port<tr>", "<td>"),
    ("a.html", "<table><tr><th>IP<th>Port<tr><td>", "3.0.0.1<br>"),
    ("a.txt", "", "|"),
    ("a.txt", "", "\t"),
    ("a.txt", "IP | Port\n", "3.0.0.1 | 5060\n"),
    ("a.txt", "IP | Port\n", "Port | IP\n"),
    ("a.txt", "IP | Port\n", "x\n"),
    ("a.txt", "IP | Port\n", "x\n\n3.0.0.1 | 5060\n"),
    ("a.txt", "", "("),
    ("a.txt", "", "1\t3.0.0.1\n"),
    ("a.txt", "", "Ports: 1\n3.0.0.1\n"),
    ("a.txt", "", "_10 3.0.0.1"),
    ("a.txt", "", "3.0.0.1 "),
    ("a.txt", "Ports: ", "1, "),
    ("a.txt", "", "Ports: 5060\n"),
    ("a.txt", "", "3.0.0.1\n"),
    ("a.txt", "", "3.0.0.1\nPorts: 5060\n"),
    ("a.txt", "", "North America Virginia Gateways\n3.0.0.1\n"),
    ("a.txt", "", "Heading\n"),
    ("a.txt", "", "a.b"),
    ("a.txt", "", "1.1.1.1-"),
    ("a.txt", "", "[^"),
    ("a.txt", "", "é"),
    ("a.json", "", "["),
    ("a.json", "", "{\"a\":"),
    ("a.json", "[", "{\"cidr\":\"3.0.0.1\"},"),
    ("a.json", "{", "\"a\":1,"),
    ("a.json", "{\"a\":[", "\"3.0.0.1\","),
    ("a.json", "\"", "\\u0041"),
    ("a.tf", "a = ", "["),
    ("a.tf", "", "a {\n"),
    ("a.tf", "", "a {}\n"),
    ("a.tf", "", "a = 1\n"),
    ("a.tf", "a = ", "jsonencode("),
    ("a.tf", "a = ", "-"),
    ("a.tf", "a = ", "1 + "),
    ("a.tf", "a = ", "x ? "),
    ("a.tf", "a = \"", "${"),
    ("a.tf", "a = [", "\"3.0.0.1\","),
];

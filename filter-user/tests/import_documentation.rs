//! `docs/import.md` has every fault, oddity and reason, and its examples earn them with the very message that they quote.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, process::Command};

use filter_user::allowlist::{Fault, Oddity, Why};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../docs/import.md");

/// Examples of these would be longer than the document: [`what_is_too_large_to_quote_has_its_code`] makes them.
const WITHOUT_EXAMPLE: [Fault; 4] =
    [Fault::TooManyPrefixes, Fault::TooManyPorts, Fault::TooManyColumns, Fault::TooMuchRepeated];

/// A documented example: documents, the first of which is said something of.
struct Example {
    code: &'static str,
    select: Option<&'static str>,
    /// The name and text of each document.
    documents: Vec<(String, &'static str)>,
    quote: &'static str,
}

/// What stands between fences, with the ending of the name that the language stands for.
fn documents(text: &'static str) -> Vec<(String, &'static str)> {
    let blocks = text.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap());
    let named = ["first", "second"].into_iter().zip(blocks).map(|(stem, (language, text))| {
        let ending = match language {
            "markdown" => "md",
            "text" => "txt",
            "hcl" => "tf",
            same => same,
        };
        (format!("{stem}.{ending}"), text)
    });
    named.collect()
}

/// The sections of a chapter: code and text.
fn sections(chapter: &str) -> Vec<(&'static str, &'static str)> {
    let text = DOCUMENT.split_once(&format!("\n## {chapter}\n")).unwrap().1;
    let text = text.split("\n## ").next().unwrap();
    text.split("\n#### `").skip(1).map(|section| section.split_once("`\n").unwrap()).collect()
}

fn examples(chapter: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    for (code, text) in sections(chapter) {
        let select = text.split_once("`--select ").map(|(_, rest)| rest.split('`').next().unwrap());
        // Each example ends with the line that it quotes.
        let parts: Vec<_> = text.split("\n> ").collect();
        for pair in parts.windows(2) {
            let quote = pair[1].lines().next().unwrap();
            examples.push(Example { code, select, documents: documents(pair[0]), quote });
        }
    }
    examples
}

/// What `sipwall import --json` prints.
fn import(arguments: &[String]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sipwall")).args(["import", "--json"]).args(arguments).output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

/// What an import of the example says under a key of its JSON, `CODE line LINE: MESSAGE`.
fn said(example: &Example, key: &str) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let select = example.select.iter().map(|select| format!("--select={select}"));
    let mut arguments: Vec<_> = select.collect();
    for (name, text) in &example.documents {
        fs::write(folder.path().join(name), text).unwrap();
        arguments.push(folder.path().join(name).to_str().unwrap().to_owned());
    }
    let json = import(&arguments);
    let path = format!("{}/", folder.path().display());
    json[key].as_array().unwrap().iter().map(|finding| shown(finding).replace(&path, "")).collect()
}

fn shown(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let place = if finding["line"] == 0 { String::new() } else { format!("line {}: ", finding["line"]) };
    if finding["why"].is_string() {
        let why = Why::ALL.iter().find(|why| why.description() == text("why")).unwrap();
        return format!("{} {place}`{}`: {}", why.code(), text("name"), text("why"));
    }
    // Of several documents each message names its own.
    let message = text("message");
    let message = ["first.md: ", "first.txt: "].iter().fold(message, |text, name| {
        text.rfind(name).map_or(text.clone(), |place| text[place + name.len()..].to_owned())
    });
    format!("{} {place}{message}", text("code"))
}

fn check(chapter: &str, key: &str, codes: &[&str], without_example: &[&str]) {
    let documented: Vec<_> = sections(chapter).into_iter().map(|(code, _)| code).collect();
    assert_eq!(documented, codes, "{chapter}");
    let examples = examples(chapter);
    let quoted: BTreeSet<_> = examples.iter().map(|example| example.code).collect();
    for code in codes {
        assert_ne!(quoted.contains(code), without_example.contains(code), "the example of `{code}`");
    }
    for example in examples {
        let (expected, said) = (format!("{} {}", example.code, example.quote), said(&example, key));
        assert!(said.contains(&expected), "{expected}\nis not among {said:#?}\nof {:?}", example.documents);
    }
}

#[test]
fn every_fault_is_documented_and_its_examples_are_refused_for_it() {
    let codes: Vec<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
    let without: Vec<_> = WITHOUT_EXAMPLE.iter().map(|fault| fault.code()).collect();
    check("What a document is refused for", "errors", &codes, &without);
}

#[test]
fn every_warning_is_documented_and_its_examples_earn_it() {
    let codes: Vec<_> = Oddity::ALL.iter().map(|oddity| oddity.code()).collect();
    check("Warnings", "warnings", &codes, &[]);
}

#[test]
fn every_reason_not_to_enforce_is_documented_and_its_examples_have_it() {
    let codes: Vec<_> = Why::ALL.iter().map(|why| why.code()).collect();
    check("What is not enforced", "unenforced", &codes, &[]);
}

#[test]
fn what_is_too_large_to_quote_has_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let json = import(&[path.to_str().unwrap().to_owned()]);
        json["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    };
    let table = |cell: &str| format!("| IP | Port |\n|---|---|\n| {cell} |\n");
    let ranges: Vec<_> = (0..1_000).map(|n| format!("{n:x}::1-{n:x}:ffff::2")).collect();
    assert_eq!(refused("a.md", &table(&format!("{} | 5060", ranges.join(" ")))), "too-many-prefixes");
    assert_eq!(refused("a.md", &table(&format!("3.0.0.1 | {}", "1, ".repeat(1_001)))), "too-many-ports");
    let columns = "| x ".repeat(65);
    let wide = format!("{columns}\n{}\n{}", "|---".repeat(65), "| 3.0.0.1 ".repeat(65));
    assert_eq!(refused("a.md", &wide), "too-many-columns");
    let cell = "3.0.0.1 ".repeat(10_000);
    let rows = "<tr><td>5060".repeat(1_000);
    let tall = format!("<table><tr><th>IP<th>Port<tr><td rowspan=60000>{cell}<td>5060{rows}</table>");
    assert_eq!(refused("a.html", &tall), "too-much-repeated");
}

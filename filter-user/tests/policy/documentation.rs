//! `docs/policy.md` has every refusal and every lint, and its examples earn them.

use std::collections::BTreeMap;

use filter_user::{
    allowlist::{Allowlist, Fault, Finding, Oddity, Protocol, Service},
    policy::{Code, Lint, Policy},
};

use crate::lab::{allowlist, policy};

const DOCUMENT: &str = include_str!("../../../docs/policy.md");

/// An example of these would be longer than the document; `limits` tests them.
const WITHOUT_EXAMPLE: [Code; 6] = [
    Code::TooManyTerms,
    Code::TooManySourceSets,
    Code::TooManyPortSets,
    Code::TooManyPrefixes,
    Code::TooManyAddresses,
    Code::TooManyDenied,
];

/// The examples under the headings of one chapter, by the code in the heading.
fn examples(chapter: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let text = DOCUMENT.split_once(&format!("\n## {chapter}\n")).unwrap().1;
    let text = text.split("\n## ").next().unwrap();
    let sections = text.split("\n#### `").skip(1).map(|section| section.split_once("`\n").unwrap());
    sections
        .map(|(code, body)| {
            let blocks = body.split("```toml\n").skip(1).map(|block| block.split_once("```").unwrap().0);
            (code, blocks.collect())
        })
        .collect()
}

/// The allowlists that examples name as files.
fn files() -> Vec<Allowlist> {
    let bare = allowlist("bare-addresses.toml", &[(Service::Unspecified, Protocol::Any, &["192.0.2.0/24"], &[])]);
    let media = (Service::Media, Protocol::Udp, &["192.0.2.0/24"] as &[_], &["10000-20000"] as &[_]);
    let mut partial = allowlist("written-with-partial.toml", &[media]);
    partial.errors.push(Finding { code: Fault::BadAddress, line: 7, message: "two cells ran together".to_owned() });
    let mut odd = allowlist("written-with-warnings.toml", &[media]);
    let message = "`192.0.2.0/24` is for documentation (`192.0.2.0/24`)".to_owned();
    odd.warnings.push(Finding { code: Oddity::SpecialPrefix, line: 7, message });
    vec![bare, partial, odd]
}

#[test]
fn every_refusal_is_documented_and_its_examples_are_refused_for_it_with_a_line() {
    let mut examples = examples("What a policy is refused for");
    for code in Code::ALL {
        let examples = examples.remove(code.code()).unwrap_or_else(|| panic!("`{}` is missing", code.code()));
        assert_eq!(examples.is_empty(), WITHOUT_EXAMPLE.contains(code), "{}", code.code());
        for example in examples {
            let refused = policy(example, &files()).and_then(|policy| policy.compile()).err();
            let refused = refused.unwrap_or_else(|| panic!("not refused:\n{example}"));
            assert!(refused.iter().all(|refusal| refusal.code == *code && refusal.line > 0), "{refused}\n{example}");
        }
    }
    assert!(examples.is_empty(), "not refusals: {:?}", examples.keys());
}

#[test]
fn every_lint_is_documented_and_its_examples_earn_it() {
    let mut examples = examples("Lints");
    for lint in Lint::ALL {
        let examples = examples.remove(lint.code()).unwrap_or_else(|| panic!("`{}` is missing", lint.code()));
        assert!(!examples.is_empty(), "{}", lint.code());
        for example in examples {
            let policy = policy(example, &files()).unwrap_or_else(|refusals| panic!("{refusals}\n{example}"));
            assert!(lints(&policy).contains(lint), "{}:\n{example}", lint.code());
        }
    }
    assert!(examples.is_empty(), "not lints: {:?}", examples.keys());
}

fn lints(policy: &Policy) -> Vec<Lint> {
    let compiled = policy.compile().unwrap_or_else(|refusals| panic!("{refusals}"));
    policy.lint(&compiled).iter().map(|advice| advice.lint).collect()
}

//! `sipwall allowlists` at its boundary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{document, sipwall};

#[test]
fn built_in_allowlists_are_listed_with_their_counts() {
    let run = sipwall(&["allowlists", "--json"]);
    let rows = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let shown: Vec<_> = rows.map(|row| format!("{} {}", row["name"], row["prefix_count"])).collect();
    assert_eq!(shown, [r#""kore-us" 14"#, r#""twilio-interconnect" 25"#]);
    let text = sipwall(&["allowlists", "list"]).stdout;
    assert!(text.contains("NAME") && text.contains("kore-us"), "{text}");
}

#[test]
fn show_gives_an_allowlist_with_what_is_not_enforced() {
    let run = sipwall(&["allowlists", "show", "kore-us"]);
    assert_eq!(run.code, 0);
    assert!(run.stdout.contains("168.86.128.0/18") && run.stdout.contains("*.kore.ai"), "{}", run.stdout);
    let json = sipwall(&["allowlists", "show", "--json", "kore-us"]).json();
    assert_eq!(json["entries"].as_array().unwrap().len(), 42);
}

#[test]
fn from_the_text_to_the_markdown_page_twilio_gains_sao_paulo_alone() {
    let text = document("twilio-interconnect.txt");
    for new in [document("twilio-interconnect.md"), "twilio-interconnect".to_owned()] {
        let run = sipwall(&["allowlists", "diff", &text, &new]);
        let expected: Vec<_> = (68..71)
            .flat_map(|host| {
                [("sip-udp udp", 5060), ("sip-tcp tcp", 5060), ("sip-tls tcp", 5061)]
                    .map(|(service, port)| format!("+ 159.183.255.{host}/32 {service} {port}"))
            })
            .collect();
        assert_eq!(
            (run.code, run.stdout.lines().collect::<Vec<_>>()),
            (1, expected.iter().map(String::as_str).collect())
        );
    }
}

#[test]
fn what_is_lost_is_shown_first() {
    let run = sipwall(&["allowlists", "diff", "twilio-interconnect", &document("twilio-interconnect.txt")]);
    assert_eq!((run.code, run.stdout.lines().count()), (1, 9));
    assert!(run.stdout.starts_with("- 159.183.255.68/32 sip-udp udp 5060\n"), "{}", run.stdout);
}

#[test]
fn an_unknown_name_is_wrong_input_with_a_hint() {
    let run = sipwall(&["allowlists", "show", "kore-eu"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("hint: the built-in allowlists are `kore-us`"), "{}", run.stderr);
}

#[test]
fn an_imported_file_is_shown_like_its_document() {
    let folder = tempfile::tempdir().unwrap();
    for extension in ["toml", "json"] {
        let path = folder.path().join(format!("twilio.{extension}"));
        let page = document("twilio-interconnect.md");
        let flags: &[&str] = if extension == "json" { &["import", "--json", &page] } else { &["import", &page] };
        std::fs::write(&path, sipwall(flags).stdout).unwrap();
        let run = sipwall(&["allowlists", "diff", path.to_str().unwrap(), "twilio-interconnect"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    }
}

//! The options of `sipwall import`, and several documents at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;

use support::{document, sipwall};

/// The path of a page among the fixtures.
fn page(name: &str) -> String {
    format!("{}/tests/fixtures/pages/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn strict_takes_warnings_for_errors_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.toml");
    let output = output.to_str().unwrap();
    let page = page("completed.md");
    let written = sipwall(&["import", &page, "-o", output]);
    assert_eq!((written.code, written.stderr.lines().last()), (0, Some(&*format!("`{output}`: 3 entries"))));
    fs::remove_file(output).unwrap();
    let run = sipwall(&["import", "--strict", &page, "-o", output]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("completed.md:8: the row names no port of its own"), "{}", run.stderr);
    assert!(run.stderr.ends_with("nothing written: `--strict`, and 5 warnings\n"), "{}", run.stderr);
    assert!(!fs::exists(output).unwrap());
}

#[test]
fn strict_leaves_documents_without_warnings_alone() {
    let pages = [document("kore-us-firewall-rules.md"), document("twilio-interconnect.md")];
    for page in pages {
        assert_eq!(sipwall(&["import", "--strict", &page]).code, 0);
    }
}

#[test]
fn explain_says_of_every_line_of_a_list_what_became_of_it() {
    let run = sipwall(&["import", "--explain", &page("zoom.txt")]);
    for line in [":5: unspecified  [54.1.4.0/24]", ":6: stated above already", ":7: stated above already"] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    let run = sipwall(&["import", "--explain", &page("port-lines.md")]);
    assert!(run.stdout.contains(":6: joins the lines above  [185.45.2.0/24]"), "{}", run.stdout);
}

#[test]
fn explain_says_of_every_row_what_became_of_it() {
    let run = sipwall(&["import", "--explain", &page("refusals.md")]);
    assert_eq!(run.code, 2);
    let outcomes: Vec<_> = run.stdout.lines().map(|line| line.split_once("refusals.md:").unwrap().1).collect();
    assert_eq!(outcomes.len(), 14, "{}", run.stdout);
    assert!(outcomes[0].starts_with("7: sip-udp 5060  [SIP | UDP | 192.0.2.1 | 5060]"), "{}", outcomes[0]);
    assert!(outcomes[1].starts_with("8: error: cannot read `192.0.2.256`"), "{}", outcomes[1]);
    assert!(outcomes[13].starts_with("20: not enforced: a wildcard name"), "{}", outcomes[13]);

    let json = sipwall(&["import", "--explain", "--json", &page("refusals.md")]).stdout;
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["line"]), (14, &7.into()));
}

#[test]
fn client_rows_are_imported_on_request() {
    let page = page("clients.md");
    let entries = |run: support::Run| run.json()["entries"].as_array().unwrap().len();
    assert_eq!(entries(sipwall(&["import", "--json", &page])), 1);
    let all = sipwall(&["import", "--json", "--include-clients", &page]);
    assert_eq!(all.json()["unenforced"].as_array().unwrap().len(), 0);
    assert_eq!(entries(all), 3);
}

#[test]
fn a_page_for_clients_alone_is_refused_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clients.md");
    fs::write(&path, "# Desktop app\n\n| Protocol | IP address | Port |\n|---|---|---|\n| TLS | 192.0.2.1 | 443 |\n")
        .unwrap();
    let run = sipwall(&["import", path.to_str().unwrap()]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("no row can be enforced by address: 1 left out"), "{}", run.stderr);
    assert!(run.stderr.contains("for laptops, browsers and the like"), "{}", run.stderr);
}

/// The prefixes of the entries of a run.
fn prefixes(arguments: &[&str]) -> String {
    let json = sipwall(arguments).json();
    let entries = json["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["remote"].to_string()).collect()
}

#[test]
fn large_files_give_voice_unless_another_service_is_selected() {
    let page = page("aws.json");
    assert_eq!(prefixes(&["import", "--json", &page]), r#"["3.80.16.0/23"]"#);
    assert_eq!(
        prefixes(&["import", "--json", "--select", "service=AMAZON", &page]),
        r#"["3.5.140.0/22"]["2600:1f00::/40"]"#
    );
    let both = ["import", "--json", "--select", "service=AMAZON", "--select", "region=us-east-1", &page];
    assert_eq!(prefixes(&both), r#"["2600:1f00::/40"]"#);
}

#[test]
fn a_selection_that_no_row_meets_says_so() {
    let run = sipwall(&["import", "--select", "service=S3", &page("aws.json")]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("none of the 3 rows is selected"), "{}", run.stderr);
}

#[test]
fn a_key_that_no_table_has_cannot_select() {
    let run = sipwall(&["import", "--select", "colour=red", &page("aws.json")]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("no table has a column `colour` to select by"), "{}", run.stderr);
}

/// What the import of a trunk's settings writes.
fn trunk_table(properties: &str) -> support::Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trunk.json");
    fs::write(&path, format!("{{\"name\":\"a\",\"properties\":{{{properties}}}}}")).unwrap();
    sipwall(&["import", path.to_str().unwrap()])
}

#[test]
fn a_trunk_export_becomes_a_trunk_table() {
    let expected = "[[provider]]\nname = \"genesys\"\n\n[provider.trunk]\nallow = [\n    \"198.51.100.0/24\",\n    \
                    \"198.51.100.77/32\",\n]\nalways_deny = [\"203.0.113.66/32\"]\noutbound_proxies = [\"203.0.113.9:5061\"]\n";
    assert_eq!(sipwall(&["import", &page("trunk.tf")]).stdout, expected);
}

#[test]
fn a_trunk_s_port_transport_and_source_address_are_in_its_table() {
    let setting = |name: &str, value: &str| format!("\"{name}\":{{\"value\":{{\"instance\":{value}}}}}");
    for (variant, service) in [("udp", "sip-udp"), ("TCP", "sip-tcp"), ("tls", "sip-tls")] {
        let properties = [
            setting("trunk_access_acl_allowList", "[\"3.0.0.0/24\"]"),
            setting("trunk_access_acl_useSourceAddress", "false"),
            setting("trunk_transport_listenPort", "5081"),
            setting("trunk_transport_protocolVariant", &format!("\"{variant}\"")),
        ];
        let run = trunk_table(&properties.join(","));
        let policy: toml::Table = run.stdout.parse().unwrap();
        let trunk = &policy["provider"][0]["trunk"];
        assert_eq!(trunk["listen"][service][0].as_integer(), Some(5081), "{}", run.stdout);
        assert_eq!(trunk["use_source_address"].as_bool(), Some(false), "{}", run.stdout);
    }
}

#[test]
fn settings_are_known_by_their_older_names_too() {
    let run = trunk_table(
        "\"trunk_access_acl_allow_list\":{\"value\":{\"instance\":[\"3.0.0.0/24\"]}},\
         \"trunk_transport_server_proxy_list\":{\"value\":{\"instance\":[\"3.0.1.9\"]}}",
    );
    let policy: toml::Table = run.stdout.parse().unwrap();
    assert_eq!(policy["provider"][0]["trunk"]["outbound_proxies"][0].as_str(), Some("3.0.1.9"), "{}", run.stdout);
}

/// A table that a policy refuses is none that can be used: no empty lists, no names, no set host bits, no ranges.
#[test]
fn a_trunk_table_is_one_that_a_policy_takes() {
    let run = trunk_table(
        "\"trunk_access_acl_allowList\":{\"value\":{\"instance\":[\"3.0.0.9/24\",\"3.0.1.0 - 3.0.1.2\"]}},\
         \"trunk_access_acl_denyList\":{\"value\":{\"instance\":[]}},\
         \"trunk_transport_serverProxyList\":{\"value\":{\"instance\":[\"sip.acme.example:5061\",\"2600::9\"]}}",
    );
    assert!(run.stderr.contains("not enforced: ") && run.stderr.contains("`sip.acme.example`"), "{}", run.stderr);
    let policy: toml::Table = run.stdout.parse().unwrap();
    let trunk = policy["provider"][0]["trunk"].as_table().unwrap();
    assert_eq!(trunk["allow"].to_string(), r#"["3.0.0.0/24", "3.0.1.0/31", "3.0.1.2/32"]"#);
    assert_eq!(trunk["outbound_proxies"].to_string(), r#"["2600::9"]"#);
    assert!(!trunk.contains_key("always_deny"), "{}", run.stdout);
    filter_user::policy::file::PolicyFile::parse(std::path::Path::new("policy.toml"), &run.stdout).unwrap();
}

#[test]
fn a_trunk_and_a_page_are_not_joined_into_one_file() {
    let run = sipwall(&["import", &page("trunk.tf"), &page("ipv6.md")]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("import it by itself"), "{}", run.stderr);
}

#[test]
fn lone_carriage_returns_end_lines_in_every_syntax() {
    let folder = tempfile::tempdir().unwrap();
    let rows = ["# Acme SIP", "", "| IP | Port |", "|---|---|", "| 3.0.0.1 | 5060 |"];
    let html = ["<h1>Acme SIP</h1>", "<table>", "<tr><th>IP<th>Port", "", "<tr><td>3.0.0.1<td>5060</table>"];
    for (name, lines) in [("a.md", rows), ("a.html", html)] {
        for end in ["\n", "\r\n", "\r"] {
            let path = folder.path().join(name);
            fs::write(&path, lines.join(end)).unwrap();
            let json = sipwall(&["import", "--json", path.to_str().unwrap()]).json();
            assert_eq!(json["entries"][0]["line"], 5, "{name} {end:?}");
        }
    }
}

#[test]
fn documents_that_disagree_on_ports_are_told_and_both_kept() {
    let (kore, twilio) = (document("kore-us-firewall-rules.md"), document("twilio-interconnect.md"));
    let run = sipwall(&["import", "--json", &kore, &twilio]);
    let told = "kore-us-firewall-rules.md:38: `168.86.128.0/18` has media ports 10000-65535 here and 10000-60000 in";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    let json = run.json();
    assert_eq!(json["provider"], "kore+twilio");
    assert_eq!(json["entries"].as_array().unwrap().len(), 42 + 25);
    assert!(json["warnings"][0]["message"].as_str().unwrap().contains("kore-us-firewall-rules.md: "));
}

#[test]
fn an_entry_that_two_documents_state_alike_is_kept_once() {
    let (text, markdown) = (document("twilio-interconnect.txt"), document("twilio-interconnect.md"));
    let run = sipwall(&["import", "--json", &markdown, &text]);
    assert_eq!(run.json()["entries"].as_array().unwrap().len(), 25);
    assert_eq!(run.stderr, "");
}

#[test]
fn an_address_that_looks_mistyped_beside_its_siblings_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, odd: &str| {
        let path = folder.path().join(name);
        let hosts = ["3.70.125.10", "3.70.125.11", "3.70.125.12", odd];
        fs::write(&path, format!("# Acme SIP\n\n* {}\n", hosts.join("\n* "))).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (write("right.md", "3.70.125.14"), write("wrong.md", "13.70.125.14"));
    let run = sipwall(&["import", &wrong, &right]);
    assert!(run.stderr.contains("wrong.md:6: `13.70.125.14/32` stands here only, where"), "{}", run.stderr);
    assert_eq!(sipwall(&["import", &right, &right]).stderr, "");
}

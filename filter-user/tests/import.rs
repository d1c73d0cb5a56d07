//! `sipwall import` at its boundary: documents in, JSON, TOML and exit codes out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Run, document, sipwall};

/// The entries of a document, `LINE service/protocol PREFIXES PORTS`.
fn entries(run: &Run) -> Vec<String> {
    let entries = run.json()["entries"].as_array().unwrap().clone();
    let texts = |value: &serde_json::Value| {
        let texts: Vec<_> = value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        texts.join(",")
    };
    let show = |entry: &serde_json::Value| {
        format!(
            "{} {}/{} {} {}",
            entry["line"],
            entry["service"].as_str().unwrap(),
            entry["protocol"].as_str().unwrap(),
            texts(&entry["remote"]),
            texts(&entry["remote_ports"]),
        )
    };
    entries.iter().map(show).collect()
}

fn import(document: &str) -> Run {
    sipwall(&["import", "--json", document])
}

/// The distinct prefixes of the entries, sorted.
fn prefixes(run: &Run) -> Vec<String> {
    let entries = entries(run);
    let lists = entries.iter().filter_map(|entry| entry.split(' ').nth(2));
    let mut prefixes: Vec<_> = lists.flat_map(|list| list.split(',')).map(str::to_owned).collect();
    prefixes.sort();
    prefixes.dedup();
    prefixes
}

#[test]
fn kore_us_gives_its_hosts_its_cidr_and_its_ranges_with_their_rows() {
    let run = import(&document("kore-us-firewall-rules.md"));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let host = |line: u32, host: &str| {
        vec![
            format!("{line} sip-udp/udp {host}/32 5060"),
            format!("{line} sip-tcp/tcp {host}/32 5060"),
            format!("{} sip-tls/tcp {host}/32 5061", line + 1),
        ]
    };
    let mut expected = host(10, "54.161.251.110");
    expected.push("12 other/tcp 54.161.251.110/32 10081".to_owned());
    expected.push("13 media/udp 54.161.251.110/32 6000-65535".to_owned());
    expected.extend(host(14, "52.4.142.107"));
    expected.push("16 media/udp 52.4.142.107/32 6000-65535".to_owned());
    expected.push("17 other/tcp 52.4.142.107/32 10081".to_owned());
    expected.extend(host(23, "3.224.189.218"));
    expected.push("25 sip-wss/tcp 3.224.189.218/32 8443".to_owned());
    expected.extend(host(26, "35.174.41.205"));
    expected.push("28 sip-wss/tcp 35.174.41.205/32 8443".to_owned());
    expected.push("29 media/udp 44.215.230.111/32 6000-65535".to_owned());
    expected.push("30 media/udp 54.210.75.166/32 6000-65535".to_owned());
    expected.push("38 media/udp 168.86.128.0/18 10000-65535".to_owned());
    let ranges = [
        "34.203.254.0/24",
        "54.172.60.0/23",
        "34.203.250.0/23",
        "3.235.111.128/25",
        "34.216.110.128/27",
        "54.244.51.0/24",
        "44.234.69.0/25",
    ];
    expected.extend((44..).zip(ranges).map(|(line, range)| format!("{line} turn/tcp {range} 443,5349")));
    expected.extend(
        (51..).zip(ranges).flat_map(|(line, range)| {
            [format!("{line} turn/udp {range} 3478"), format!("{line} turn/tcp {range} 3478")]
        }),
    );
    assert_eq!(entries(&run), expected);
}

#[test]
fn kore_us_wildcards_are_not_enforced() {
    let json = import(&document("kore-us-firewall-rules.md")).json();
    let shown: Vec<_> = json["unenforced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {} {}", row["line"], row["name"], row["protocol"], row["remote_ports"]))
        .collect();
    assert_eq!(shown, [r#"31 "*.kore.ai" "any" ["443"]"#, r#"32 "*.twilio.com" "any" ["443"]"#]);
    assert_eq!((json["warnings"].to_string(), json["errors"].to_string()), ("[]".to_owned(), "[]".to_owned()));
}

/// The gateway entries that three hosts from `first` on give at `line`.
fn gateway(line: u32, network: &str, first: u8) -> Vec<String> {
    let hosts: Vec<_> = (first..first + 3).map(|host| format!("{network}.{host}/32")).collect();
    let hosts = hosts.join(",");
    vec![
        format!("{line} sip-udp/udp {hosts} 5060"),
        format!("{line} sip-tcp/tcp {hosts} 5060"),
        format!("{line} sip-tls/tcp {hosts} 5061"),
    ]
}

const GATEWAYS: [(&str, u8); 8] = [
    ("208.78.112", 64),
    ("67.213.136", 64),
    ("185.187.132", 68),
    ("185.194.136", 64),
    ("103.75.151", 68),
    ("103.144.142", 68),
    ("103.146.214", 68),
    ("159.183.255", 68),
];

#[test]
fn twilio_markdown_gives_24_gateways_and_the_media_range() {
    let run = import(&document("twilio-interconnect.md"));
    let mut expected = vec!["51 media/udp 168.86.128.0/18 10000-60000".to_owned()];
    for (line, (network, first)) in (62..).step_by(10).zip(GATEWAYS) {
        expected.extend(gateway(line, network, first));
    }
    assert_eq!(entries(&run), expected);
    assert_eq!(prefixes(&run).len(), 25);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn twilio_text_gives_21_gateways_without_sao_paulo() {
    let run = import(&document("twilio-interconnect.txt"));
    let mut expected = vec!["31 media/udp 168.86.128.0/18 10000-60000".to_owned()];
    for (line, (network, first)) in (34..).zip(GATEWAYS.into_iter().take(7)) {
        expected.extend(gateway(line, network, first));
    }
    assert_eq!(entries(&run), expected);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn an_example_address_in_prose_is_no_entry() {
    for name in ["twilio-interconnect.md", "twilio-interconnect.txt"] {
        let run = import(&document(name));
        assert!(!run.stdout.contains("172.56.42.132"), "{name}");
    }
}

/// The regions of the entry on `line`.
fn regions(run: &Run, line: u64) -> String {
    let json = run.json();
    let entry = json["entries"].as_array().unwrap().iter().find(|entry| entry["line"] == line).unwrap().clone();
    entry["regions"].to_string()
}

#[test]
fn twilio_regions_go_by_exchange_legacy_name_and_gateway_heading() {
    let run = import(&document("twilio-interconnect.md"));
    for (line, expected) in [
        (62, r#"["ashburn-ix","us1-ix","North America Virginia"]"#),
        (72, r#"["san-jose-ix","us2-ix","North America San Jose"]"#),
        (82, r#"["london-ix","ie1-ix","Europe London"]"#),
        (92, r#"["frankfurt-ix","de1-ix","Europe Frankfurt"]"#),
        (102, r#"["singapore-ix","sg1-ix","Asia Pacific Singapore"]"#),
        (112, r#"["tokyo-ix","jp1-ix","Asia Pacific Tokyo"]"#),
        (122, r#"["sydney-ix","au1-ix","Asia Pacific Sydney"]"#),
        (132, r#"["sao-paulo-ix","br1-ix","South America São Paulo"]"#),
    ] {
        assert_eq!(regions(&run, line), expected);
    }
    let media = regions(&run, 51);
    for name in ["ashburn-ix", "us1-ix", "North America Virginia", "sao-paulo-ix", "roaming", "gll-ix"] {
        assert!(media.contains(name), "{name} is not in {media}");
    }
}

#[test]
fn twilio_text_names_no_region_for_gateways_without_heading() {
    let run = import(&document("twilio-interconnect.txt"));
    assert_eq!(regions(&run, 34), "[]");
    assert!(regions(&run, 31).contains("ashburn-ix"));
}

#[test]
fn genesys_page_holds_no_addresses_and_points_to_the_trunk_table() {
    let run = import(&document("genesys-trunk-security.txt"));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("holds no addresses") && run.stderr.contains("`[provider.trunk]`"), "{}", run.stderr);
    assert_eq!(run.json()["errors"][0]["line"], 0);
    assert_eq!(run.json()["provider"], "genesys");
}

#[test]
fn run_together_text_is_refused_with_its_line_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(document("twilio-interconnect.txt")).unwrap();
    let page = page.replace("168.86.128.0/18 | 10,000", "168.86.128.0/1810,000");
    let (input, output) = (folder.path().join("page.txt"), folder.path().join("out.toml"));
    std::fs::write(&input, page).unwrap();
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let run = sipwall(&["import", input, "-o", output]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("page.txt:31: cannot read `168.86.128.0/1810`"), "{}", run.stderr);
    assert!(
        run.stderr.ends_with("nothing written: 1 error\nhint: `--partial` writes what could be read\n"),
        "{}",
        run.stderr
    );
    assert!(!std::path::Path::new(output).exists());

    let partial = sipwall(&["import", "--partial", input, "-o", output]);
    assert_eq!(partial.code, 0, "{}", partial.stderr);
    assert!(partial.stderr.ends_with(" entries, and 1 error left out\n"), "{}", partial.stderr);
    assert!(std::fs::read_to_string(output).unwrap().contains("208.78.112.64/32"));
}

#[test]
fn run_together_lines_outside_a_table_are_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("page.txt");
    std::fs::write(&input, "Media\nMediaUDPANYANY168.86.128.0/1810,000 - 60,000\n").unwrap();
    let run = sipwall(&["import", "--json", input.to_str().unwrap()]);
    assert_eq!(run.code, 2);
    assert_eq!(run.json()["errors"][0]["line"], 2);
}

#[test]
fn toml_output_reads_back_as_the_same_allowlist() {
    let page = document("kore-us-firewall-rules.md");
    let run = sipwall(&["import", &page]);
    let toml = filter_user::allowlist::file::parse("kore.toml", &run.stdout).unwrap();
    let json = filter_user::allowlist::file::parse("kore.json", &import(&page).stdout).unwrap();
    assert_eq!(toml, json);
}

#[test]
fn built_in_allowlists_are_what_the_documents_give() {
    for builtin in filter_user::allowlist::builtin::ALL {
        let imported = import(&document(builtin.document));
        let imported = filter_user::allowlist::file::parse("imported.json", &imported.stdout).unwrap();
        assert_eq!(builtin.allowlist().unwrap(), imported, "{}", builtin.name);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_wrong_input() {
    let run = sipwall(&["import", "/nonexistent/page.md"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with("error: cannot read `/nonexistent/page.md`: "), "{}", run.stderr);
}

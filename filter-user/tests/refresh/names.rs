//! Host names are followed by their time to live, wildcards never.

use std::{fs, time::Duration};

use filter_user::refresh::{Asking, NameServers, Outcome, Report};

use crate::{
    bench::{Bench, page},
    name_server::NameServer,
};

const SETTINGS: &str = "resolve = true\nservices = [\"sip-tls\"]\nrefresh = \"30d\"\ngrace = \"2h\"";

/// A bench whose document has host 1, the name `sip.example.net` and a wildcard.
fn named(servers: &NameServer) -> Bench {
    let mut bench = Bench::new("acme.md", SETTINGS);
    bench.refresher.name_servers = NameServers::One(servers.address);
    let rows = "| SBC | TLS | sip.example.net | 5061 |\n| SBC | TLS | *.example.net | 5061 |\n";
    fs::write(bench.directory.path().join("acme.md"), page([1]) + rows).unwrap();
    bench
}

fn check(report: &Report, outcome: Outcome, added: &[&str], departing: &[&str]) {
    let prefixes: Vec<_> = report.added.iter().map(|rule| rule.remote.to_string()).collect();
    let waiting: Vec<_> = report.departing.iter().map(|departing| departing.rule.remote.to_string()).collect();
    assert_eq!((report.outcome, prefixes, waiting), (outcome, strings(added), strings(departing)), "{report:?}");
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_name_is_followed_when_its_time_to_live_is_over_and_a_wildcard_is_never_asked_for() {
    let servers = NameServer::start();
    servers.knows("sip.example.net", &["198.51.100.20", "2001:db8::20"], 3600);
    let mut bench = named(&servers);
    let step = bench.step(&Asking::due());
    let all = ["198.51.100.1/32", "198.51.100.20/32", "2001:db8::20/128"];
    check(&step.report, Outcome::Updated, &all, &[]);
    let rests = step.rests_for(&bench.now).unwrap();
    assert!(rests > Duration::from_secs(3590) && rests <= Duration::from_hours(1), "{rests:?}");
    servers.knows("sip.example.net", &["198.51.100.21", "2001:db8::20"], 3600);
    bench.now.uptime += 3000;
    check(&bench.ask(&Asking::due()), Outcome::NotDue, &[], &[]);
    bench.now.uptime += 600;
    check(&bench.ask(&Asking::due()), Outcome::NotDue, &["198.51.100.21/32"], &["198.51.100.20/32"]);
    assert_eq!(bench.hosts(), [1, 20, 21, 0x20]);
    bench.hours_pass(2);
    let report = bench.ask(&Asking::due());
    assert_eq!(report.removed.iter().map(|rule| rule.remote.to_string()).collect::<Vec<_>>(), ["198.51.100.20/32"]);
    assert_eq!(servers.asked(), ["sip.example.net."]);
}

#[test]
fn a_resolved_address_has_the_line_and_ports_of_its_row_and_the_services_of_the_policy() {
    let servers = NameServer::start();
    servers.knows("sip.example.net", &["198.51.100.20"], 3600);
    let bench = named(&servers);
    bench.ask(&Asking::due());
    let entries = bench.state().in_force().entries;
    let entry = entries.iter().find(|entry| entry.section == "sip.example.net").unwrap();
    assert_eq!((entry.line, entry.remote_ports.as_slice()), (6, &["5061".parse().unwrap()] as &[_]));
    let policy = filter_user::refresh::Refresher::policy(
        bench.file.clone(),
        bench.directory.path(),
        &[bench.step(&Asking::due())],
    );
    let compiled = policy.unwrap().compile().unwrap();
    assert_eq!(compiled.rules.iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["acme/sip-tls"]);
    assert!(compiled.sources.iter().any(|source| source.0.to_string() == "198.51.100.20/32"));
}

#[test]
fn a_name_that_fails_keeps_its_last_addresses() {
    let servers = NameServer::start();
    servers.knows("sip.example.net", &["198.51.100.20"], 60);
    let mut bench = named(&servers);
    bench.ask(&Asking::due());
    for broken in [true, false] {
        if broken {
            servers.fails("sip.example.net");
        } else {
            servers.knows("sip.example.net", &[], 60);
        }
        bench.hours_pass(24);
        let report = bench.ask(&Asking::due());
        assert!(report.notes[0].starts_with("`sip.example.net` cannot be resolved, and keeps its last addresses: "));
        check(&report, Outcome::NotDue, &[], &[]);
        assert_eq!(bench.hosts(), [1, 20]);
    }
    servers.knows("sip.example.net", &["198.51.100.22"], 60);
    check(&bench.ask(&Asking::due()), Outcome::NotDue, &["198.51.100.22/32"], &["198.51.100.20/32"]);
}

#[test]
fn a_name_that_was_never_resolved_is_said_and_the_rest_is_accepted() {
    let servers = NameServer::start();
    let bench = named(&servers);
    let report = bench.ask(&Asking::due());
    check(&report, Outcome::Updated, &["198.51.100.1/32"], &[]);
    assert!(report.notes[0].starts_with("`sip.example.net` cannot be resolved: "), "{report:?}");
}

#[test]
fn without_resolve_no_name_is_asked_for_and_its_addresses_wait_for_their_grace() {
    let servers = NameServer::start();
    servers.knows("sip.example.net", &["198.51.100.20"], 60);
    let mut bench = named(&servers);
    bench.ask(&Asking::due());
    let without = Bench::new("acme.md", &SETTINGS.replace("true", "false"));
    bench.file = without.file;
    servers.fails("sip.example.net");
    check(&bench.ask(&Asking::due()), Outcome::NotDue, &[], &["198.51.100.20/32"]);
}

#[test]
fn an_answer_without_a_time_to_live_is_kept_for_half_a_minute() {
    let servers = NameServer::start();
    servers.knows("sip.example.net", &["198.51.100.20"], 0);
    let bench = named(&servers);
    bench.ask(&Asking::due());
    assert_eq!(bench.state().names[0].ttl, 30);
}

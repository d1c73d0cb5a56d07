//! What is accepted of a source, and what is not.

use std::{fs, path::Path, time::Duration};

use filter_user::{
    policy::file::PolicyFile,
    refresh::{Asking, Fetcher, Limits, Outcome},
};

use crate::{
    bench::{Bench, page, policy},
    server::Server,
};

/// A server with ten hosts at `/acme.md`, and a bench that has accepted them; the next answer is due.
fn ten_hosts() -> (Server, Bench) {
    let server = Server::http();
    server.answer("/acme.md", "200 OK\r\netag: \"v1\"\r\nlast-modified: Sun, 22 Nov 2026 10:00:00 GMT", &page(1..=10));
    let mut bench = Bench::new(&server.url("/acme.md"), "");
    let report = bench.ask(&Asking::due());
    assert_eq!((report.outcome, report.added.len()), (Outcome::Updated, 10), "{report:?}");
    bench.hours_pass(6);
    (server, bench)
}

#[test]
fn an_answer_holds_for_refresh_and_is_then_asked_for_by_its_version() {
    let (server, mut bench) = ten_hosts();
    server.answer("/acme.md", "304 Not Modified", "");
    bench.expect(Outcome::Unchanged);
    let requests = server.requests();
    assert!(!requests[0].contains("if-none-match"), "{}", requests[0]);
    assert!(requests[1].contains("if-none-match: \"v1\"\r\n"), "{}", requests[1]);
    assert!(requests[1].contains("if-modified-since: sun, 22 nov 2026 10:00:00 gmt\r\n"), "{}", requests[1]);
    bench.hours_pass(5);
    bench.expect(Outcome::NotDue);
    bench.hours_pass(1);
    bench.expect(Outcome::Unchanged);
    assert_eq!(server.requests().len(), 3);
    assert_eq!(bench.hosts(), (1..=10).collect::<Vec<_>>());
}

#[test]
fn a_server_that_sends_the_same_again_changes_nothing() {
    let (server, bench) = ten_hosts();
    let before = bench.state();
    server.answer("/acme.md", "200 OK\r\netag: \"v2\"", &page(1..=10));
    let step = bench.step(&Asking::due());
    assert_eq!(step.report.outcome, Outcome::Unchanged);
    assert!(!step.changes_policy());
    assert_eq!((bench.state().changed, bench.state().validators.etag.as_deref()), (before.changed, Some("\"v2\"")));
}

/// What the server answers instead of the ten hosts, and what is said of it: they stay, and are asked for again.
fn check_failure(answer: &[u8], said: &str) {
    let (server, bench) = ten_hosts();
    server.answer_raw("/acme.md", answer.to_vec());
    let why = bench.expect(Outcome::Failed);
    assert!(why.contains(said), "{why}");
    assert_eq!(bench.hosts(), (1..=10).collect::<Vec<_>>());
    server.answer("/acme.md", "200 OK", &page(1..=11));
    bench.expect(Outcome::Updated);
}

#[test]
fn a_source_that_cannot_be_had_keeps_its_last_document() {
    check_failure(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answers 404 Not Found");
    check_failure(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "answers 500 Internal Server Error");
    check_failure(b"HTTP/1.1 204 No Content\r\n\r\n", "answers 204");
    check_failure(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n# Acme\n", "cannot fetch");
    check_failure(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe", "is not UTF-8 text: byte 0");
    check_failure(b"no HTTP at all\r\n\r\n", "cannot fetch");
    check_failure(Server::SILENCE, "it takes too long");
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n{}", "x".repeat(30_000));
    check_failure(large.as_bytes(), "the document has more than 20000 bytes");
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(30_000));
    check_failure(endless.as_bytes(), "the document has more than 20000 bytes");
    let circle = b"HTTP/1.1 302 Found\r\nlocation: /acme.md\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    check_failure(circle, "it redirects more than 5 times");
}

#[test]
fn a_server_that_says_unchanged_to_who_has_nothing_is_not_believed() {
    let server = Server::http();
    server.answer("/acme.md", "304 Not Modified", "");
    let bench = Bench::new(&server.url("/acme.md"), "");
    assert!(bench.expect(Outcome::Failed).contains("answers 304"));
}

#[test]
fn a_redirect_is_followed_but_never_out_of_tls() {
    let (open, closed) = (Server::http(), Server::https());
    open.answer("/acme.md", "200 OK", &page(1..=3));
    closed.answer("/there.md", "200 OK", &page(1..=3));
    closed.answer("/here.md", "302 Found\r\nlocation: /there.md", "");
    closed.answer("/out.md", &format!("302 Found\r\nlocation: {}", open.url("/acme.md")), "");
    let trusting = |path: &str| {
        let mut bench = Bench::new(&closed.url(path), "");
        let authority = bench.directory.path().join("ca.pem");
        fs::write(&authority, &closed.authority).unwrap();
        bench.refresher.fetcher = Fetcher::new(Limits::default(), Some(&authority)).unwrap();
        bench
    };
    trusting("/here.md").expect(Outcome::Updated);
    let why = trusting("/out.md").expect(Outcome::Failed);
    assert!(why.contains("which is not protected by TLS"), "{why}");
    assert!(open.requests().is_empty());
}

#[test]
fn a_server_whose_authority_nobody_knows_is_not_believed() {
    let server = Server::https();
    server.answer("/acme.md", "200 OK", &page(1..=3));
    let why = Bench::new(&server.url("/acme.md"), "").expect(Outcome::Failed);
    assert!(why.contains("certificate"), "{why}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_file_without_certificates_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = |path: &Path| Fetcher::new(Limits::default(), Some(path)).unwrap_err().to_string();
    assert!(refused(file.path()).ends_with("it has no `BEGIN CERTIFICATE`"), "{}", refused(file.path()));
    assert!(refused(Path::new("/nonexistent.pem")).contains("No such file"));
}

#[test]
fn a_document_with_errors_or_without_entries_is_refused_even_where_shrinking_is_accepted() {
    for (text, said) in [
        (format!("{}| SBC | TLS | 198.51.100.999 | 5061 |\n", page(1..=10)), "on line 15: "),
        ("# Acme\n\nThis page has moved.\n".to_owned(), "the document holds no addresses"),
        (String::new(), "the document holds no addresses"),
    ] {
        let (server, bench) = ten_hosts();
        server.answer("/acme.md", "200 OK\r\netag: \"v2\"", &text);
        for asking in [Asking::due(), Asking::due().accepting(["acme".to_owned()].into())] {
            let report = bench.ask(&asking);
            assert_eq!(report.outcome, Outcome::Refused);
            assert!(report.why.as_deref().unwrap().contains(said), "{report:?}");
        }
        assert_eq!(bench.hosts(), (1..=10).collect::<Vec<_>>());
        // A document that was refused is not taken for the one that is here.
        assert_eq!(bench.state().validators.etag.as_deref(), Some("\"v1\""));
    }
}

#[test]
fn a_document_may_lose_max_shrink_and_more_only_where_that_is_accepted() {
    let (server, bench) = ten_hosts();
    server.answer("/acme.md", "200 OK", &page(1..=7));
    let why = bench.expect(Outcome::Refused);
    assert!(why.starts_with("the document has lost 3 of 10 prefixes, more than 20 %"), "{why}");
    assert_eq!(bench.ask(&Asking::every()).outcome, Outcome::Refused, "asking at once accepts nothing more");
    assert_eq!(bench.ask(&Asking::due().accepting(["other".to_owned()].into())).outcome, Outcome::Refused);
    let accepted = bench.ask(&Asking::due().accepting(["acme".to_owned()].into()));
    assert_eq!((accepted.outcome, accepted.departing.len()), (Outcome::Updated, 3), "{accepted:?}");
    assert_eq!(accepted.notes, ["the document has lost 3 of 10 prefixes, more than 20 %, and is taken all the same"]);
    let (server, bench) = ten_hosts();
    server.answer("/acme.md", "200 OK", &page(3..=11));
    let report = bench.ask(&Asking::due());
    let counts = [report.added.len(), report.removed.len(), report.departing.len()];
    assert_eq!((report.outcome, counts), (Outcome::Updated, [1, 0, 2]), "{report:?}");
}

#[test]
fn a_document_with_which_the_policy_would_be_refused_is_refused() {
    let server = Server::http();
    server.answer("/acme.md", "200 OK", &page(1..=10));
    let mut bench = Bench::new(&server.url("/acme.md"), "");
    bench.expect(Outcome::Updated);
    bench.hours_pass(6);
    let media = format!("{}| Media | UDP | 198.51.100.9 | 10000-20000 |\n", page(1..=10));
    server.answer("/acme.md", "200 OK", &media);
    let why = bench.expect(Outcome::Refused);
    assert!(why.contains("`acme` has media, and [sbc.listen] does not say on which of your ports"), "{why}");
    assert_eq!(bench.hosts().len(), 10);
}

#[test]
fn a_state_that_is_broken_or_of_another_source_is_fetched_anew() {
    let (_server, bench) = ten_hosts();
    let path = bench.kept().remove(0);
    let whole = fs::read_to_string(&path).unwrap();
    for (content, said) in [
        (whole[..whole.len() / 2].to_owned(), "it holds no state"),
        ("{}".to_owned(), "it holds no state: missing field"),
        (whole.replace("/acme.md", "/other.md"), "it is of `acme` from `http://127.0.0.1"),
        (String::new(), "it holds no state"),
    ] {
        fs::write(&path, content).unwrap();
        let report = bench.ask(&Asking::only([].into()));
        assert!(report.notes[0].contains(said), "{report:?}");
        let report = bench.ask(&Asking::due());
        assert_eq!((report.outcome, report.added.len()), (Outcome::Updated, 10));
        assert_eq!(bench.hosts().len(), 10);
    }
}

#[test]
fn a_state_of_another_version_is_used_but_its_document_is_asked_for_whole() {
    let (server, bench) = ten_hosts();
    let path = bench.kept().remove(0);
    let other = fs::read_to_string(&path).unwrap().replace("\"sipwall ", "\"sipwall 0.0.0-");
    fs::write(&path, other).unwrap();
    assert_eq!(bench.hosts().len(), 10);
    bench.expect(Outcome::Unchanged);
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[test]
fn a_source_that_a_provider_moved_is_judged_by_the_one_before() {
    let (server, mut bench) = ten_hosts();
    server.answer("/moved.md", "200 OK", &page(1..=2));
    bench.moves_to(&server.url("/moved.md"));
    let refused = bench.ask(&Asking::due());
    assert_eq!(refused.outcome, Outcome::Refused, "{refused:?}");
    assert!(refused.why.as_deref().unwrap().starts_with("the document has lost 8 of 10 prefixes"), "{refused:?}");
    assert!(refused.notes[0].starts_with("the source was `http://127.0.0.1"), "{refused:?}");
    server.answer("/moved.md", "200 OK", &page(2..=11));
    let moved = bench.ask(&Asking::due());
    let counts = [moved.added.len(), moved.removed.len(), moved.departing.len()];
    assert_eq!((moved.outcome, counts), (Outcome::Updated, [1, 0, 1]), "{moved:?}");
    assert_eq!(bench.hosts(), (1..=11).collect::<Vec<_>>(), "what is gone waits for its grace");
    assert_eq!(bench.kept().len(), 1, "nobody uses the state of the source before");
    assert!(bench.ask(&Asking::due()).notes.is_empty());
}

#[test]
fn policies_with_other_sources_of_a_provider_do_not_touch_each_other() {
    let (server, bench) = ten_hosts();
    server.answer("/test.md", "200 OK", &page(21..=21));
    let test = PolicyFile::parse(Path::new("test.toml"), &policy(&server.url("/test.md"), "")).unwrap();
    let steps = bench.refresher.refresh(&test, bench.directory.path(), &bench.now, &Asking::due());
    assert_eq!((steps[0].report.outcome, &steps[0].report.notes[..]), (Outcome::Updated, &[][..]));
    bench.refresher.commit(&steps).unwrap();
    assert_eq!(steps[0].after.as_ref().unwrap().in_force().entries.len(), 1);
    assert_eq!(bench.hosts(), (1..=10).collect::<Vec<_>>());
    assert_eq!(bench.kept().len(), 2);
}

#[test]
fn a_state_of_an_older_version_is_not_taken_for_that_of_a_source() {
    let (_server, bench) = ten_hosts();
    fs::rename(bench.kept().remove(0), bench.directory.path().join("acme.json")).unwrap();
    let report = bench.ask(&Asking::due());
    assert_eq!((report.outcome, report.added.len()), (Outcome::Updated, 10));
    assert!(report.notes[0].contains("kept one document for each provider, whatever its source"), "{report:?}");
}

#[test]
fn a_path_is_judged_like_a_server_s_document() {
    let mut bench = Bench::new("acme.md", "max_shrink = \"50%\"");
    let page_file = bench.directory.path().join("acme.md");
    assert!(bench.expect(Outcome::Failed).contains("cannot read"));
    fs::write(&page_file, page(1..=4)).unwrap();
    bench.expect(Outcome::Updated);
    bench.hours_pass(6);
    fs::write(&page_file, page(1..=1)).unwrap();
    assert!(bench.expect(Outcome::Refused).contains("lost 3 of 4"));
    fs::write(&page_file, page(1..=2)).unwrap();
    bench.expect(Outcome::Updated);
}

#[test]
fn two_refreshes_do_not_write_at_once() {
    let bench = Bench::new("acme.md", "");
    let first = bench.refresher.store.lock().unwrap();
    let refused = bench.refresher.store.lock().unwrap_err().to_string();
    assert!(refused.starts_with("another `sipwall refresh` is at work in `"), "{refused}");
    drop(first);
    bench.refresher.store.lock().unwrap();
}

#[test]
fn an_answer_holds_for_the_rest_of_refresh() {
    let (_server, mut bench) = ten_hosts();
    bench.expect(Outcome::Unchanged);
    bench.hours_pass(2);
    let step = bench.step(&Asking::due());
    assert_eq!(step.holds_for(&bench.now), Duration::from_hours(4));
    assert_eq!(step.rests_for(&bench.now), None);
}

//! `sipwall refresh`, and the commands that use what it accepted.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    bench::{page, policy},
    name_server::NameServer,
    server::Server,
};

/// A directory with a policy.
struct Host(TempDir);

impl Host {
    fn new(policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("policy.toml"), policy).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sipwall"));
        command.current_dir(self.path()).args(arguments.split(' ')).args(["--state", "state"]);
        command
    }

    /// Runs a command, and returns its exit code and what people see: standard output, then standard error.
    fn run(&self, arguments: &str) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (
            status.code().unwrap(),
            format!("{}--\n{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap()),
        )
    }
}

/// Lets the time until a source is asked stand for any.
fn whenever(text: &str) -> String {
    let parts = text.split_once("next in ").and_then(|(before, rest)| Some((before, rest.split_once(',')?)));
    parts.map_or_else(|| text.to_owned(), |(before, (_, behind))| format!("{before}next in …,{behind}"))
}

const REFRESH: &str = "refresh --policy policy.toml";
const EXPLAIN: &str = "explain --policy policy.toml tcp 198.51.100.2:40000 192.0.2.1:5061";

#[test]
fn what_was_accepted_is_what_the_other_commands_use() {
    let server = Server::http();
    let url = server.url("/acme.md");
    server.answer("/acme.md", "200 OK", &page(1..=5));
    let host = Host::new(&policy(&url, ""));
    let neutral = |(code, text): (i32, String)| format!("{code}\n{}", text.replace(&url, "URL"));
    expect![[r#"
        2
        --
        error: the policy is refused
        policy.toml:5: no document of `URL` was fetched and accepted yet [not-fetched]
        hint: run `sipwall refresh` with this policy first
    "#]]
    .assert_eq(&neutral(host.run("check policy.toml")));
    expect![[r"
        0
        acme: updated, 5 added, 0 removed, 0 in grace (URL)
          + 198.51.100.1/32 sip-tls tcp 5061
          + 198.51.100.2/32 sip-tls tcp 5061
          + 198.51.100.3/32 sip-tls tcp 5061
          + 198.51.100.4/32 sip-tls tcp 5061
          + 198.51.100.5/32 sip-tls tcp 5061
        --
    "]]
    .assert_eq(&neutral(host.run(REFRESH)));
    expect![[r"
        0
        pass
          reason   listed: A rule allows it.
          rule     acme/sip-tls
          prefix   198.51.100.2/32
          origin   allowlist `URL`, line 6 of its document
        --
    "]]
    .assert_eq(&neutral(host.run(EXPLAIN)));
    expect![[r"
        0
        acme: not due (next in …, `--now` asks at once), 0 added, 0 removed, 0 in grace (URL)
        --
    "]]
    .assert_eq(&whenever(&neutral(host.run(REFRESH))));
    server.answer("/acme.md", "200 OK", &page(4..=5));
    assert_eq!(host.run(&format!("{REFRESH} --now")).0, 1, "it has lost more than `max_shrink`");
    let (code, text) = host.run(&format!("{REFRESH} --accept-shrink acme"));
    assert!(code == 0 && text.contains("acme: updated, 0 added, 0 removed, 3 in grace ("), "{text}");
    assert!(text.contains("note: acme: the document has lost 3 of 5 prefixes, more than 20 %, and is taken"), "{text}");
    let (code, text) = host.run(&format!("{REFRESH} --accept-shrink emca"));
    assert!(code == 2 && text.contains("no provider of the policy is named `emca`"), "{text}");
    assert!(host.run(EXPLAIN).1.contains("line 6 of its document"));
    server.answer("/acme.md", "200 OK", "nothing");
    fs::write(host.path().join("policy.toml"), policy(&url, "refresh = \"1s\"")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (code, text) = host.run(REFRESH);
    assert!(code == 1 && text.contains("error: acme: the document holds no addresses"), "{code} {text}");
    assert!(text.contains("; the last accepted document stays in force"), "{text}");
    assert_eq!(host.run(EXPLAIN).0, 0);
}

#[test]
fn a_source_that_cannot_be_had_at_first_ends_with_1_and_the_others_are_kept() {
    let server = Server::http();
    server.answer("/acme.md", "200 OK", &page(1..=5));
    server.answer("/none.md", "404 Not Found", "");
    let both = policy(&server.url("/acme.md"), "")
        + &policy(&server.url("/none.md"), "")
            .replace("acme\"", "none\"")
            .replace("[sbc.listen]\nsip-tls = [5061]\n", "");
    let host = Host::new(&both);
    let (code, text) = host.run(REFRESH);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("/none.md` answers 404 Not Found; nothing was accepted before\n"), "{text}");
    assert!(text.contains("error: the policy is not complete, nothing is put in force\npolicy.toml:"), "{text}");
    fs::write(host.path().join("policy.toml"), policy(&server.url("/acme.md"), "")).unwrap();
    assert_eq!(host.run("check policy.toml").0, 0);
}

#[test]
fn a_path_is_read_as_it_is_until_it_is_refreshed() {
    let host = Host::new(&policy("acme.md", ""));
    fs::write(host.path().join("acme.md"), page(1..=5)).unwrap();
    assert!(host.run(EXPLAIN).1.starts_with("pass"));
    fs::write(host.path().join("acme.md"), "# Acme\n").unwrap();
    let (code, text) = host.run("check policy.toml");
    assert!(code == 2 && text.contains("policy.toml:5: acme.md: the document holds no addresses"), "{text}");
}

#[test]
fn a_file_of_the_same_name_elsewhere_is_another_source() {
    let host = Host::new(&policy("acme.md", ""));
    fs::write(host.path().join("acme.md"), page(1..=5)).unwrap();
    assert_eq!(host.run(REFRESH).0, 0);
    fs::create_dir(host.path().join("other")).unwrap();
    fs::write(host.path().join("other/policy.toml"), policy("acme.md", "")).unwrap();
    fs::write(host.path().join("other/acme.md"), page(6..=6)).unwrap();
    let (code, text) = host.run(&EXPLAIN.replace("policy.toml", "other/policy.toml"));
    assert!(code == 0 && text.starts_with("drop\n  reason   source_unlisted"), "{text}");
    let (code, text) = host.run(&REFRESH.replace("policy.toml", "other/policy.toml"));
    assert!(code == 0 && text.starts_with("acme: updated, 1 added, 0 removed, 0 in grace"), "{text}");
    assert!(host.run(EXPLAIN).1.starts_with("pass"));
}

#[test]
fn programs_get_an_object_a_line() {
    let host = Host::new(&policy("acme.md", ""));
    fs::write(host.path().join("acme.md"), page(1..=1)).unwrap();
    let (code, text) = host.run(&format!("{REFRESH} --json"));
    assert_eq!(code, 0);
    expect![[r#"{"provider":"acme","source":"acme.md","outcome":"updated","due_in_seconds":null,"why":null,"notes":[],"added":[{"remote":"198.51.100.1/32","service":"sip-tls","protocol":"tcp","remote_ports":"5061"}],"removed":[],"departing":[]}
--
"#]]
    .assert_eq(&text);
}

#[test]
fn a_policy_without_sources_has_nothing_to_refresh() {
    let host = Host::new("[sbc]\n");
    let (code, text) = host.run(REFRESH);
    assert_eq!(
        (code, text.as_str()),
        (0, "--\nnote: no provider of the policy has a `source`: there is nothing to refresh\n")
    );
    assert!(!host.path().join("state").exists());
}

#[test]
fn tls_and_names_are_set_on_the_command_line() {
    let (server, names) = (Server::https(), NameServer::start());
    names.knows("sip.example.net", &["198.51.100.20"], 3600);
    server.answer("/acme.md", "200 OK", &(page(1..=1) + "| SBC | TLS | sip.example.net | 5061 |\n"));
    let host = Host::new(&policy(&server.url("/acme.md"), "resolve = true\nservices = [\"sip-tls\"]"));
    fs::write(host.path().join("ca.pem"), &server.authority).unwrap();
    let (code, text) = host.run(&format!("{REFRESH} --ca ca.pem --resolver {}", names.address));
    assert!(code == 0 && text.contains("  + 198.51.100.20/32 unspecified tcp 5061\n"), "{text}");
    let (code, text) = host.run(&format!("{REFRESH} --ca policy.toml"));
    assert!(code == 2 && text.starts_with("--\nerror: `policy.toml` holds no certificate"), "{text}");
}

#[test]
fn a_watch_asks_again_when_an_answer_holds_no_more_and_ends_with_a_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::http();
        server.answer("/acme.md", "200 OK", &page(1..=5));
        let host = Host::new(&policy(&server.url("/acme.md"), "refresh = \"1s\""));
        let mut watch = host.command(&format!("{REFRESH} --watch")).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        let mut report = |said: &str| lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(said)).unwrap();
        report("acme: updated, 5 added");
        server.answer("/acme.md", "200 OK", &page(1..=6));
        report("acme: updated, 1 added");
        kill_process(Pid::from_child(&watch), signal).unwrap();
        assert_eq!(watch.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_signal_ends_a_watch_that_waits_for_a_server() {
    let server = Server::http();
    let host = Host::new(&policy(&server.url("/silent"), ""));
    let mut watch = host.command(&format!("{REFRESH} --watch")).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&watch), Signal::TERM).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

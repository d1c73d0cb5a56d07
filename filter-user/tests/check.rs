//! `sipwall check` as people and programs see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use expect_test::{Expect, expect};

fn check(policy: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policy.toml"), policy).unwrap();
    let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_sipwall")));
    command.current_dir(directory.path()).args(["check", "policy.toml"]).args(arguments).output().unwrap()
}

/// What people see: standard output, then standard error.
fn text(policy: &str, code: i32, expected: &Expect) {
    let Output { status, stdout, stderr } = check(policy, &[]);
    let trimmed = |octets| {
        let text = String::from_utf8(octets).unwrap();
        let lines: Vec<_> = text.split('\n').map(str::trim_end).collect();
        lines.join("\n")
    };
    expected.assert_eq(&format!("{}--\n{}", trimmed(stdout), trimmed(stderr)));
    assert_eq!(status.code(), Some(code));
}

/// What programs see, a line for each key.
fn json(policy: &str, code: i32, expected: &Expect) {
    let output = check(policy, &["--json"]);
    let data: serde_json::Map<_, _> = serde_json::from_slice(&output.stdout).unwrap();
    let lines: Vec<_> = data.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    expected.assert_eq(&lines.join("\n"));
    assert_eq!(output.status.code(), Some(code));
}

const POLICY: &str = "
[sbc]
mode = 'monitor'
[sbc.listen]
sip-udp = [5060]
sip-tcp = [5060]
sip-tls = [5061]
media = ['16384-32767']

[[provider]]
name = 'twilio'
allowlist = 'twilio-interconnect'
regions = ['london-ix', 'ie1-ix']

[[provider]]
name = 'genesys'
[provider.trunk]
listen = { sip-tls = [5081] }
allow = ['198.51.100.0/24']
always_deny = ['198.51.100.66']
use_source_address = false

[[allow]]
name = 'ssh'
from = ['203.0.113.0/24']
tcp = [22]

[[deny]]
name = 'abuse'
from = ['192.0.2.66', '192.0.2.0/28']
";

#[test]
fn people_see_what_the_policy_lets_in_and_advice() {
    text(
        POLICY,
        0,
        &expect![[r#"
            policy.toml: MONITOR mode (nothing is dropped), scope interface (what is not listed is dropped)

             RULE               PREFIXES  PROTOCOL  THEIR PORTS  YOUR PORTS
             twilio/media       1         udp       10000-60000  16384-32767
             twilio/sip-udp     3         udp       any          5060
             twilio/sip-tcp     3         tcp       any          5060
             twilio/sip-tcp     3         tcp       5060         answers
             twilio/sip-tls     3         tcp       any          5061
             twilio/sip-tls     3         tcp       5061         answers
             genesys/sip-tls    1         tcp       any          5081
             genesys/sip-reply  1         tcp       5060-5061    answers
             allow/ssh          1         tcp       any          22

            answers: to what this host opens or asks, on its reply ports

            twilio: allowlist `twilio-interconnect`, only london-ix, ie1-ix
            genesys: a trunk, 1 prefix always denied
            deny list: 2 prefixes
            in the data plane: 9 terms, 7 prefixes

            warning[provider-without-media]: policy.toml:16: `genesys` may call, and nothing lets its media in: calls would be silent
            hint: take an allowlist that has its media, or open the media range in an `[[allow]]`

            warning[region-subset]: policy.toml:13: `regions` leaves out 21 entries of the allowlist of `twilio`
            hint: providers urge to allow all regions, for one stands in for another: leave `regions` out

            warning[via-not-enforced]: policy.toml:21: `use_source_address = false` means the Via header, and sipwall sees only packets' sources
            hint: list the addresses that packets come from, and set it to `true`

            note[monitor-mode]: policy.toml: `mode = "monitor"`: what would be dropped is counted, and passes
            hint: set `mode = "enforce"` once `sipwall stats --since-policy` shows no drop that should not be
            --
        "#]],
    );
}

const TRUNK: &str = "
[[provider]]
name = 'genesys'
[provider.trunk]
listen = { sip-tls = [5081] }
allow = ['198.51.100.0/24']
always_deny = ['198.51.100.66']

[[deny]]
name = 'abuse'
from = ['192.0.2.66']
";

#[test]
fn programs_see_the_same() {
    json(
        TRUNK,
        0,
        &expect![[r#"
            policy: "policy.toml"
            mode: "enforce"
            scope: "interface"
            interfaces: []
            addresses: []
            settings: {}
            providers: [{"name":"genesys","allowlist":null,"regions":[],"rules":[{"rule":"genesys/sip-tls","protocol":"tcp","prefixes":1,"remote_ports":[],"your_ports":["5081"],"answers":false},{"rule":"genesys/sip-reply","protocol":"tcp","prefixes":1,"remote_ports":["5060-5061"],"your_ports":[],"answers":true}],"always_denied":1}]
            allows: []
            denied: 1
            terms: 2
            prefixes: 2
            lints: [{"code":"provider-without-media","level":"warning","line":3,"message":"`genesys` may call, and nothing lets its media in: calls would be silent","hint":"take an allowlist that has its media, or open the media range in an `[[allow]]`"},{"code":"no-management-access","level":"warning","line":0,"message":"no `[[allow]]` opens a TCP port: over this interface nobody could log in","hint":"add one for SSH: `name = \"ssh\"`, `from = [\"203.0.113.0/24\"]`, `tcp = [22]`"}]"#]],
    );
}

#[test]
fn the_scope_is_said_loudly() {
    text(
        "[sbc]\nscope = 'ports'\n",
        0,
        &expect![[r"
            policy.toml: enforce mode, scope PORTS (only SIP and media ports are judged, all else passes)
            deny list: 0 prefixes
            in the data plane: 0 terms, 0 prefixes

            warning[no-rules]: policy.toml: the policy has no rule: nobody is let in
            hint: add a `[[provider]]` or an `[[allow]]`
            --
        "]],
    );
}

#[test]
fn a_refused_policy_is_wrong_input() {
    text(
        "[sbc]\nmode = 'enforced'\ncolour = 1\n",
        2,
        &expect![[r#"
            --
            error: the policy is refused
            policy.toml:2: `mode` does not take `"enforced"` [unknown-value]
            hint: it takes `"enforce"` or `"monitor"`
            policy.toml:3: [sbc] has no key `colour` [unknown-key]
            hint: it has `listen`, `interfaces`, `mode`, `scope`, `fragments`, `addresses`, `reply_ports`, `return_traffic`
        "#]],
    );
    json(
        "[sbc]\nmode = 'enforced'\ncolour = 1\n",
        2,
        &expect![[
            r#"errors: [{"code":"unknown-value","file":"policy.toml","line":2,"message":"`mode` does not take `\"enforced\"`","hint":"it takes `\"enforce\"` or `\"monitor\"`"},{"code":"unknown-key","file":"policy.toml","line":3,"message":"[sbc] has no key `colour`","hint":"it has `listen`, `interfaces`, `mode`, `scope`, `fragments`, `addresses`, `reply_ports`, `return_traffic`"}]"#
        ]],
    );
}

#[test]
fn the_example_policy_needs_no_warning() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policy.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_sipwall")).args(["check", path]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !printed.contains("warning["), "{printed}");
}

#[test]
fn what_the_import_warned_of_is_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "acme.md",
        "# Acme\n\n| Service | Protocol | IP | Port |\n|---|---|---|---|\n| SBC | TLS | 3.0.0.9/24 | 5061 |\n",
    );
    write("policy.toml", "[sbc.listen]\nsip-tls = [5061]\n[[provider]]\nname = \"acme\"\nallowlist = \"acme.toml\"\n");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sipwall"));
        command.current_dir(folder.path()).args(arguments).output().unwrap()
    };
    assert!(run(&["import", "acme.md", "-o", "acme.toml"]).status.success());
    let checked = run(&["check", "policy.toml"]);
    let text = String::from_utf8(checked.stdout).unwrap();
    let expected =
        "warning[allowlist-warning]: policy.toml:4: the document of `acme`, line 5: `3.0.0.9/24` has host bits set";
    assert!(checked.status.success() && text.contains(expected), "{text}");
}

#[test]
fn what_a_policy_sets_of_this_host_is_shown() {
    let policy = "[sbc]\ninterfaces = ['nosuch0']\naddresses = ['198.51.100.10', '2001:db8::10']\nfragments = 'tracked'\n\
                  [classes]\nping = 'pass'\n[limits]\nsip = '7/s burst 9'\ntcp = 'off'\n[inspect]\nsip = 'count'\n\
                  [[allow]]\nname = 'ssh'\nfrom = ['192.0.2.1']\ntcp = [22]\n";
    let shown = check(policy, &[]);
    let (stdout, stderr) = (String::from_utf8(shown.stdout).unwrap(), String::from_utf8(shown.stderr).unwrap());
    let set = "\ninterfaces: nosuch0\naddresses: 198.51.100.10, 2001:db8::10\nsettings: classes.ping pass, fragments tracked, \
               inspect.sip count, limits.sip 7/s burst 9, limits.tcp off\n";
    assert!(stdout.contains(set), "{stdout}");
    assert_eq!(stderr, "note: this host has no interface `nosuch0`\n");
    let data: serde_json::Value = serde_json::from_slice(&check(policy, &["--json"]).stdout).unwrap();
    assert_eq!(data["interfaces"], serde_json::json!(["nosuch0"]));
    assert_eq!(data["addresses"], serde_json::json!(["198.51.100.10", "2001:db8::10"]));
    assert_eq!(data["settings"]["limits.tcp"], "off");
    assert_eq!(data["settings"].as_object().unwrap().len(), 5, "{data}");
    let shown = check("[sbc]\n", &[]);
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("settings:"), "what is not set is not shown");
}

#[test]
fn the_policy_can_be_named_by_the_option_of_other_commands_and_only_once() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policy.toml"), "[sbc]\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sipwall"));
        command.current_dir(directory.path()).arg("check").args(arguments).output().unwrap()
    };
    assert_eq!(run(&["--policy", "policy.toml"]), run(&["policy.toml"]));
    for wrong in [&[][..], &["policy.toml", "--policy", "policy.toml"]] {
        let refused = run(wrong);
        assert_eq!(refused.status.code(), Some(2));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert!(text.contains("<POLICY|--policy <FILE>>"), "{text}");
    }
}

//! `sipwall explain` as people and programs see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use expect_test::{Expect, expect};

const POLICY: &str = "
[sbc.listen]
sip-udp = [5060]
sip-tcp = [5060]
sip-tls = [5061]
sip-wss = [8443]
media = ['16384-32767']

[[provider]]
name = 'kore'
allowlist = 'kore-us'

[[provider]]
name = 'genesys'
[provider.trunk]
listen = { sip-tls = [5081] }
allow = ['198.51.100.0/24', '2001:db8:5::/48']
always_deny = ['198.51.100.66', '203.0.113.0/24']

[[allow]]
name = 'router'
from = ['10.0.0.0/8', '10.1.0.0/16']
protocols = [1, 47]

[[deny]]
name = 'abuse'
from = ['10.6.0.0/16', '10.6.6.6']
";

/// A directory with the policy.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new(policy: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("policy.toml"), policy).unwrap();
        Self(directory)
    }

    fn explain(&self, arguments: &str) -> Output {
        let mut command = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_sipwall")));
        command.current_dir(self.0.path()).args(["explain", "--policy", "policy.toml"]);
        command.args(arguments.split_whitespace()).output().unwrap()
    }

    /// What the arguments print with `--json`.
    fn json(&self, arguments: &str, expected: &str) {
        let output = self.explain(&format!("--json {arguments}"));
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, format!("{expected}\n"), "{arguments}");
        assert_eq!(output.status.code(), Some(0), "{arguments}");
    }

    /// What the arguments print for people, standard output first.
    fn text(&self, arguments: &str, code: i32, expected: &Expect) {
        let Output { status, stdout, stderr } = self.explain(arguments);
        let text = |octets| String::from_utf8(octets).unwrap();
        expected.assert_eq(&format!("{}--\n{}", text(stdout), text(stderr)));
        assert_eq!(status.code(), Some(code), "{arguments}");
    }
}

#[test]
fn a_listed_packet_has_its_rule_its_prefix_and_the_line_of_the_document() {
    let lab = Lab::new(POLICY);
    lab.json(
        "udp 54.161.251.110:5060 198.51.100.10:5060",
        r#"{"action":"pass","rule":"kore/sip-udp","reason":"listed","matched_prefix":"54.161.251.110/32","origin":{"allowlist":"kore-us","line":10}}"#,
    );
    lab.json(
        "udp 168.86.130.1:20000 198.51.100.10:16384",
        r#"{"action":"pass","rule":"kore/media","reason":"listed","matched_prefix":"168.86.128.0/18","origin":{"allowlist":"kore-us","line":38}}"#,
    );
    lab.json(
        "tcp [2001:db8:5::1] [2001:db8:1::1]:5081",
        r#"{"action":"pass","rule":"genesys/sip-tls","reason":"listed","matched_prefix":"2001:db8:5::/48","origin":{"policy":"policy.toml","line":17}}"#,
    );
    lab.json(
        "icmp 10.1.2.3 198.51.100.10",
        r#"{"action":"pass","rule":"allow/router","reason":"listed","matched_prefix":"10.1.0.0/16","origin":{"policy":"policy.toml","line":22}}"#,
    );
    lab.json(
        "47 10.2.2.3 198.51.100.10",
        r#"{"action":"pass","rule":"allow/router","reason":"listed","matched_prefix":"10.0.0.0/8","origin":{"policy":"policy.toml","line":22}}"#,
    );
}

#[test]
fn a_dropped_packet_has_its_reason_and_the_entry_that_denies_it() {
    let lab = Lab::new(POLICY);
    let nothing = |reason: &str| {
        format!(r#"{{"action":"drop","rule":null,"reason":"{reason}","matched_prefix":null,"origin":null}}"#)
    };
    lab.json("udp 54.161.251.111:5060 198.51.100.10:5060", &nothing("source_unlisted"));
    lab.json("udp 54.161.251.110:5060 198.51.100.10:5070", &nothing("port_closed"));
    lab.json("tcp 54.161.251.110:5060 198.51.100.10:40000", &nothing("opening_segment"));
    lab.json("udp 168.86.130.1:9999 198.51.100.10:16384", &nothing("source_port"));
    lab.json("icmpv6 2001:db8:5::1 2001:db8:1::1", &nothing("echo_request"));
    lab.json("tcp --tcp-flags syn,fin 54.161.251.110:1 198.51.100.10:5060", &nothing("tcp_flags"));
    lab.json(
        "tcp 198.51.100.66 198.51.100.10:5081",
        r#"{"action":"drop","rule":null,"reason":"provider_denied","matched_prefix":"198.51.100.66/32","origin":{"policy":"policy.toml","line":18}}"#,
    );
    // Denied by a provider that would not allow it anyway.
    lab.json("tcp 203.0.113.1 198.51.100.10:5081", &nothing("source_unlisted"));
    lab.json(
        "47 10.6.6.6 198.51.100.10",
        r#"{"action":"drop","rule":null,"reason":"denied","matched_prefix":"10.6.6.6/32","origin":{"policy":"policy.toml","line":27}}"#,
    );
}

#[test]
fn tcp_flags_say_whether_a_connection_is_opened() {
    let lab = Lab::new(POLICY);
    let listed = r#"{"action":"pass","rule":"kore/sip-tcp","reason":"listed","matched_prefix":"54.161.251.110/32","origin":{"allowlist":"kore-us","line":10}}"#;
    for flags in ["ack", "syn,ack", "rst", "fin,ack", "psh,ack,urg"] {
        lab.json(&format!("tcp --tcp-flags {flags} 54.161.251.110:5060 198.51.100.10:40000"), listed);
    }
}

#[test]
fn protocol_numbers_are_the_protocols_that_they_name() {
    let lab = Lab::new(POLICY);
    lab.json(
        "17 54.161.251.110:5060 198.51.100.10:5060",
        r#"{"action":"pass","rule":"kore/sip-udp","reason":"listed","matched_prefix":"54.161.251.110/32","origin":{"allowlist":"kore-us","line":10}}"#,
    );
}

#[test]
fn people_are_told_the_rule_the_prefix_and_the_line() {
    Lab::new(POLICY).text(
        "udp 54.161.251.110:5060 198.51.100.10:5060",
        0,
        &expect![[r"
            pass
              reason   listed: A rule allows it.
              rule     kore/sip-udp
              prefix   54.161.251.110/32
              origin   allowlist `kore-us`, line 10 of its document
            --
        "]],
    );
}

#[test]
fn people_are_told_what_a_listed_source_may_send() {
    Lab::new(POLICY).text(
        "tcp 168.86.130.1 198.51.100.10:5060",
        0,
        &expect![[r"
            drop
              reason   port_closed: Its source is listed, but not for this destination port.
            --
            note: no source port is given: 49152 is assumed
            hint: 168.86.130.1 may send
              kore/media: UDP from port 10000-65535 to port 16384-32767
        "]],
    );
}

#[test]
fn people_are_told_of_listed_neighbours() {
    Lab::new(POLICY).text(
        "udp 54.161.251.111:5060 198.51.100.10:5060",
        0,
        &expect![[r"
            drop
              reason   source_unlisted: No rule names its source.
            --
            hint: its neighbour 54.161.251.110/32 is listed: allowlist `kore-us`, line 10 of its document
        "]],
    );
}

#[test]
fn people_are_told_that_monitor_mode_lets_a_drop_pass() {
    let lab = Lab::new("[sbc]\nmode = 'monitor'\n");
    lab.text(
        "udp 192.0.2.1 198.51.100.10:5060",
        0,
        &expect![[r#"
            drop
              reason   source_unlisted: No rule names its source.
            --
            note: no source port is given: 49152 is assumed
            note: `mode = "monitor"`: it is counted as dropped, and passes
        "#]],
    );
}

#[test]
fn packets_that_cannot_be_are_wrong_input() {
    let lab = Lab::new(POLICY);
    lab.text(
        "udp 192.0.2.1 198.51.100.10",
        2,
        &expect![[r"
        --
        error: to which port? UDP and TCP need one: `198.51.100.10`
    "]],
    );
    lab.text(
        "udp 192.0.2.1 [2001:db8::1]:5060",
        2,
        &expect![[r"
        --
        error: 192.0.2.1 and 2001:db8::1 are not of one family
    "]],
    );
    lab.text(
        "icmp 192.0.2.1:1 198.51.100.10",
        2,
        &expect![[r"
        --
        error: only UDP and TCP have ports
    "]],
    );
    lab.text(
        "udp --tcp-flags syn 192.0.2.1 198.51.100.10:1",
        2,
        &expect![[r"
        --
        error: only TCP has flags
    "]],
    );
    for arguments in [
        "sip 192.0.2.1 198.51.100.10:1",
        "256 192.0.2.1 198.51.100.10",
        "udp 192.0.2 198.51.100.10:1",
        "udp 192.0.2.1:0 198.51.100.10:1",
        "udp 2001:db8::1:5060:z 198.51.100.10:1",
        "tcp --tcp-flags syn,xyz 192.0.2.1 198.51.100.10:1",
    ] {
        assert_eq!(lab.explain(arguments).status.code(), Some(2), "{arguments}");
    }
}

#[test]
fn a_refused_policy_is_wrong_input() {
    Lab::new("[sbc]\nmode = 1\n").text(
        "udp 192.0.2.1 198.51.100.10:5060",
        2,
        &expect![[r#"
            --
            error: the policy is refused
            policy.toml:2: `mode` takes a string, not a TOML integer [wrong-type]
        "#]],
    );
}

#[test]
fn what_an_allowlist_denies_has_the_line_of_its_document() {
    let lab = Lab::new(
        "[[provider]]\nname = 'acme'\nservices = ['sip-tls']\nallowlist = 'acme.json'\n[sbc.listen]\nsip-tls = [5061]\n",
    );
    let setting =
        |name: &str, list: &str| format!("\"trunk_access_acl_{name}\":{{\"value\":{{\"instance\":[{list}]}}}}");
    let lists = [setting("allowList", "\"3.0.0.0/24\""), setting("denyList", "\"3.0.0.8/29\",\n\"3.0.0.66\"")];
    let write = |name: &str, text: &[u8]| std::fs::write(lab.0.path().join(name), text).unwrap();
    write("trunk.json", format!("{{\"properties\":{{{}}}}}", lists.join(",\n")).as_bytes());
    let mut import = Command::new(env!("CARGO_BIN_EXE_sipwall"));
    let imported = import.current_dir(lab.0.path()).args(["import", "--json", "trunk.json"]).output().unwrap();
    write("acme.json", &imported.stdout);
    lab.json(
        "tcp 3.0.0.66 198.51.100.10:5061",
        r#"{"action":"drop","rule":null,"reason":"provider_denied","matched_prefix":"3.0.0.66/32","origin":{"allowlist":"acme.json","line":3}}"#,
    );
}

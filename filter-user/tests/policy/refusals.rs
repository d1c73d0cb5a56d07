//! What is wrong with a policy file is said with its line, all at once.

use std::fs;

use expect_test::{Expect, expect};
use filter_user::{
    allowlist::{Protocol, Service},
    policy::{Policy, file::PolicyFile},
};
use proptest::prelude::*;

use crate::lab::{allowlist, policy};

const EXAMPLE: &str = include_str!("../../../examples/policy.toml");

fn check(text: &str, expected: &Expect) {
    let bare = allowlist("bare", &[(Service::Unspecified, Protocol::Any, &["192.0.2.0/24"], &[])]);
    let refused = policy(text, &[bare]).and_then(|policy| policy.compile()).err().expect("it is refused");
    expected.assert_eq(&refused.to_string());
}

#[test]
fn every_error_of_a_file_is_reported_at_once() {
    check(
        "[sbc]
mode = 'enforced'
colour = 3
scope = 1
addresses = ['198.51.100.0/24']
reply_ports = []
[sbc.listen]
sip-udp = [0, 5060]
sip-tcp = []
sip-tls = ['20-10']
sip-wss = 'on'
media = [65536, true]
https = [443]
[classes]
ping = true
arp = 'drop'
[limits]
sip = '200/s'
media = 'off'
[bogus]
",
        &expect![[r#"
            policy.toml:2: `mode` does not take `"enforced"` [unknown-value]
            hint: it takes `"enforce"` or `"monitor"`
            policy.toml:3: [sbc] has no key `colour` [unknown-key]
            hint: it has `listen`, `interfaces`, `mode`, `scope`, `fragments`, `addresses`, `reply_ports`, `return_traffic`
            policy.toml:4: `scope` takes a string, not a TOML integer [wrong-type]
            policy.toml:5: `198.51.100.0/24` is not an address [bad-prefix]
            hint: write `192.0.2.1` or `2001:db8::1`
            policy.toml:6: `reply_ports` is empty [empty-list]
            policy.toml:8: port 0 is outside 1-65535 [bad-ports]
            policy.toml:9: `sip-tcp` is empty [empty-list]
            policy.toml:10: the range 20-10 is reversed [bad-ports]
            policy.toml:11: `sip-wss` does not take `"on"` [unknown-value]
            hint: it takes `"off"`
            policy.toml:12: port 65536 is outside 1-65535 [bad-ports]
            policy.toml:12: `media` takes ports: numbers, or ranges in quotes [wrong-type]
            policy.toml:13: [sbc.listen] has no key `https` [unknown-key]
            hint: it has `sip-udp`, `sip-tcp`, `sip-tls`, `sip-wss`, `media`
            policy.toml:15: `ping` takes a string, not a TOML boolean [wrong-type]
            policy.toml:16: [classes] has no key `arp` [unknown-key]
            hint: it has `link_control`, `dhcp`, `vrrp`, `ospf`, `bfd`, `ping`
            policy.toml:18: `200/s` is no rate (`200/s burst 400`, or `"off"`) [bad-rate]
            policy.toml:19: [limits] has no key `media` [unknown-key]
            hint: it has `sip`, `tcp`, `icmp`
            policy.toml:20: the policy has no key `bogus` [unknown-key]
            hint: it has `sbc`, `classes`, `limits`, `inspect`, `provider`, `allow`, `deny`"#]],
    );
}

#[test]
fn what_people_often_write_gets_a_hint_at_what_to_write() {
    check(
        "[sbc.listen]\nmedia = [16384-32767]\n",
        &expect![[r#"
            policy.toml:2: not TOML: invalid date, expected `-` (MM-DD) [syntax]
            hint: a range of ports stands in quotes: `["16384-32767"]`"#]],
    );
    check(
        "[sbc.listen]
media = '16384-32767'
[[allow]]
name = 'ssh'
from = '203.0.113.0/24'
tcp = 22
",
        &expect![[r#"
            policy.toml:2: `media` takes a list, not a TOML string [wrong-type]
            hint: write `media = ["16384-32767"]`
            policy.toml:5: `from` takes a list, not a TOML string [wrong-type]
            hint: write `from = ["203.0.113.0/24"]`
            policy.toml:6: `tcp` takes a list, not a TOML integer [wrong-type]
            hint: write `tcp = [22]`"#]],
    );
    check(
        "[allow]\nname = 'ssh'\n",
        &expect![[r#"
        policy.toml:1: `[allow]` is one table, and there can be several [wrong-type]
        hint: write `[[allow]]`"#]],
    );
}

#[test]
fn errors_in_lists_name_the_line_of_the_item() {
    check(
        "[[allow]]
name = 'ssh'
from = [
    '203.0.113.0/24',
    '203.0.113.1/24',
    'example.net',
    7,
]
tcp = [
    22,
    '22-',
]
protocols = [6, -1]
",
        &expect![[r#"
            policy.toml:5: `203.0.113.1/24` has bits set beyond its prefix length [host-bits]
            hint: write `203.0.113.0/24` for the network or `203.0.113.1` for the host
            policy.toml:6: `example.net` is neither an address nor a CIDR [bad-prefix]
            hint: write `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` or `2001:db8::/32`
            policy.toml:7: `from` takes a string, not a TOML integer [wrong-type]
            policy.toml:11: `22-` is not a port or a range of ports (`5060`, `10000-60000`) [bad-ports]
            policy.toml:13: `protocols` takes IP protocol numbers from 0 to 255 [bad-protocol]
            hint: the numbers stand in `/etc/protocols`"#]],
    );
}

#[test]
fn providers_and_trunks_are_checked_key_by_key() {
    check(
        "[[provider]]
name = 'allow'
allowlist = 'kore-us'
[[provider]]
name = 'Kore.ai'
trunk = { allow = ['192.0.2.1'], listen = { media = [1] }, listen_port = 5061 }
[[provider]]
name = 'kore'
source = 'http://example.net/kore'
refresh = 'often'
services = ['voice', 'unspecified']
media_source_ports = 'all'
regions = []
[[provider]]
name = 'kore'
[[provider]]
regions = ['eu']
[provider.trunk]
outbound_proxies = ['sip.example.net', '192.0.2.9:0', '[2001:db8::1]:5061']
use_source_address = 'yes'
",
        &expect![[r#"
            policy.toml:2: no provider can be called `allow`: own rules are named so [bad-name]
            policy.toml:5: `Kore.ai` cannot be a name [bad-name]
            hint: use 1 to 31 of `a-z`, `0-9` and `-`
            policy.toml:6: `listen` of [provider.trunk] has no key `media` [unknown-key]
            hint: it has `sip-udp`, `sip-tcp`, `sip-tls`, `sip-wss`
            policy.toml:6: [provider.trunk] has no key `listen_port` [unknown-key]
            hint: it has `listen`, `allow`, `always_deny`, `outbound_proxies`, `use_source_address`
            policy.toml:9: `http://example.net/kore` is not fetched with TLS: anyone on the way could let himself in [bad-source]
            hint: write an `https://` URL; `http://` is for `127.0.0.1`, `[::1]` and `localhost` alone
            policy.toml:10: `refresh` takes a length of time, not `often` [bad-duration]
            hint: write `30m`, `6h` or `7d`
            policy.toml:11: `services` does not take `"voice"` [unknown-value]
            hint: it takes `"sip-udp"` or `"sip-tcp"` or `"sip-tls"` or `"sip-wss"` or `"media"` or `"turn"` or `"https"` or `"other"`
            policy.toml:11: `services` does not take `"unspecified"` [unknown-value]
            hint: it takes `"sip-udp"` or `"sip-tcp"` or `"sip-tls"` or `"sip-wss"` or `"media"` or `"turn"` or `"https"` or `"other"`
            policy.toml:12: `media_source_ports` does not take `"all"` [unknown-value]
            hint: it takes `"published"` or `"any"`
            policy.toml:13: `regions` is empty [empty-list]
            policy.toml:14: [[provider]] has neither an `allowlist` nor a `source` nor a `trunk` [missing-key]
            policy.toml:15: [[provider]] `kore` has the name of the one on line 8 [duplicate-name]
            policy.toml:16: [[provider]] has no `name` [missing-key]
            policy.toml:17: `regions` chooses from an `allowlist`, and there is none [missing-key]
            policy.toml:19: `sip.example.net` is neither an address nor an address with a port [bad-proxy]
            hint: write `203.0.113.9`, `203.0.113.9:5061` or `[2001:db8::9]:5061`; a name cannot be enforced
            policy.toml:19: `192.0.2.9:0` is neither an address nor an address with a port [bad-proxy]
            hint: write `203.0.113.9`, `203.0.113.9:5061` or `[2001:db8::9]:5061`; a name cannot be enforced
            policy.toml:20: `use_source_address` takes `true` or `false`, not a TOML string [wrong-type]"#]],
    );
}

#[test]
fn what_does_not_fit_the_allowlists_is_refused_at_the_provider() {
    check(
        "[[provider]]
name = 'twilio'
allowlist = 'twilio-interconnect'
regions = [
    'ashburn-ix',
    'mars-ix',
]
[[provider]]
name = 'moon'
allowlist = 'kore-moon'
[[provider]]
name = 'cloud'
allowlist = 'bare'
",
        &expect![[r#"
            policy.toml:6: the allowlist of `twilio` knows no region `mars-ix` [unknown-region]
            hint: it knows `Asia Pacific Singapore`, `Asia Pacific Sydney`, `Asia Pacific Tokyo`, `Europe Frankfurt`, `Europe London`, `North America San Jose`, `North America Virginia`, `South America São Paulo`, `ashburn-ix`, `au1-ix`, `br1-ix`, `de1-ix`, `frankfurt-ix`, `gll-ix`, `ie1-ix`, `jp1-ix`, `london-ix`, `roaming`, `san-jose-ix`, `sao-paulo-ix`, `sg1-ix`, `singapore-ix`, `sydney-ix`, `tokyo-ix`, `us1-ix`, `us2-ix`
            policy.toml:10: kore-moon: cannot read the allowlist: No such file or directory (os error 2) [unknown-allowlist]
            hint: the built-in allowlists are `kore-us`, `twilio-interconnect`
            policy.toml:12: the allowlist of `cloud` does not say what runs at its addresses (line 1 of the document) [missing-services]
            hint: say it in the provider: `services = ["sip-tls", "media"]`"#]],
    );
    check(
        "[sbc.listen]
sip-udp = [5060]

[[provider]]
name = 'kore'
allowlist = 'kore-us'
",
        &expect![[r#"
            policy.toml:5: `kore` has sip-tcp, and [sbc.listen] does not say on which of your ports [missing-listen]
            hint: set `sip-tcp = [5060]` there, or `sip-tcp = "off"` if you take none
            policy.toml:5: `kore` has sip-tls, and [sbc.listen] does not say on which of your ports [missing-listen]
            hint: set `sip-tls = [5061]` there, or `sip-tls = "off"` if you take none
            policy.toml:5: `kore` has sip-wss, and [sbc.listen] does not say on which of your ports [missing-listen]
            hint: set `sip-wss = [8443]` there, or `sip-wss = "off"` if you take none
            policy.toml:5: `kore` has media, and [sbc.listen] does not say on which of your ports [missing-listen]
            hint: set `media = ["16384-32767"]` there, or `media = "off"` if you take none"#]],
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_for_that_alone() {
    check("[sbc\nmode = 'enforced'\n", &expect!["policy.toml:1: not TOML: unclosed table, expected `]` [syntax]"]);
    check(
        "[sbc]\nmode = 'enforce'\nmode = 'monitor'\n[sbc]\n",
        &expect![[r#"
            policy.toml:3: not TOML: duplicate key [syntax]
            policy.toml:4: not TOML: duplicate key [syntax]"#]],
    );
    let nested = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(policy(&nested, &[]).unwrap_err().iter().all(|refusal| refusal.line == 1));
}

#[test]
fn more_errors_than_anyone_reads_are_counted() {
    let keys: Vec<_> = (0..60).map(|key| format!("key{key} = 1")).collect();
    let refused = policy(&keys.join("\n"), &[]).unwrap_err();
    assert_eq!(refused.iter().count(), 60);
    assert!(refused.to_string().ends_with("\nand 10 more"), "{refused}");
}

#[test]
fn files_are_named_with_their_own_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.toml");
    fs::write(&path, "[[deny]]\nname = 'abuse'\nfile = 'deny.txt'\n").unwrap();
    let refused = || Policy::load(&path).unwrap_err().to_string().replace(&directory.path().display().to_string(), "");
    assert!(refused().starts_with("/policy.toml:3: `/deny.txt` cannot be read: "), "{}", refused());
    fs::write(directory.path().join("deny.txt"), "# who\n192.0.2.1 # him\n\n192.0.2.0/33\n2001:db8::1/32\n").unwrap();
    expect![[r#"
        /deny.txt:4: `192.0.2.0/33` is neither an address nor a CIDR [bad-prefix]
        hint: write `192.0.2.1`, `192.0.2.0/24`, `2001:db8::1` or `2001:db8::/32`
        /deny.txt:5: `2001:db8::1/32` has bits set beyond its prefix length [host-bits]
        hint: write `2001:db8::/32` for the network or `2001:db8::1` for the host"#]]
    .assert_eq(&refused());
    fs::write(directory.path().join("deny.txt"), "# who\n192.0.2.1 # him\n\n2001:db8::/32\n").unwrap();
    let file = PolicyFile::read(&path).unwrap();
    let denied: Vec<_> = file.denies[0].from.iter().map(|(prefix, origin)| (prefix.to_string(), origin.line)).collect();
    assert_eq!(denied, [("192.0.2.1/32".to_owned(), 2), ("2001:db8::/32".to_owned(), 4)]);
    let missing = Policy::load(&directory.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("none.toml: the policy cannot be read: "), "{missing}");
}

proptest! {
    /// Cutting, doubling and swapping pieces of a whole policy leads to every reader.
    #[test]
    fn a_damaged_policy_is_refused_within_its_lines_or_read(cut in 0..EXAMPLE.len(), length in 0..200_usize, to in 0..EXAMPLE.len()) {
        let at = |place: usize| (place..=EXAMPLE.len()).find(|place| EXAMPLE.is_char_boundary(*place)).unwrap();
        let (from, until, to) = (at(cut), at((cut + length).min(EXAMPLE.len())), at(to));
        let cut_out = format!("{}{}", &EXAMPLE[..from], &EXAMPLE[until..]);
        let put_in = format!("{}{}{}", &EXAMPLE[..to], &EXAMPLE[from..until], &EXAMPLE[to..]);
        for text in [cut_out, put_in] {
            let lines = u32::try_from(text.lines().count()).unwrap() + 1;
            if let Err(refusals) = policy(&text, &[]).and_then(|policy| policy.compile()) {
                prop_assert!(refusals.iter().all(|refusal| refusal.line <= lines), "{}", refusals);
            }
        }
    }
}

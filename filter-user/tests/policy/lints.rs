//! Lints stay silent where there is nothing to say; what earns them stands in the documentation's examples.

use filter_user::{
    allowlist::{Protocol, Service},
    policy::Lint,
};

use crate::lab::{allowlist, policy};

const SSH: &str = "
    [[allow]]
    name = 'ssh'
    from = ['203.0.113.0/24']
    tcp = [22]
";

fn check(text: &str, expected: &[Lint]) {
    let rows: [(_, _, &[&str], &[&str]); 2] = [
        (Service::SipTls, Protocol::Tcp, &["192.0.2.0/28"], &["5061"]),
        (Service::Media, Protocol::Udp, &["192.0.2.0/28"], &["10000-20000"]),
    ];
    let policy = policy(text, &[allowlist("acme", &rows)]).unwrap_or_else(|refusals| panic!("{refusals}"));
    let compiled = policy.compile().unwrap_or_else(|refusals| panic!("{refusals}"));
    let advice = policy.lint(&compiled);
    let lints: Vec<_> = advice.iter().map(|advice| advice.lint).collect();
    assert_eq!(lints, expected, "{text}\n{advice:#?}");
}

/// A provider with all that it needs, on these listening ports.
fn acme(listen: &str, more: &str) -> String {
    format!("{SSH}[[provider]]\nname = 'acme'\nallowlist = 'acme'\n{more}\n[sbc.listen]\n{listen}\n")
}

const LISTEN: &str = "sip-tls = [5061]\nmedia = ['16384-32767']";

#[test]
fn a_policy_in_order_earns_none() {
    check(SSH, &[]);
    check(&acme(LISTEN, ""), &[]);
    check(&acme(LISTEN, "media_source_ports = 'any'"), &[]);
}

#[test]
fn only_ports_below_1024_that_are_not_websockets_are_low() {
    let with = |key: &str| acme(&format!("{LISTEN}\n{key}"), "");
    check(&with("sip-udp = [1024]"), &[]);
    check(&with("sip-udp = [1023]"), &[Lint::LowListenPort]);
    check(&with("sip-wss = [80, 443]"), &[]);
    check(&with("sip-wss = [81]"), &[Lint::LowListenPort]);
    check(&with("sip-tcp = [443]"), &[Lint::LowListenPort]);
    check(&acme(LISTEN, "trunk = { listen = { sip-tls = [5061, 900] } }"), &[Lint::LowListenPort]);
}

#[test]
fn media_may_touch_sip_and_overlap_sip_over_tcp() {
    check(&acme("sip-udp = [5060]\nsip-tls = [16384]\nmedia = ['5061-32767']", ""), &[]);
    check(&acme("sip-udp = [5061]\nsip-tls = [16384]\nmedia = ['5061-32767']", ""), &[Lint::MediaOverlapsSip]);
    let trunk = "trunk = { listen = { sip-tls = [5081], sip-udp = [20000] } }";
    check(&acme(LISTEN, trunk), &[Lint::MediaOverlapsSip]);
}

#[test]
fn replies_need_the_ports_that_linux_opens_connections_from() {
    let with = |ports: &str| format!("[sbc]\nreply_ports = [{ports}]\n{}", acme(LISTEN, ""));
    check(&with("'32768-60999'"), &[]);
    check(&with("'32769-60999'"), &[Lint::RepliesNotCovered]);
    check(&with("'32768-60998'"), &[Lint::RepliesNotCovered]);
    let own =
        |ports: &str| format!("{}[[allow]]\nname = 'x'\nfrom = ['203.0.113.1']\ntcp = [{ports}]\n", acme(LISTEN, ""));
    check(&own("40000"), &[]);
    check(&own("'40000-40100'"), &[Lint::RepliesNotCovered]);
    check(&own("'30000-32767'"), &[]);
}

#[test]
fn a_trunk_is_free_to_use_5060_inside_and_other_ports_outside() {
    let media = "[[allow]]\nname = 'media'\nfrom = ['10.0.0.0/8']\nudp = ['16384-32767']\n";
    let trunk = |from: &str, port: u16| {
        format!(
            "{SSH}{media}[[provider]]\nname = 'pbx'\ntrunk = {{ listen = {{ sip-udp = [{port}] }}, allow = ['{from}'] }}\n\
             [sbc.listen]\nmedia = ['16384-32767']\n"
        )
    };
    check(&trunk("10.1.0.0/16", 5060), &[]);
    check(&trunk("198.51.100.0/24", 5070), &[]);
    check(&trunk("198.51.100.0/24", 5060), &[Lint::TrunkOn5060]);
    check(&trunk("fd00::/8", 5060), &[Lint::WideSource]);
    check(&trunk("fd00::/16", 5060), &[]);
}

#[test]
fn management_is_missed_only_where_everything_is_judged() {
    check("[sbc]\nscope = 'ports'\n[[allow]]\nname = 'x'\nfrom = ['192.0.2.1']\nudp = [161]\n", &[Lint::DeadRule]);
    check("[[allow]]\nname = 'x'\nfrom = ['192.0.2.1']\nudp = [161]\n", &[Lint::NoManagementAccess]);
    check("[[allow]]\nname = 'x'\nfrom = ['192.0.2.1']\nprotocols = [6]\n", &[]);
}

#[test]
fn rules_are_dead_where_others_or_denies_leave_them_nothing() {
    let rule =
        |name: &str, from: &str, tcp: &str| format!("[[allow]]\nname = '{name}'\nfrom = ['{from}']\ntcp = [{tcp}]\n");
    let wide = rule("wide", "10.0.0.0/8", "'1-100'");
    check(&format!("{wide}{}", rule("inside", "10.1.0.0/16", "22")), &[Lint::DeadRule]);
    check(&format!("{}{wide}", rule("inside", "10.1.0.0/16", "22")), &[]);
    check(&format!("{wide}{}", rule("beside", "10.1.0.0/16", "101")), &[]);
    check(&format!("{wide}{}", rule("around", "10.0.0.0/8', '11.0.0.0/8", "22")), &[]);
    check(&rule("martian", "127.0.0.0/8", "22"), &[Lint::DeadRule]);
    let denied = |prefix| format!("{wide}[[deny]]\nname = 'd'\nfrom = ['{prefix}']\n");
    check(&denied("10.0.0.0/7"), &[Lint::DeadRule]);
    check(&denied("10.0.0.0/9"), &[]);
    let trunk = |deny| {
        format!(
            "{SSH}[[provider]]\nname = 't'\ntrunk = {{ listen = {{ sip-tls = [5081] }}, allow = ['10.0.0.0/24'], always_deny = ['{deny}'] }}\n"
        )
    };
    check(&trunk("10.0.0.0/25"), &[Lint::ProviderWithoutMedia]);
    check(&trunk("10.0.0.0/23"), &[Lint::ProviderWithoutMedia, Lint::DeadRule, Lint::DeadRule]);
}

#[test]
fn a_trunks_port_is_shared_with_other_providers_too() {
    let trunk = "trunk = { listen = { sip-tls = [5061] } }";
    check(&acme(LISTEN, trunk), &[]);
    let other = "[[provider]]\nname = 'other'\nallowlist = 'acme'\n";
    // The same addresses again: what the first provider's media and answers let in leaves the other's nothing.
    check(&format!("{}{other}", acme(LISTEN, trunk)), &[Lint::DeadRule, Lint::DeadRule, Lint::TrunkPortShared]);
}

#[test]
fn denies_are_noted_where_they_meet_a_providers_prefix_from_either_side() {
    let denied = |prefix| format!("{}[[deny]]\nname = 'd'\nfrom = ['{prefix}']\n", acme(LISTEN, ""));
    check(&denied("192.0.2.0/29"), &[Lint::DeniedSource]);
    check(&denied("192.0.2.16/28"), &[]);
    check(&denied("203.0.113.66"), &[]);
    check(&denied("192.0.2.0/24"), &[Lint::DeadRule, Lint::DeadRule, Lint::DeniedSource]);
}

#[test]
fn a_deny_list_is_named_once_with_its_first_hit() {
    let text =
        format!("{}[[deny]]\nname = 'd'\nfrom = ['203.0.113.9', '192.0.2.3', '192.0.2.8/29']\n", acme(LISTEN, ""));
    let rows: [(_, _, &[&str], &[&str]); 1] = [(Service::Media, Protocol::Udp, &["192.0.2.0/28"], &["10000-20000"])];
    let policy = policy(&text, &[allowlist("acme", &rows)]).unwrap();
    let advice = policy.lint(&policy.compile().unwrap());
    let [advice] = &advice[..] else { panic!("{advice:#?}") };
    let line = u32::try_from(text.lines().position(|line| line == "name = 'd'").unwrap()).unwrap() + 1;
    assert_eq!(advice.line, line);
    let expected = format!(
        "192.0.2.3/32 (policy.toml:{}) cuts off what a provider publishes, 192.0.2.0/28, and 1 more do so",
        line + 1
    );
    assert_eq!(advice.message, expected);
}

#[test]
fn a_rule_for_what_goes_to_multicast_wants_the_knob_too() {
    let peer =
        |protocols: &str| format!("{SSH}[[allow]]\nname = 'peer'\nfrom = ['10.10.0.1']\nprotocols = [{protocols}]\n");
    check(&peer("112"), &[Lint::MulticastByKnob]);
    check(&peer("89, 112"), &[Lint::MulticastByKnob; 2]);
    check(&format!("{}[classes]\nvrrp = 'pass'\n", peer("89, 112")), &[Lint::MulticastByKnob]);
    check(&format!("{}[classes]\nospf = 'pass'\nvrrp = 'pass'\n", peer("89, 112")), &[]);
    check(&format!("[sbc]\nscope = 'ports'\n{}", peer("112")), &[Lint::DeadRule; 2]);
    check(&peer("47"), &[]);
}

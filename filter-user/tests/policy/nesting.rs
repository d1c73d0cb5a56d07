//! Prefixes inside prefixes: across rules, providers, trunks and always-deny lists.

use filter_user::allowlist::{Protocol, Service};

use crate::lab::{Lab, allowlist};

const LISTEN: &str = "
    [sbc.listen]
    sip-udp = [5060]
    sip-tcp = [5060]
    sip-tls = [5061]
    media = ['16384-32767']
";

#[test]
fn a_prefix_inside_another_providers_prefix_keeps_both() {
    let inner = allowlist("inner", &[(Service::SipUdp, Protocol::Udp, &["54.172.60.0/30"], &["5060"])]);
    let outer = allowlist("outer", &[(Service::Turn, Protocol::Udp, &["54.172.60.0/23"], &["3478"])]);
    let providers = "
        [[provider]]
        name = 'inner'
        allowlist = 'inner'
        [[provider]]
        name = 'outer'
        allowlist = 'outer'
    ";
    Lab::new(&format!("{LISTEN}{providers}"), &[inner, outer]).check(&[
        ("udp 54.172.60.3:5060 198.51.100.10:5060", Ok("inner/sip-udp")),
        ("udp 54.172.60.3:3478 198.51.100.10:40000", Ok("outer/turn")),
        ("udp 54.172.60.4:3478 198.51.100.10:40000", Ok("outer/turn")),
        ("udp 54.172.60.4:5060 198.51.100.10:5060", Err("port_closed")),
        ("udp 54.172.61.255:3478 198.51.100.10:40000", Ok("outer/turn")),
    ]);
}

#[test]
fn one_prefix_with_other_ports_at_two_providers_has_both() {
    let providers = "
        sip-wss = 'off'
        [[provider]]
        name = 'twilio'
        allowlist = 'twilio-interconnect'
        [[provider]]
        name = 'kore'
        allowlist = 'kore-us'
    ";
    Lab::new(&format!("{LISTEN}{providers}"), &[]).check(&[
        ("udp 168.86.128.1:10000 198.51.100.10:20000", Ok("twilio/media")),
        ("udp 168.86.128.1:60000 198.51.100.10:20000", Ok("twilio/media")),
        ("udp 168.86.128.1:60001 198.51.100.10:20000", Ok("kore/media")),
        ("udp 168.86.128.1:9999 198.51.100.10:20000", Err("source_port")),
    ]);
}

const TRUNK: &str = "
    [[provider]]
    name = 'genesys'
    [provider.trunk]
    listen = { sip-tls = [5081] }
    allow = ['198.51.100.0/24', '203.0.113.5']
    always_deny = ['198.51.100.66', '198.51.100.128/25', '203.0.113.0/28']
    outbound_proxies = ['192.0.2.9:5071', '198.51.100.129:5061', '2001:db8::9']
";

#[test]
fn a_trunk_lets_in_its_allow_list_and_proxies_on_its_own_port_alone() {
    Lab::new(&format!("{LISTEN}{TRUNK}"), &[]).check(&[
        ("syn 198.51.100.1:40000 10.0.0.1:5081", Ok("genesys/sip-tls")),
        ("syn 198.51.100.1:40000 10.0.0.1:5061", Err("port_closed")),
        ("udp 198.51.100.1:5060 10.0.0.1:5060", Err("port_closed")),
        ("ack 198.51.100.1:5060 10.0.0.1:40000", Ok("genesys/sip-reply")),
        ("ack 198.51.100.1:5061 10.0.0.1:40000", Ok("genesys/sip-reply")),
        ("ack 198.51.100.1:5062 10.0.0.1:40000", Err("source_port")),
        ("syn 198.51.100.1:5060 10.0.0.1:40000", Err("opening_segment")),
        ("syn 192.0.2.9:40000 10.0.0.1:5081", Ok("genesys/sip-tls")),
        ("ack 192.0.2.9:5071 10.0.0.1:40000", Ok("genesys/sip-reply")),
        ("ack 192.0.2.9:5061 10.0.0.1:40000", Err("source_port")),
        ("syn 192.0.2.10:40000 10.0.0.1:5081", Err("source_unlisted")),
        ("syn [2001:db8::9]:40000 [2001:db8:1::1]:5081", Ok("genesys/sip-tls")),
        ("ack [2001:db8::9]:5060 [2001:db8:1::1]:40000", Ok("genesys/sip-reply")),
    ]);
}

#[test]
fn always_deny_wins_over_all_that_the_provider_allows_within_and_around() {
    Lab::new(&format!("{LISTEN}{TRUNK}"), &[]).check(&[
        ("syn 198.51.100.65:40000 10.0.0.1:5081", Ok("genesys/sip-tls")),
        ("syn 198.51.100.66:40000 10.0.0.1:5081", Err("provider_denied")),
        ("ack 198.51.100.66:5060 10.0.0.1:40000", Err("provider_denied")),
        ("syn 198.51.100.67:40000 10.0.0.1:5081", Ok("genesys/sip-tls")),
        ("syn 198.51.100.127:40000 10.0.0.1:5081", Ok("genesys/sip-tls")),
        ("syn 198.51.100.128:40000 10.0.0.1:5081", Err("provider_denied")),
        // A proxy inside a denied prefix.
        ("syn 198.51.100.129:40000 10.0.0.1:5081", Err("provider_denied")),
        // An allowed address inside a wider denied prefix, and its neighbour that nothing would allow.
        ("syn 203.0.113.5:40000 10.0.0.1:5081", Err("provider_denied")),
        ("syn 203.0.113.6:40000 10.0.0.1:5081", Err("source_unlisted")),
    ]);
}

#[test]
fn always_deny_leaves_the_rules_of_others_alone() {
    let allow = "
        [[allow]]
        name = 'ssh'
        from = ['198.51.100.0/24']
        tcp = [22]
    ";
    Lab::new(&format!("{LISTEN}{TRUNK}{allow}"), &[]).check(&[
        ("syn 198.51.100.66:40000 10.0.0.1:22", Ok("allow/ssh")),
        ("syn 198.51.100.66:40000 10.0.0.1:5081", Err("port_closed")),
    ]);
}

#[test]
fn a_trunk_without_ports_of_its_own_takes_those_of_the_sbc() {
    let trunk = "
        [[provider]]
        name = 'genesys'
        trunk = { allow = ['198.51.100.0/24'] }
    ";
    Lab::new(&format!("{LISTEN}{trunk}"), &[]).check(&[
        ("udp 198.51.100.1:1 10.0.0.1:5060", Ok("genesys/sip-udp")),
        ("syn 198.51.100.1:1 10.0.0.1:5060", Ok("genesys/sip-tcp")),
        ("syn 198.51.100.1:1 10.0.0.1:5061", Ok("genesys/sip-tls")),
        ("udp 198.51.100.1:1 10.0.0.1:16384", Err("port_closed")),
    ]);
}

#[test]
fn a_trunks_ports_and_always_deny_hold_for_the_providers_allowlist_too() {
    let mut acme = allowlist(
        "acme",
        &[
            (Service::SipTls, Protocol::Tcp, &["192.0.2.0/28"], &["5061"]),
            (Service::SipUdp, Protocol::Udp, &["192.0.2.0/28"], &["5060"]),
            (Service::Media, Protocol::Udp, &["192.0.2.0/24"], &["10000-20000"]),
        ],
    );
    acme.denied.push("192.0.2.7/32".parse().unwrap());
    let provider = "
        [[provider]]
        name = 'acme'
        allowlist = 'acme'
        trunk = { listen = { sip-tls = [5081] }, always_deny = ['192.0.2.5'] }
    ";
    Lab::new(&format!("{LISTEN}{provider}"), &[acme]).check(&[
        ("syn 192.0.2.4:40000 10.0.0.1:5081", Ok("acme/sip-tls")),
        ("syn 192.0.2.4:40000 10.0.0.1:5061", Err("port_closed")),
        ("udp 192.0.2.4:5060 10.0.0.1:5060", Err("port_closed")),
        ("udp 192.0.2.4:10000 10.0.0.1:16384", Ok("acme/media")),
        ("udp 192.0.2.5:10000 10.0.0.1:16384", Err("provider_denied")),
        ("syn 192.0.2.5:40000 10.0.0.1:5081", Err("provider_denied")),
        ("syn 192.0.2.7:40000 10.0.0.1:5081", Err("provider_denied")),
    ]);
}

#[test]
fn regions_choose_entries_and_entries_without_a_region_stay() {
    let providers = "
        [[provider]]
        name = 'twilio'
        allowlist = 'twilio-interconnect'
        regions = ['LONDON-IX']
    ";
    Lab::new(&format!("{LISTEN}{providers}"), &[]).check(&[
        ("udp 185.187.132.68:5060 198.51.100.10:5060", Ok("twilio/sip-udp")),
        ("udp 208.78.112.64:5060 198.51.100.10:5060", Err("source_unlisted")),
        ("udp 168.86.128.1:10000 198.51.100.10:20000", Ok("twilio/media")),
    ]);
}

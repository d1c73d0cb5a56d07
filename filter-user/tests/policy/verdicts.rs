//! Every kind of row lets in what it should, and its neighbours stay out.

use filter_user::allowlist::{Protocol, Service};

use crate::lab::{Lab, allowlist};

const LISTEN: &str = "
    [sbc.listen]
    sip-udp = [5060]
    sip-tcp = [5060]
    sip-tls = [5061]
    sip-wss = [8443]
    media = ['16384-32767']
";

fn with_listen(rest: &str) -> String {
    format!("{LISTEN}{rest}")
}

fn kore() -> Lab {
    Lab::new(&with_listen("[[provider]]\nname = 'kore'\nallowlist = 'kore-us'"), &[])
}

#[test]
fn sip_over_udp_is_let_in_from_any_port_to_the_listening_port() {
    kore().check(&[
        ("udp 54.161.251.110:5060 198.51.100.10:5060", Ok("kore/sip-udp")),
        ("udp 54.161.251.110:1 198.51.100.10:5060", Ok("kore/sip-udp")),
        ("udp 54.161.251.110:5060 198.51.100.10:5061", Err("port_closed")),
        ("udp 54.161.251.111:5060 198.51.100.10:5060", Err("source_unlisted")),
        ("udp 54.161.251.109:5060 198.51.100.10:5060", Err("source_unlisted")),
        // Listed for media alone.
        ("udp 44.215.230.111:6000 198.51.100.10:5060", Err("port_closed")),
    ]);
}

#[test]
fn sip_over_tcp_and_its_kin_is_opened_to_listening_ports_and_answered_on_reply_ports() {
    kore().check(&[
        ("syn 54.161.251.110:40000 198.51.100.10:5060", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:40000 198.51.100.10:5060", Ok("kore/sip-tcp")),
        ("syn 54.161.251.110:40000 198.51.100.10:5061", Ok("kore/sip-tls")),
        ("syn 3.224.189.218:40000 198.51.100.10:8443", Ok("kore/sip-wss")),
        ("ack 54.161.251.110:5060 198.51.100.10:40000", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:5061 198.51.100.10:40000", Ok("kore/sip-tls")),
        ("ack 3.224.189.218:8443 198.51.100.10:40000", Ok("kore/sip-wss")),
        ("syn 54.161.251.110:5060 198.51.100.10:40000", Err("opening_segment")),
        ("ack 54.161.251.110:5062 198.51.100.10:40000", Err("source_port")),
        ("ack 54.161.251.110:5060 198.51.100.10:1023", Err("port_closed")),
        ("syn 54.161.251.110:40000 198.51.100.10:8443", Err("port_closed")),
        ("syn 54.161.251.110:40000 198.51.100.10:5062", Err("port_closed")),
        ("syn 54.161.251.110:40000 198.51.100.10:22", Err("port_closed")),
    ]);
}

#[test]
fn media_is_let_in_from_published_ports_and_rows_do_not_leak_into_each_other() {
    kore().check(&[
        ("udp 54.161.251.110:6000 198.51.100.10:16384", Ok("kore/media")),
        ("udp 54.161.251.110:65535 198.51.100.10:32767", Ok("kore/media")),
        ("udp 54.161.251.110:5999 198.51.100.10:16384", Err("source_port")),
        ("udp 54.161.251.110:6000 198.51.100.10:16383", Err("port_closed")),
        ("udp 54.161.251.110:6000 198.51.100.10:32768", Err("port_closed")),
        ("udp 168.86.128.0:10000 198.51.100.10:20000", Ok("kore/media")),
        ("udp 168.86.191.255:65535 198.51.100.10:20000", Ok("kore/media")),
        ("udp 168.86.128.1:9999 198.51.100.10:20000", Err("source_port")),
        ("udp 168.86.127.255:10000 198.51.100.10:20000", Err("source_unlisted")),
        ("udp 168.86.192.0:10000 198.51.100.10:20000", Err("source_unlisted")),
        // Listed for signalling alone.
        ("udp 3.224.189.218:6000 198.51.100.10:20000", Err("port_closed")),
    ]);
}

#[test]
fn media_from_any_port_is_let_in_where_the_provider_says_so() {
    let text = with_listen("[[provider]]\nname = 'kore'\nallowlist = 'kore-us'\nmedia_source_ports = 'any'");
    Lab::new(&text, &[]).check(&[
        ("udp 54.161.251.110:1 198.51.100.10:16384", Ok("kore/media")),
        ("udp 168.86.128.1:9999 198.51.100.10:20000", Ok("kore/media")),
        ("udp 168.86.128.1:9999 198.51.100.10:16383", Err("port_closed")),
    ]);
}

#[test]
fn turn_answers_reach_reply_and_media_ports_and_relayed_media_the_media_ports() {
    kore().check(&[
        ("udp 34.203.254.7:3478 198.51.100.10:40000", Ok("kore/turn")),
        ("udp 34.203.254.7:3478 198.51.100.10:20000", Ok("kore/turn")),
        ("udp 34.203.254.7:1024 198.51.100.10:20000", Ok("kore/turn")),
        ("udp 34.203.254.7:1023 198.51.100.10:20000", Err("source_port")),
        ("udp 34.203.254.7:3479 198.51.100.10:40000", Err("source_port")),
        ("udp 34.203.254.7:3478 198.51.100.10:5060", Err("port_closed")),
        ("udp 34.203.255.0:3478 198.51.100.10:40000", Err("source_unlisted")),
        ("ack 34.203.254.7:443 198.51.100.10:40000", Ok("kore/turn")),
        ("ack 34.203.254.7:5349 198.51.100.10:40000", Ok("kore/turn")),
        ("ack 34.203.254.7:3478 198.51.100.10:40000", Ok("kore/turn")),
        ("ack 34.203.254.7:444 198.51.100.10:40000", Err("source_port")),
        ("syn 34.203.254.7:443 198.51.100.10:40000", Err("opening_segment")),
        ("ack 34.203.254.7:443 198.51.100.10:5061", Err("port_closed")),
    ]);
}

#[test]
fn other_rows_are_answered_and_never_opened() {
    kore().check(&[
        ("ack 54.161.251.110:10081 198.51.100.10:40000", Ok("kore/other")),
        ("syn 54.161.251.110:10081 198.51.100.10:40000", Err("opening_segment")),
        ("ack 54.161.251.110:10082 198.51.100.10:40000", Err("source_port")),
        ("ack 3.224.189.218:10081 198.51.100.10:40000", Err("source_port")),
    ]);
    let acme = allowlist(
        "acme",
        &[
            (Service::Https, Protocol::Any, &["192.0.2.1"], &["443"]),
            (Service::Other, Protocol::Any, &["192.0.2.2"], &["7000"]),
        ],
    );
    Lab::new(&with_listen("[[provider]]\nname = 'acme'\nallowlist = 'acme'"), &[acme]).check(&[
        ("ack 192.0.2.1:443 198.51.100.10:40000", Ok("acme/https")),
        ("udp 192.0.2.1:443 198.51.100.10:40000", Err("port_closed")),
        ("ack 192.0.2.2:7000 198.51.100.10:40000", Ok("acme/other")),
        ("udp 192.0.2.2:7000 198.51.100.10:40000", Ok("acme/other")),
        ("udp 192.0.2.2:7000 198.51.100.10:20000", Err("port_closed")),
    ]);
}

#[test]
fn rows_that_say_nothing_of_services_or_ports_take_the_providers_services() {
    let acme = allowlist("acme", &[(Service::Unspecified, Protocol::Any, &["192.0.2.0/28", "2001:db8::/64"], &[])]);
    let text = with_listen("[[provider]]\nname = 'acme'\nallowlist = 'acme'\nservices = ['sip-tls', 'media']");
    Lab::new(&text, &[acme]).check(&[
        ("syn 192.0.2.1:40000 198.51.100.10:5061", Ok("acme/sip-tls")),
        ("ack 192.0.2.1:5061 198.51.100.10:40000", Ok("acme/sip-tls")),
        ("udp 192.0.2.15:1 198.51.100.10:16384", Ok("acme/media")),
        ("udp [2001:db8::9]:1 [2001:db8:1::1]:16384", Ok("acme/media")),
        ("syn [2001:db8::9]:1 [2001:db8:1::1]:5061", Ok("acme/sip-tls")),
        ("syn [2001:db8:0:1::9]:1 [2001:db8:1::1]:5061", Err("source_unlisted")),
        ("udp 192.0.2.1:5060 198.51.100.10:5060", Err("port_closed")),
        ("syn 192.0.2.16:40000 198.51.100.10:5061", Err("source_unlisted")),
    ]);
}

#[test]
fn a_service_that_is_off_is_answered_but_not_opened() {
    let text = "
        [sbc.listen]
        sip-udp = 'off'
        sip-tcp = 'off'
        sip-tls = [5061]
        [[provider]]
        name = 'acme'
        allowlist = 'acme'
    ";
    let rows: [(_, _, &[&str], &[&str]); 2] = [
        (Service::SipUdp, Protocol::Udp, &["192.0.2.1"], &["5060"]),
        (Service::SipTcp, Protocol::Tcp, &["192.0.2.1"], &["5060"]),
    ];
    Lab::new(text, &[allowlist("acme", &rows)]).check(&[
        ("udp 192.0.2.1:5060 198.51.100.10:5060", Err("port_closed")),
        ("syn 192.0.2.1:5060 198.51.100.10:5060", Err("opening_segment")),
        ("syn 192.0.2.1:5060 198.51.100.10:5061", Err("port_closed")),
        ("ack 192.0.2.1:5060 198.51.100.10:40000", Ok("acme/sip-tcp")),
        ("ack 192.0.2.1:5060 198.51.100.10:5061", Err("port_closed")),
    ]);
}

#[test]
fn reply_ports_end_at_every_listening_port_of_the_protocol() {
    let text = with_listen(
        "[[provider]]
        name = 'kore'
        allowlist = 'kore-us'
        [[provider]]
        name = 'trunk'
        trunk = { listen = { sip-tls = [40001] }, allow = ['192.0.2.1'] }
        [[allow]]
        name = 'admin'
        from = ['203.0.113.0/24']
        tcp = [40002]
        udp = [40003]",
    );
    Lab::new(&text, &[]).check(&[
        ("ack 54.161.251.110:5060 198.51.100.10:40000", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:5060 198.51.100.10:40001", Err("port_closed")),
        ("ack 54.161.251.110:5060 198.51.100.10:40002", Err("port_closed")),
        ("ack 54.161.251.110:5060 198.51.100.10:40003", Ok("kore/sip-tcp")),
        ("udp 34.203.254.7:3478 198.51.100.10:40002", Ok("kore/turn")),
        ("udp 34.203.254.7:3478 198.51.100.10:40003", Err("port_closed")),
    ]);
}

#[test]
fn reply_ports_can_be_narrowed() {
    let text = format!(
        "[sbc]\nreply_ports = ['50000-50010', 60000]\n{LISTEN}[[provider]]\nname = 'kore'\nallowlist = 'kore-us'"
    );
    Lab::new(&text, &[]).check(&[
        ("ack 54.161.251.110:5060 198.51.100.10:50000", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:5060 198.51.100.10:50010", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:5060 198.51.100.10:60000", Ok("kore/sip-tcp")),
        ("ack 54.161.251.110:5060 198.51.100.10:49999", Err("port_closed")),
        ("ack 54.161.251.110:5060 198.51.100.10:50011", Err("port_closed")),
    ]);
}

#[test]
fn own_allows_open_ports_and_protocols_to_their_sources() {
    let text = "
        [[allow]]
        name = 'ssh'
        from = ['203.0.113.0/24']
        tcp = [22]
        [[allow]]
        name = 'snmp'
        from = ['203.0.113.1', '2001:db8::/32']
        udp = ['161-162']
        [[allow]]
        name = 'router'
        from = ['203.0.113.2']
        protocols = [1, 47, 112]
        [[allow]]
        name = 'backup'
        from = ['203.0.113.3']
        protocols = [6, 17]
    ";
    Lab::new(text, &[]).check(&[
        ("syn 203.0.113.77:40000 198.51.100.10:22", Ok("allow/ssh")),
        ("ack 203.0.113.77:40000 198.51.100.10:22", Ok("allow/ssh")),
        ("syn 203.0.113.77:40000 198.51.100.10:23", Err("port_closed")),
        ("syn 203.0.114.1:40000 198.51.100.10:22", Err("source_unlisted")),
        ("udp 203.0.113.77:40000 198.51.100.10:22", Err("port_closed")),
        ("udp 203.0.113.1:40000 198.51.100.10:162", Ok("allow/snmp")),
        ("udp 203.0.113.1:40000 198.51.100.10:163", Err("port_closed")),
        ("udp [2001:db8::7]:9 [2001:db8:1::1]:161", Ok("allow/snmp")),
        ("47 203.0.113.2 198.51.100.10", Ok("allow/router")),
        ("112 203.0.113.2 198.51.100.10", Ok("allow/router")),
        ("ping 203.0.113.2 198.51.100.10", Ok("allow/router")),
        ("46 203.0.113.2 198.51.100.10", Err("protocol_unlisted")),
        ("47 203.0.113.1 198.51.100.10", Err("protocol_unlisted")),
        ("ping 203.0.113.1 198.51.100.10", Err("echo_request")),
        ("syn 203.0.113.3:40000 198.51.100.10:65535", Ok("allow/backup")),
        ("udp 203.0.113.3:1 198.51.100.10:1", Ok("allow/backup")),
    ]);
}

#[test]
fn the_deny_list_wins_over_every_rule() {
    let text = "
        [[allow]]
        name = 'ssh'
        from = ['203.0.113.0/24']
        tcp = [22]
        [[deny]]
        name = 'abuse'
        from = ['203.0.113.66', '203.0.113.128/25']
    ";
    Lab::new(text, &[]).check(&[
        ("syn 203.0.113.65:40000 198.51.100.10:22", Ok("allow/ssh")),
        ("syn 203.0.113.66:40000 198.51.100.10:22", Err("denied")),
        ("syn 203.0.113.67:40000 198.51.100.10:22", Ok("allow/ssh")),
        ("syn 203.0.113.200:40000 198.51.100.10:22", Err("denied")),
        ("ping 203.0.113.66 198.51.100.10", Err("denied")),
    ]);
}

#[test]
fn modes_addresses_and_classes_reach_the_decision() {
    let text = "
        [sbc]
        addresses = ['198.51.100.10', '2001:db8:1::1']
        [classes]
        ping = 'pass'
        [[allow]]
        name = 'ssh'
        from = ['203.0.113.0/24', '2001:db8::/32']
        tcp = [22]
    ";
    Lab::new(text, &[]).check(&[
        ("syn 203.0.113.1:40000 198.51.100.10:22", Ok("allow/ssh")),
        ("syn 203.0.113.1:40000 198.51.100.11:22", Err("destination_foreign")),
        ("syn 198.51.100.10:40000 198.51.100.10:22", Err("own_source")),
        ("syn [2001:db8::7]:40000 [2001:db8:1::1]:22", Ok("allow/ssh")),
        ("syn [2001:db8::7]:40000 [2001:db8:1::2]:22", Err("destination_foreign")),
        ("ping 192.0.2.1 198.51.100.10", Err("ping")),
    ]);
}

#[test]
fn scope_ports_judges_only_the_ports_of_sip_and_media_each_of_its_protocol() {
    let text = format!(
        "[sbc]\nscope = 'ports'\n{LISTEN}
        [[provider]]
        name = 'trunk'
        trunk = {{ listen = {{ sip-tls = [5081] }}, allow = ['192.0.2.1'] }}"
    );
    Lab::new(&text, &[]).check(&[
        ("udp 203.0.113.1:5060 198.51.100.10:5060", Err("source_unlisted")),
        ("udp 203.0.113.1:5060 198.51.100.10:5061", Err("out_of_scope")),
        ("udp 203.0.113.1:5060 198.51.100.10:32767", Err("source_unlisted")),
        ("udp 203.0.113.1:5060 198.51.100.10:32768", Err("out_of_scope")),
        ("syn 203.0.113.1:5060 198.51.100.10:16384", Err("out_of_scope")),
        ("syn 203.0.113.1:5060 198.51.100.10:8443", Err("source_unlisted")),
        ("syn 203.0.113.1:5060 198.51.100.10:5081", Err("source_unlisted")),
        ("syn 192.0.2.1:5060 198.51.100.10:5081", Ok("trunk/sip-tls")),
        ("syn 203.0.113.1:5060 198.51.100.10:22", Err("out_of_scope")),
    ]);
}

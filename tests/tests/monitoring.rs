//! A real run in a network namespace, watched by a real Prometheus and a real browser.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use filter_common::Reason;
use filter_user::telemetry::concerns_listed;
use serde_json::Value;
use tests::{
    browser::{Browser, Look},
    grafana::queries,
    http::{ask, get},
    moments::{Listening, at_risk, moment},
    packaging::packaging,
    prometheus::{Prometheus, promtool},
    scene::{CARRIER, SBC, SCANNER, Scene, packets},
    service::{Service, wait_for},
};

const LISTENER: &str = "127.0.0.1:9464";

fn listener() -> SocketAddr {
    LISTENER.parse().expect("an address")
}

/// The service with a listener, whose carrier's document is a file that is read again and again.
fn watched(scene: &Scene) -> Service<'_> {
    let policy =
        scene.policy("policy.toml", &[("allowlist = \"carrier.toml\"", "source = \"carrier.toml\"\nrefresh = \"1h\"")]);
    let mut service = Service::launch(scene, &policy, &["--listen", LISTENER], &[]);
    service.await_told("READY=1");
    service
}

/// Lets the carrier call, and the scanner scan, for as long as `during` takes; the carrier also knocks where it may not,
/// while `astray` is set.
fn with_traffic<T>(scene: &Scene, astray: &AtomicBool, during: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let socket = |host, address| {
        let bound = scene.host(host).enter(|| UdpSocket::bind((address, 5060)));
        bound.expect("a host").expect("a free port")
    };
    let (carrier, scanner) = (socket("carrier", CARRIER), socket("scanner", SCANNER));
    let send = |from: &UdpSocket, port: u16, text: &str| drop(from.send_to(text.as_bytes(), (SBC, port)));
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0_u16.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                send(&carrier, 5060, "OPTIONS sip:198.51.100.10 SIP/2.0\r\n\r\n");
                send(&scanner, 5060 + round % 40, "REGISTER sip:198.51.100.10 SIP/2.0\r\n\r\n");
                if round % 10 == 0 && astray.load(Ordering::Relaxed) {
                    send(&carrier, 80, "GET / HTTP/1.1\r\n\r\n");
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(during));
        done.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Whether there may be nothing to show: the policy did not change, no listed source is denied, and the host is in no fleet.
fn may_be_empty(query: &str) -> bool {
    query.starts_with("changes(")
        || query.ends_with("> 0") && query.contains("sipwall_listed_denied_packets")
        || query.contains("sipwall_fleet_")
}

#[test]
fn prometheus_scrapes_a_real_run_and_every_query_of_the_dashboard_answers() {
    let scene = Scene::new();
    let _service = watched(&scene);
    let rules = packaging("prometheus/sipwall.rules.yml").canonicalize().expect("the rules");
    let watch = || {
        let prometheus = Prometheus::start(9090, listener(), &rules);
        wait_for("a rate is known", || {
            let rate = "rate(sipwall_rule_packets_total{provider=\"carrier\",service=\"sip-udp\"}[20s]) > 0";
            (!prometheus.query(rate).is_empty()).then_some(())
        });
        // What is looked at now and then was looked at.
        wait_for("the document's age is known", || {
            (!prometheus.query("sipwall_refresh_age_seconds").is_empty()).then_some(())
        });
        for query in queries() {
            let values = prometheus.query(&query);
            assert!(!values.is_empty() || may_be_empty(&query), "nothing for {query}");
        }
        for variable in ["sipwall_build_info", "sipwall_attached{instance=~\".*\"}"] {
            assert!(!prometheus.query(variable).is_empty(), "{variable}");
        }
        let rules = prometheus.rules();
        assert_eq!(rules.len(), 16);
        for rule in rules {
            assert_eq!(rule["health"], "ok", "{rule}");
        }
    };
    with_traffic(&scene, &AtomicBool::new(true), || scene.host("sbc").enter(watch).expect("a host"));
}

#[test]
fn the_metrics_are_what_stats_shows_and_name_no_source() {
    let scene = Scene::new();
    let service = watched(&scene);
    with_traffic(&scene, &AtomicBool::new(true), || {
        wait_for("packets were dropped", || {
            (packets(&scene.stats(), "reason", "port_closed", Some("drop")) > 0).then_some(())
        });
    });
    let stats = scene.stats();
    let page = |accept| {
        let asked = || ask(listener(), "GET", "/metrics", &[("host", LISTENER), ("accept", accept)]);
        scene.host("sbc").enter(asked).expect("a host")
    };
    let policy = scene.path("policy.toml");
    let policy = format!("sipwall_policy_info{{interface=\"eth0\",policy=\"{policy}\",scope=\"interface\"}}");
    let expected = [
        (
            "sipwall_rule_packets_total{interface=\"eth0\",provider=\"carrier\",service=\"sip-udp\"}",
            packets(&stats, "rule", "carrier/sip-udp", None),
        ),
        (
            "sipwall_packets_total{interface=\"eth0\",action=\"drop\",reason=\"source_unlisted\"}",
            packets(&stats, "reason", "source_unlisted", Some("drop")),
        ),
        (
            "sipwall_packets_total{interface=\"eth0\",action=\"drop\",reason=\"port_closed\"}",
            packets(&stats, "reason", "port_closed", Some("drop")),
        ),
        ("sipwall_packets_total{interface=\"eth0\",action=\"would_drop\",reason=\"source_unlisted\"}", 0),
        ("sipwall_attached{interface=\"eth0\"}", 1),
        ("sipwall_attach_mode{interface=\"eth0\",attach_mode=\"native\"}", 1),
        ("sipwall_mode{interface=\"eth0\",mode=\"enforce\"}", 1),
        ("sipwall_mode{interface=\"eth0\",mode=\"monitor\"}", 0),
        (&policy, 1),
        ("sipwall_policy_generation{interface=\"eth0\"}", 1),
        ("sipwall_confirm_pending{interface=\"eth0\"}", 0),
        ("sipwall_map_capacity{interface=\"eth0\",map=\"deny_v4\"}", 1_000_000),
        ("sipwall_map_entries{interface=\"eth0\",map=\"deny_v4\"}", 1),
        ("sipwall_policy_drift{interface=\"eth0\"}", 0),
        ("sipwall_refresh_failures_total{provider=\"carrier\"}", 0),
        ("sipwall_refresh_interval_seconds{provider=\"carrier\"}", 3600),
        ("sipwall_service_errors", 0),
    ];
    let text = wait_for(&format!("the metrics agree; the log is {:#?}", service.log()), || {
        let text = page("*/*").body;
        let missing =
            expected.iter().find(|(metric, value)| !text.lines().any(|line| line == format!("{metric} {value}")));
        missing.is_none().then_some(text)
    });
    let open = page("application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.body.ends_with("# EOF\n"));
    for text in [&text, &open.body] {
        assert!(!text.contains(SCANNER) && !text.contains(CARRIER), "a source is named");
    }
    promtool(&["check", "metrics"], &packaging(""), &text);
}

#[test]
fn promtool_has_nothing_to_complain_of() {
    let directory = packaging("prometheus");
    promtool(&["check", "rules", "sipwall.rules.yml"], &directory, "");
    promtool(&["test", "rules", "sipwall.rules.test.yml"], &directory, "");
    let mut interface = at_risk();
    interface.status.policy = Some("\"quoted\"\\ back\n<script>alert(1)</script>".to_owned());
    let listening = Listening::new(moment(interface));
    let page = get(listening.running.address(), "/metrics").body;
    let label = r#"policy="\"quoted\"\\ back\n<script>alert(1)</script>""#;
    assert!(page.contains(label), "{page}");
    promtool(&["check", "metrics"], &directory, &page);
}

#[test]
fn every_alert_has_a_case_that_fires_and_one_that_does_not() {
    let directory = packaging("prometheus");
    let read = |name: &str| fs::read_to_string(directory.join(name)).expect("a file");
    let (rules, cases) = (read("sipwall.rules.yml"), read("sipwall.rules.test.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), 16);
    for alert in alerts {
        let of_alert = |case: &&str| case.contains(&format!("alertname: {alert}\n"));
        let cases: Vec<_> = cases.split("  - name: ").filter(of_alert).collect();
        let silent = cases.iter().filter(|case| case.contains("exp_alerts: []")).count();
        assert!(silent > 0 || alert == "SipwallDown", "{alert} has no case in which it is silent");
        assert!(silent < cases.len(), "{alert} has no case in which it fires");
    }
}

/// The counters of `/metrics` that are of filters, by name and labels.
fn counters(scene: &Scene) -> BTreeMap<String, u64> {
    let page = scene.host("sbc").enter(|| get(listener(), "/metrics").body).expect("a host");
    let of_filters = |line: &&str| line.contains("_total{interface=");
    let parts = page.lines().filter(of_filters).map(|line| line.rsplit_once(' ').expect("a name and a value"));
    parts.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[test]
fn no_counter_goes_back_over_policies_restarts_and_upgrades() {
    let scene = Scene::new();
    let service = watched(&scene);
    let calls = "sipwall_rule_packets_total{interface=\"eth0\",provider=\"carrier\",service=\"sip-udp\"}";
    let scans = "sipwall_packets_total{interface=\"eth0\",action=\"drop\",reason=\"source_unlisted\"}";
    let mut last = BTreeMap::new();
    let mut look = |sent: u64| {
        let now = wait_for("all that was sent is counted", || {
            let now = counters(&scene);
            (now.get(calls) == Some(&sent) && now.get(scans) == Some(&sent)).then_some(now)
        });
        for (name, value) in std::mem::replace(&mut last, now.clone()) {
            assert!(now.get(&name).is_some_and(|now| *now >= value), "{name} was {value}: {:?}", now.get(&name));
        }
        assert!(now.len() > 100, "{now:?}");
    };
    let call_and_scan = || {
        assert_eq!((scene.datagrams("carrier", 5060), scene.datagrams("scanner", 5060)), (3, 0));
    };
    call_and_scan();
    look(3);
    // Another policy, which has other rules.
    let other = scene
        .policy("other.toml", &[("name = \"ssh\"", "name = \"shell\""), ("sip-tcp = [5060]", "sip-tcp = \"off\"")]);
    fs::rename(&other, scene.path("policy.toml")).expect("it is replaced");
    service.await_generation(2);
    call_and_scan();
    look(6);
    // Nobody looks for a while, and another build of the program takes over from this one.
    assert!(service.end_by(rustix::process::Signal::TERM).success());
    call_and_scan();
    let mut build = scene.host("sbc").command("sh");
    build.args(["-c", "rm /sys/fs/bpf/sipwall/v*/eth0/build"]);
    assert!(build.status().expect("`sh` runs").success());
    let before = scene.status();
    assert_eq!(before["is_this_build"], false, "{before}");
    let mut service = Service::launch(&scene, &scene.path("policy.toml"), &["--listen", LISTENER], &[]);
    service.await_told("READY=1");
    let after = scene.status();
    assert_eq!(after["is_this_build"], true, "{after}");
    assert_ne!(after["program_id"], before["program_id"]);
    call_and_scan();
    look(12);
}

#[test]
fn the_reasons_that_grafana_shows_are_those_that_the_dashboard_marks() {
    let marked = Reason::ALL.iter().filter(|reason| concerns_listed(**reason)).map(|reason| reason.name());
    let marked = marked.collect::<Vec<_>>().join("|");
    let text = fs::read_to_string(packaging("grafana/sipwall.json")).expect("a file");
    let lists: Vec<_> = text.split("reason=~").skip(1).filter(|list| list.contains('|')).collect();
    assert_eq!(lists.len(), 2);
    for list in lists {
        let list = list.trim_start_matches(['\\', '"']).split(['\\', '"']).next().expect("a list");
        assert_eq!(list, marked);
    }
}

#[test]
fn the_alert_tells_callers_from_others() {
    let scene = Scene::new();
    let own = [("from = [\"192.0.2.0/26\"", "from = [\"192.0.2.0/26\", \"192.0.2.99\"")];
    let policy = scene.policy("policy.toml", &own);
    let mut service = Service::launch(&scene, &policy, &["--listen", LISTENER], &[]);
    service.await_told("READY=1");
    let await_metrics = |lines: &[&str]| {
        wait_for(&format!("{lines:?}"), || {
            let page = scene.host("sbc").enter(|| get(listener(), "/metrics").body).expect("a host");
            lines.iter().all(|line| page.lines().any(|found| found == *line)).then_some(())
        });
    };
    let at_risk = |is: u8| format!("sipwall_calls_at_risk{{interface=\"eth0\"}} {is}");
    // A host that only an own allow names sends no calls, but to the ports of SIP.
    assert_eq!(scene.datagrams("scanner", 161), 0);
    let closed = "sipwall_packets_total{interface=\"eth0\",action=\"drop\",reason=\"port_closed\"} 3";
    await_metrics(&[closed, &at_risk(0)]);
    scene.sipwall(&["deny", "add", CARRIER]).assert_done();
    assert_eq!(scene.datagrams("carrier", 5060), 0);
    let denied = "sipwall_packets_total{interface=\"eth0\",action=\"drop\",reason=\"denied\"} 3";
    await_metrics(&[denied, &at_risk(1), "sipwall_unlisted_sip_packets{interface=\"eth0\"} 0"]);
}

#[test]
fn a_packet_is_explained_by_what_runs() {
    let scene = Scene::new();
    let _service = watched(&scene);
    let explained = |interface: &str, source: &str, port: u16| {
        let path = format!("/explain?interface={interface}&protocol=udp&source={source}:5060&destination={SBC}:{port}");
        let answer = scene.host("sbc").enter(|| get(listener(), &path)).expect("a host");
        (answer.code, serde_json::from_str::<Value>(&answer.body).unwrap_or(Value::String(answer.body)))
    };
    let by_what_runs = |source, port| {
        let (code, answer) = explained("eth0", source, port);
        assert_eq!(code, 200, "{answer}");
        answer
    };
    let note = |answer: &Value, text: &str| {
        let notes = answer["notes"].as_array().expect("notes");
        assert!(notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains(text))), "{answer}");
    };
    let listed = by_what_runs(CARRIER, 5060);
    let expected = ("pass", "carrier/sip-udp", "what runs on eth0, generation 1", "203.0.113.16/30", 3);
    let found = ["action", "rule", "by", "matched_prefix"].map(|key| listed[key].as_str().unwrap_or_default());
    let line = listed["origin"]["line"].as_u64().expect("a line");
    assert_eq!((found[0], found[1], found[2], found[3], line), expected, "{listed}");
    // What the policy file does not know.
    scene.sipwall(&["deny", "add", CARRIER, "--for", "1h"]).assert_done();
    let denied = by_what_runs(CARRIER, 5060);
    assert_eq!((&denied["action"], &denied["reason"]), (&"drop".into(), &"denied".into()), "{denied}");
    note(&denied, "203.0.113.17/32 is on the deny list, for 60 more minutes.");
    note(&denied, "The policy file alone says pass, listed.");
    scene.sipwall(&["allow", "add", SCANNER, "--udp", "5070", "--name", "guest"]).assert_done();
    let guest = by_what_runs(SCANNER, 5070);
    assert_eq!((&guest["action"], &guest["rule"]), (&"pass".into(), &"allow/guest".into()), "{guest}");
    note(&guest, "It is let in by the live allow `guest`.");
    // A policy that somebody else put in force.
    let other = scene
        .policy("other.toml", &[("sip-udp = [5060]", "sip-udp = [5080]"), ("[sbc]\n", "[sbc]\nmode = \"monitor\"\n")]);
    scene.sipwall(&["apply", &other, "--allow-lockout"]).assert_done();
    let moved = by_what_runs("203.0.113.18", 5060);
    assert_eq!((&moved["reason"], &moved["by"]), (&"source_port".into(), &"what runs on eth0, generation 2".into()));
    note(&moved, "`sipwall diff` shows what is different");
    note(&moved, "In monitor mode it is counted as dropped, and passes.");
    for interface in ["eth9", "../eth0", ""] {
        assert_eq!(explained(interface, CARRIER, 5060).0, 404, "`{interface}`");
    }
    scene.sipwall(&["detach", "eth0"]).assert_done();
    wait_for("nothing is attached", || (explained("eth0", CARRIER, 5060).0 == 404).then_some(()));
}

#[test]
fn the_dashboard_shows_a_real_run() {
    let scene = Scene::new();
    let mut service = Some(watched(&scene));
    let astray = AtomicBool::new(false);
    let look = || {
        let browser = Browser::start();
        browser.look(Look { width: 1440, height: 900, dark: false });
        browser.open(&format!("http://{LISTENER}/"));
        browser.await_true("document.querySelector('#verdict').textContent === 'Nothing of listed sources is refused'");
        browser.await_true("document.querySelector('#callers').textContent.includes('sip-udp')");
        browser.await_true("document.querySelector('#reasons').textContent.includes('source_unlisted')");
        browser.await_true("document.querySelector('#knockers').textContent.includes('192.0.2.99')");
        browser
            .await_true("document.querySelector('#drops').textContent.includes('REGISTER sip:198.51.100.10 SIP/2.0')");
        assert!(browser.text("#knocking").contains("192.0.2.99 (udp 50"), "{}", browser.text("#knocking"));
        assert!(browser.text("#facts").contains("native XDP on eth0"), "{}", browser.text("#facts"));
        // The chart has some of the past.
        browser.await_true("document.querySelector('.lane .curve').getAttribute('d').split('L').length > 20");
        browser.picture("real-run");
        astray.store(true, Ordering::Relaxed);
        browser.await_true("document.querySelector('#verdict').textContent === 'Calls at risk'");
        browser.await_true("document.querySelector('#reasons').textContent.includes('port_closed')");
        assert!(browser.text("#concerns").contains("from listed sources were refused"));
        browser.script(
            "const form = document.querySelector('#explain'); form.elements.source.value = '192.0.2.33:5060';
             form.elements.destination.value = '198.51.100.10:5060'; form.requestSubmit()",
        );
        browser.await_true("document.querySelector('#answer').textContent.includes('It is dropped')");
        let answer = browser.text("#answer");
        assert!(answer.contains("denied") && answer.contains("policy.toml, line"), "{answer}");
        assert!(answer.contains("By what runs on eth0, generation 1"), "{answer}");
        // Networks and ports too, over each time.
        for (by, span, found) in [("network", "minute", "192.0.2.0/24"), ("wanted", "hour", "udp 5060")] {
            browser.script(&format!(
                "for (const [id, value] of [['knockers-by', '{by}'], ['knockers-span', '{span}']]) {{
                   const pick = document.getElementById(id); pick.value = value; pick.dispatchEvent(new Event('change'));
                 }}"
            ));
            browser.await_true(&format!("document.querySelector('#knockers').textContent.includes('{found}')"));
        }
        assert_eq!(browser.console(), [""; 0]);
        drop(service.take());
        browser.await_true("document.querySelector('#connection').dataset.state === 'lost'");
        assert!(browser.text("#verdict").starts_with("Unknown: nothing was heard since"));
        service = Some(watched(&scene));
        browser.await_true("document.querySelector('#connection').dataset.state === 'live'");
        browser.await_true("document.querySelector('#verdict').textContent === 'Calls at risk'");
    };
    with_traffic(&scene, &astray, || scene.host("sbc").enter(look).expect("a host"));
}

#[test]
fn no_secret_is_logged() {
    let scene = Scene::new();
    let token = "0123456789abcdef0123456789abcdef";
    let file = scene.path("token");
    fs::write(&file, token).expect("a file");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    let policy = scene.policy("policy.toml", &[]);
    let mut service = Service::launch(&scene, &policy, &["--listen", LISTENER, "--listen-token", &file], &[]);
    service.await_told("READY=1");
    service.await_log(&["listening", "http://127.0.0.1:9464/"]);
    let code = |authorization: &str| {
        let asked = || ask(listener(), "GET", "/metrics", &[("host", LISTENER), ("authorization", authorization)]).code;
        scene.host("sbc").enter(asked).expect("a host")
    };
    let nearly = format!("Bearer {}x", &token[..31]);
    assert_eq!((code(&format!("Bearer {token}")), code(&nearly)), (200, 401));
    service.signal(rustix::process::Signal::HUP);
    service.await_log(&["reading the policy"]);
    let log = service.log().join("\n");
    assert!(!log.contains(&token[..16]), "{log}");
}

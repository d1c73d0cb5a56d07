//! The listener: who is answered, with what, and who is not.

#![expect(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
};

use filter_user::{
    kernel::{Confirmation, XdpMode},
    listener::{InterfaceSnapshot, ListenError, Settings, Snapshot, TlsFiles, Unreadable},
};
use serde_json::Value;
use tests::{
    http::{ask, connect, get, send},
    keys::{Keys, TOKEN},
    moments::{Listening, at_risk, calls_and_scan, carry, idle, loopback, moment},
    scene::Scene,
    service::{Service, wait_for},
};

fn refusal(settings: &Settings) -> String {
    settings.ready().map(drop).expect_err("it is refused").to_string()
}

#[test]
fn what_others_could_reach_needs_tls_and_a_token() {
    let keys = Keys::new();
    let everywhere = || Settings { address: ([0, 0, 0, 0], 0).into(), ..loopback(0) };
    let token = || Some(keys.path("token"));
    for settings in [
        everywhere(),
        Settings { address: "[::]:0".parse().expect("an address"), ..loopback(0) },
        Settings { token: token(), ..everywhere() },
        Settings { tls: Some(keys.tls(None)), ..everywhere() },
    ] {
        let said = refusal(&settings);
        assert!(said.contains("is not a loopback address"), "{said}");
        assert!(said.contains("\nhint: give it a certificate"), "{said}");
    }
    for settings in [
        loopback(0),
        Settings { address: "[::1]:0".parse().expect("an address"), ..loopback(0) },
        Settings { tls: Some(keys.tls(None)), token: token(), ..everywhere() },
        Settings { tls: Some(keys.tls(Some(keys.path("ca.pem")))), ..everywhere() },
    ] {
        settings.ready().expect("it is safe");
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let keys = Keys::new();
    let with_token = |path| refusal(&Settings { token: Some(path), ..loopback(0) });
    assert!(with_token(keys.secret("open", TOKEN, 0o644)).contains("is open to every user"));
    assert!(with_token(keys.secret("short", "0123456789abcde", 0o600)).contains("holds no token"));
    assert!(
        with_token(keys.secret("two lines", "0123456789abcdef\n0123456789abcdef", 0o600)).contains("holds no token")
    );
    assert!(with_token(keys.secret("large", &"a".repeat(5000), 0o600)).contains("too large"));
    assert!(with_token(keys.path("missing")).contains("cannot read"));
    let with_tls = |certificate: &str, key: &str, authorities: Option<&str>| {
        let tls = TlsFiles {
            certificate: keys.path(certificate),
            key: keys.path(key),
            client_authorities: authorities.map(|name| keys.path(name)),
        };
        refusal(&Settings { tls: Some(tls), ..loopback(0) })
    };
    assert!(with_tls("missing", "server.key", None).contains("holds no certificate"));
    assert!(with_tls("server.pem", "ca.pem", None).contains("holds no private key"));
    assert!(with_tls("ca.pem", "server.key", None).contains("does not suit"));
    assert!(with_tls("server.pem", "server.key", Some("token")).contains("holds no certificate"));
    for said in
        [with_token(keys.secret("open", TOKEN, 0o644)), with_token(keys.secret("short", "0123456789abcde", 0o600))]
    {
        assert!(!said.contains("0123456789abcde"), "a secret is said: {said}");
    }
}

#[test]
fn an_address_that_is_taken_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let error = loopback(port).ready().map(drop).expect_err("it is taken");
    assert!(matches!(error, ListenError::Bind { .. }), "{error}");
}

#[test]
fn the_service_refuses_to_start_unsafely_and_changes_nothing() {
    let scene = Scene::new();
    let keys = Keys::new();
    let (policy, state, runtime) = (scene.policy("policy.toml", &[]), scene.path("state"), scene.path("run"));
    let run = |arguments: &[&str]| {
        let always = ["run", "--policy", &policy, "--state", &state, "--runtime", &runtime];
        scene.sipwall(&[&always, arguments].concat())
    };
    let (token, certificate, key) = (keys.text("token"), keys.text("server.pem"), keys.text("server.key"));
    run(&["--listen", "0.0.0.0:9464"]).assert_failed(2, "`0.0.0.0:9464` is not a loopback address");
    run(&["--listen", "0.0.0.0:9464", "--listen-token", &token]).assert_failed(2, "hint: give it a certificate");
    run(&["--listen", "198.51.100.10:9464", "--listen-certificate", &certificate, "--listen-key", &key])
        .assert_failed(2, "ask for a token");
    run(&["--listen", "127.0.0.1:9464", "--listen-certificate", &certificate]).assert_failed(2, "--listen-key");
    run(&["--listen-token", &token]).assert_failed(2, "--listen");
    run(&[
        "--listen",
        "192.0.2.250:9464",
        "--listen-token",
        &token,
        "--listen-certificate",
        &certificate,
        "--listen-key",
        &key,
    ])
    .assert_failed(1, "cannot listen on `192.0.2.250:9464`");
    assert!(scene.sipwall(&["status"]).stderr.contains("no filter is attached"), "nothing was attached");
}

#[test]
fn every_answer_forbids_what_a_page_does_not_need() {
    let listening = Listening::new(moment(calls_and_scan()));
    let address = listening.running.address();
    let own = address.to_string();
    let host = [("host", own.as_str())];
    let answers = [
        (200, ask(address, "GET", "/", &host)),
        (200, ask(address, "GET", "/metrics", &host)),
        (200, ask(address, "HEAD", "/page.js", &host)),
        (404, ask(address, "GET", "/etc/passwd", &host)),
        (405, ask(address, "POST", "/metrics", &host)),
        (405, ask(address, "DELETE", "/", &host)),
        (421, ask(address, "GET", "/", &[("host", "rebound.example")])),
        (403, ask(address, "GET", "/metrics", &[("host", &own), ("sec-fetch-site", "cross-site")])),
        (400, ask(address, "GET", "/explain?protocol=udp", &host)),
    ];
    for (code, answer) in answers {
        assert_eq!(answer.code, code, "{answer:?}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "deny"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn a_page_asks_nobody_else_for_anything() {
    let listening = Listening::new(moment(idle()));
    for path in ["/", "/style.css", "/page.js", "/chart.js", "/elements.js", "/icon.svg"] {
        let answer = get(listening.running.address(), path);
        assert_eq!(answer.code, 200, "{path}");
        let elsewhere = answer.body.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("://"), "{path} names another place");
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick="]
        {
            assert!(!answer.body.contains(sink), "{path} has `{sink}`");
        }
    }
}

#[test]
fn only_who_has_the_token_or_the_certificate_is_answered() {
    let keys = Keys::new();
    let bearer = format!("Bearer {TOKEN}");
    let with_token = Settings { tls: Some(keys.tls(None)), token: Some(keys.path("token")), ..loopback(0) };
    let listening = Listening::with(&with_token, moment(idle()), None);
    let address = listening.running.address();
    assert!(listening.running.url().starts_with("https://127.0.0.1:"));
    assert_eq!(keys.ask(address, false, &[("authorization", &bearer)]).code, 200);
    let refused = keys.ask(address, false, &[]);
    assert_eq!((refused.code, refused.header("www-authenticate").is_some()), (401, true));
    assert_eq!(keys.ask(address, false, &[("authorization", "Bearer 0123456789abcdef0123456789abcdee")]).code, 401);
    assert_eq!(get(address, "/metrics").code, 0, "without TLS there is no answer");

    let with_certificate = Settings { tls: Some(keys.tls(Some(keys.path("ca.pem")))), ..loopback(0) };
    let listening = Listening::with(&with_certificate, moment(idle()), None);
    assert_eq!(keys.ask(listening.running.address(), true, &[]).code, 200);
    assert_eq!(keys.ask(listening.running.address(), false, &[]).code, 0, "the handshake fails");
}

#[test]
fn a_given_name_is_answered_too() {
    let listening =
        Listening::with(&Settings { names: vec!["SBC1.example".into()], ..loopback(0) }, moment(idle()), None);
    let code = |host| ask(listening.running.address(), "GET", "/metrics", &[("host", host)]).code;
    assert_eq!((code("sbc1.example:9464"), code("sbc2.example:9464")), (200, 421));
}

/// A dashboard that was asked for, and of which nothing is read.
fn unread(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address);
    send(&mut stream, "GET", "/events", &[("host", &address.to_string())]).expect("it is sent");
    stream
}

/// Whether a connection was closed by the listener, whatever it still holds.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a stream");
    let mut stream = stream;
    // A client that was dropped is reset: writing to it fails, sooner or later.
    stream.write_all(b"\r\n").and_then(|()| stream.flush()).is_err()
}

#[test]
fn ten_slow_dashboards_hold_up_nobody_and_are_dropped() {
    let listening = Listening::new(moment(calls_and_scan()));
    let address = listening.running.address();
    let slow: Vec<_> = (0..10).map(|_| unread(address)).collect();
    let mut quick = connect(address);
    send(&mut quick, "GET", "/events", &[("host", &address.to_string())]).expect("it is sent");
    // Far more than the kernel keeps for a client that does not read; each moment has a number of its own.
    let mut rest = String::new();
    for generation in 1000..3000 {
        let mut interface = calls_and_scan();
        interface.status.generation = generation;
        listening.tell(moment(interface));
        if generation % 500 == 499 {
            let wanted = format!("\"generation\":{generation}");
            await_text(&mut quick, &mut rest, &wanted);
            assert_eq!(get(address, "/metrics").code, 200);
        }
    }
    for (place, stream) in slow.iter().enumerate() {
        wait_for(&format!("the slow dashboard {place} is dropped"), || {
            // It goes on to be told, as from a service that runs.
            listening.tell(moment(calls_and_scan()));
            is_closed(stream).then_some(())
        });
    }
    assert_eq!(get(address, "/metrics").code, 200);
}

/// Reads until a text has come.
fn await_text(stream: &mut TcpStream, read: &mut String, wanted: &str) {
    let mut buffer = vec![0; 65_536];
    while !read.contains(wanted) {
        let length = stream.read(&mut buffer).expect("the stream goes on");
        assert!(length > 0, "the stream ended before `{wanted}`");
        read.push_str(&String::from_utf8_lossy(&buffer[..length]));
        let kept = read.len().saturating_sub(65_536);
        let start = (kept..read.len()).find(|at| read.is_char_boundary(*at)).unwrap_or(kept);
        read.drain(..start);
    }
}

#[test]
fn so_many_may_watch_and_the_next_is_told_to_wait() {
    let listening = Listening::new(moment(idle()));
    let address = listening.running.address();
    let mut watching: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = unread(address);
            await_text(&mut stream, &mut String::new(), "data: {");
            stream
        })
        .collect();
    let refused = get(address, "/events");
    assert_eq!((refused.code, refused.header("retry-after")), (503, Some("10")));
    assert_eq!(get(address, "/metrics").code, 200, "scrapers find room");
    watching.pop();
    wait_for("the place of one that left is free", || {
        listening.tell(moment(idle()));
        let mut stream = unread(address);
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        (&answer == b"HTTP/1.1 200").then_some(())
    });
}

#[test]
fn idle_connections_cannot_take_all_the_room() {
    let listening = Listening::new(moment(idle()));
    let address = listening.running.address();
    let idle: Vec<_> = (0..64).map(|_| connect(address)).collect();
    // Who says nothing is closed after a while, and others find room.
    wait_for("there is room again", || (get(address, "/metrics").code == 200).then_some(()));
    drop(idle);
}

#[test]
fn a_request_with_a_huge_head_is_refused() {
    let listening = Listening::new(moment(idle()));
    let address = listening.running.address();
    let own = address.to_string();
    let answer = ask(address, "GET", "/", &[("host", &own), ("x-long", &"a".repeat(100_000))]);
    assert!(matches!(answer.code, 0 | 431), "{answer:?}");
    assert_eq!(get(address, "/").code, 200);
}

#[test]
fn stopping_frees_the_address() {
    let listening = Listening::new(moment(idle()));
    let address = listening.running.address();
    let mut watching = unread(address);
    await_text(&mut watching, &mut String::new(), "data: {");
    drop(listening);
    assert_eq!(watching.read(&mut [0]).unwrap_or(0), 0, "who watched is let go");
    let again = Listening::with(&loopback(address.port()), moment(idle()), None);
    assert_eq!(get(again.running.address(), "/").code, 200);
}

/// What the page is told first.
fn told(snapshot: Snapshot) -> Value {
    let listening = Listening::new(snapshot);
    let mut stream = unread(listening.running.address());
    let mut text = String::new();
    let mut buffer = vec![0; 65_536];
    while !text.contains("}\n\n") {
        let length = stream.read(&mut buffer).expect("the stream goes on");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    // The body comes in chunks, of which the first is the first event.
    let event = text.split_once("data: ").expect("an event").1;
    serde_json::from_str(event.split("\n\n").next().expect("its end")).expect("JSON")
}

/// The verdict, then level and title of each concern.
fn concerns(snapshot: Snapshot) -> Vec<String> {
    let told = told(snapshot);
    let verdict = format!("{}: {}", told["verdict"]["level"], told["verdict"]["title"]);
    let concern = |each: &Value| format!("{}: {}", each["level"], each["title"]);
    let concerns = told["concerns"].as_array().expect("concerns").iter().map(concern);
    [verdict].into_iter().chain(concerns).map(|line| line.replace('"', "")).collect()
}

#[test]
fn what_matters_most_is_said_first() {
    let with = |change: fn(&mut InterfaceSnapshot)| {
        let mut interface = calls_and_scan();
        change(&mut interface);
        concerns(moment(interface))
    };
    let alone = |line: &str| vec![line.to_owned(), line.to_owned()];
    assert_eq!(with(|_| ()), ["good: Nothing of listed sources is refused"]);
    assert_eq!(concerns(moment(idle())), ["quiet: Quiet: nothing comes from listed sources"]);
    assert_eq!(concerns(Snapshot::default()), alone("critical: Not filtered"));
    assert_eq!(with(|interface| interface.status.running = false), alone("critical: Not filtered"));
    assert_eq!(with(|interface| interface.status.mode = None), alone("critical: No policy"));
    assert_eq!(with(|interface| interface.status.mode = Some("monitor")), alone("warning: Monitor mode"));
    assert_eq!(with(|interface| interface.drift = Some(true)), alone("warning: Drift"));
    let fell_back = Confirmation::RolledBack { generation: 4 };
    let confirmed = |state| {
        let mut interface = calls_and_scan();
        interface.status.confirmation = state;
        concerns(moment(interface))
    };
    assert_eq!(confirmed(fell_back), alone("warning: The policy fell back"));
    let pending = Confirmation::Pending { remaining_seconds: 9, fallback: None };
    assert_eq!(confirmed(pending), alone("warning: The policy is on trial"));
    let generic = with(|interface| interface.status.attach_mode = Some(XdpMode::Generic));
    assert_eq!(generic, ["good: Nothing of listed sources is refused", "note: Generic XDP"]);
    let full = |entries| {
        let mut interface = calls_and_scan();
        interface.fill[0].entries = entries;
        concerns(moment(interface))
    };
    assert_eq!(full(80_000), ["good: Nothing of listed sources is refused"]);
    assert_eq!(full(80_001), alone("warning: A map is nearly full"));
    // One packet in a hundred puts calls at risk, what came minutes ago does not.
    let refused = |place: usize, packets| {
        let mut interface = calls_and_scan();
        interface.traffic[place].listed_dropped = packets;
        concerns(moment(interface))
    };
    assert_eq!(refused(299, 1), alone("warning: Some packets of listed sources are refused"));
    assert_eq!(refused(299, 5_000), alone("critical: Calls at risk"));
    assert_eq!(refused(0, 5_000), ["good: Nothing of listed sources is refused"]);
    let silent = |quiet_for| {
        let mut interface = calls_and_scan();
        carry(&mut interface, "twilio/media", 100, quiet_for);
        carry(&mut interface, "twilio/sip-udp", 0, quiet_for);
        concerns(moment(interface))
    };
    assert_eq!(silent(599), ["good: Nothing of listed sources is refused"]);
    assert_eq!(silent(600), alone("warning: twilio is silent"));
    let overdue = |age| {
        let mut snapshot = moment(calls_and_scan());
        snapshot.sources[0].age = age;
        concerns(snapshot)
    };
    assert_eq!(overdue(Some(3 * 21_600)), ["good: Nothing of listed sources is refused"]);
    assert_eq!(overdue(Some(3 * 21_600 + 1)), alone("warning: A source is not refreshed"));
    assert_eq!(overdue(None), alone("warning: A source is not refreshed"));
    let mut several = moment(at_risk());
    several.unreadable.push(Unreadable { interface: "eth1".into(), why: "the interface is gone".into() });
    let found = concerns(several);
    assert_eq!(found[0], "critical: eth1: Not filtered");
    assert_eq!(found[1..3], ["critical: Not filtered", "critical: Calls at risk"]);
}

#[test]
fn a_certificate_and_a_token_that_are_replaced_are_used_and_broken_ones_are_not() {
    let scene = Scene::new();
    let (keys, newer) = (Keys::new(), Keys::new());
    let (state, address) = (scene.policy("policy.toml", &[]), "127.0.0.1:9464".parse().expect("an address"));
    let (certificate, key, token) = (keys.text("server.pem"), keys.text("server.key"), keys.text("token"));
    let arguments = ["--listen", "127.0.0.1:9464", "--listen-certificate", &certificate, "--listen-key", &key];
    let arguments = [&arguments[..], &["--listen-token", &token]].concat();
    let mut service = Service::launch(&scene, &state, &arguments, &[]);
    service.await_told("READY=1");
    let other = TOKEN.replace('0', "f");
    let asked = |keys: &Keys, token: &str| {
        let bearer = format!("Bearer {token}");
        scene.host("sbc").enter(|| keys.ask(address, false, &[("authorization", &bearer)])).expect("a host")
    };
    assert_eq!((asked(&keys, TOKEN).code, asked(&newer, TOKEN).code), (200, 0));
    // Nobody says anything: the files are others.
    for name in ["server.pem", "server.key"] {
        fs::rename(newer.path(name), keys.path(name)).expect("it is replaced");
    }
    keys.secret("token", &other, 0o600);
    service.await_log(&["INFO", "the listener's certificate and token were read again"]);
    let codes = (asked(&newer, &other).code, asked(&newer, TOKEN).code, asked(&keys, &other).code);
    assert_eq!(codes, (200, 401, 0), "the certificate is the newer authority's, and the token the other one");
    // One that is broken is said, and the one before holds.
    let whole = fs::read(keys.path("server.key")).expect("a key");
    fs::write(keys.path("server.key"), "no key\n").expect("a file");
    service.signal(rustix::process::Signal::HUP);
    service.await_log(&["ERROR", "cannot be used, what was read before holds", "holds no private key in PEM"]);
    let complains = |count: &str| {
        let page = asked(&newer, &other);
        assert_eq!(page.code, 200);
        page.body.lines().any(|line| line == format!("sipwall_service_errors {count}")).then_some(())
    };
    wait_for("it is among the errors", || complains("1"));
    let shown = scene.sipwall(&["status", "--runtime", &scene.path("run")]).stdout;
    assert!(shown.contains("LISTENER NOT RENEWED since ") && shown.contains("server.key"), "{shown}");
    fs::write(keys.path("server.key"), whole).expect("a file");
    wait_for("nothing is wrong any more", || complains("0"));
    let log = service.log().join("\n");
    assert_eq!(log.matches("cannot be used").count(), 1, "it is said once: {log}");
    assert!(!log.contains(&TOKEN[..16]) && !log.contains(&other[..16]), "{log}");
}

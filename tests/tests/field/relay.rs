//! coturn at an address that Kore.ai publishes for relays, and the SBC as its client.

use lab::{Process, run};

use crate::{
    network::{Field, RELAY, SBC, comes_about, is_bound, text},
    programs,
};

/// How a client talks to the relay, and the port that is published for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transport {
    option: &'static [&'static str],
    port: u16,
}

pub(crate) const TRANSPORTS: [Transport; 4] = [
    Transport { option: &[], port: 3478 },
    Transport { option: &["-t"], port: 3478 },
    Transport { option: &["-t", "-S"], port: 5349 },
    Transport { option: &["-t", "-S"], port: 443 },
];

/// Messages that go to the relay and come back through it.
const MESSAGES: u32 = 20;

/// Starts a relay, which runs until it is dropped.
pub(crate) fn start(field: &Field) -> Process {
    let [certificate, key] = crate::sbc::certificate(field);
    let host = field.host("relay");
    let mut coturn = programs::command(host, "usr/bin/turnserver");
    coturn.args(["-n", "--no-cli", "--no-rfc5780", "--lt-cred-mech", "--realm=relay", "--user=sbc:secret"]);
    coturn.args(["--log-file=stdout", "--allow-loopback-peers", "--listening-port=3478", "--tls-listening-port=5349"]);
    coturn.arg(format!("--aux-server={RELAY}:443")).args(["--cert", &certificate, "--pkey", &key]);
    coturn.args(["--listening-ip", RELAY, "--relay-ip", RELAY, "--userdb", text(&field.path("turndb"))]);
    coturn.args(["--pidfile", text(&field.path("turnserver.pid"))]);
    let process = programs::start(&mut coturn, &field.path("relay.log"));
    let sockets = [("udp", 3478), ("tcp", 3478), ("tcp", 5349), ("tcp", 443)];
    let listens = comes_about(|| sockets.iter().all(|(table, port)| is_bound(host, table, *port)));
    assert!(listens, "the relay does not listen: {}", field.said(&["relay.log"]));
    process
}

/// Asks it for the SBC's address.
pub(crate) fn assert_answers_stun(field: &Field) {
    let mut client = programs::command(field.host("sbc"), "usr/bin/turnutils_stunclient");
    let said = run(client.args(["-L", SBC, RELAY]), "").expect("it is answered");
    assert!(said.contains(&format!("{SBC}:")), "{said}");
}

/// Sends messages through it to a peer, and back.
pub(crate) fn assert_relays(field: &Field, transport: Transport) {
    let mut client = programs::command(field.host("sbc"), "usr/bin/turnutils_uclient");
    client.args(["-u", "sbc", "-w", "secret", "-y", "-c", "-n", &MESSAGES.to_string(), "-m", "1", "-L", SBC]);
    client.args(transport.option).args(["-p", &transport.port.to_string(), RELAY]);
    let said = run(&mut client, "").unwrap_or_else(|error| panic!("{transport:?}: {error:#}"));
    let counted = |kind: &str| -> u32 {
        let (_, count) = said.rsplit_once(&format!("tot_{kind}_msgs=")).unwrap_or_default();
        count.split(|c: char| !c.is_ascii_digit()).next().and_then(|count| count.parse().ok()).unwrap_or_default()
    };
    let (sent, received) = (counted("send"), counted("recv"));
    // The first messages may come before the relay has the channel for them.
    assert!(sent >= MESSAGES && received + 2 >= sent, "{transport:?}: {said}\n{}", field.said(&["relay.log"]));
}

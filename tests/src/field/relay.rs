//! coturn at an address that providers publish for relays: the SBC is its client, and what it relays comes to the SBC.

use std::process::Command;

use lab::{Process, run};

use super::{
    network::{Field, KORE, RELAY, SBC, comes_about, is_bound, text},
    programs, stun,
};

/// How a client talks to the relay.
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    /// Over UDP.
    Udp,
    /// Over TCP.
    Tcp,
    /// Over TLS.
    Tls,
}

/// All that is published: how, and to which port.
pub const TRANSPORTS: [(Transport, u16); 4] =
    [(Transport::Udp, 3478), (Transport::Tcp, 3478), (Transport::Tls, 5349), (Transport::Tls, 443)];

/// Messages that go to the relay and come back through it.
const MESSAGES: u32 = 20;

/// Whether most messages came back. The first may come before the relay has a channel for them, the last after the client has
/// ended: what was lost on the way, others count.
const fn is_heard(sent: u32, received: u32) -> bool {
    sent >= MESSAGES && received * 2 >= sent
}

/// A relay, which runs until it is dropped.
#[derive(Debug)]
pub struct Relay<'a> {
    field: &'a Field,
    _process: Process,
}

impl<'a> Relay<'a> {
    /// Starts it, and waits until it listens.
    pub fn start(field: &'a Field) -> Self {
        let [certificate, key] = super::sbc::certificate(field);
        let host = field.host("relay");
        let mut coturn = programs::command(host, "usr/bin/turnserver");
        coturn.args(["-n", "--no-cli", "--no-rfc5780", "--lt-cred-mech", "--realm=relay", "--user=sbc:secret"]);
        coturn.args(["--log-file=stdout", "--listening-port=3478", "--tls-listening-port=5349"]);
        coturn.arg(format!("--aux-server={RELAY}:443")).args(["--cert", &certificate, "--pkey", &key]);
        coturn.args(["--listening-ip", RELAY, "--relay-ip", RELAY, "--userdb", text(&field.path("turndb"))]);
        coturn.args(["--pidfile", text(&field.path("turnserver.pid"))]);
        let process = programs::start(&mut coturn, &field.path("relay.log"));
        let sockets = [("udp", 3478), ("tcp", 3478), ("tcp", 5349), ("tcp", 443)];
        let listens = comes_about(|| sockets.iter().all(|(table, port)| is_bound(host, table, *port)));
        assert!(listens, "the relay does not listen: {}", field.said(&["relay.log"]));
        Self { field, _process: process }
    }

    /// Asks it for the SBC's address.
    ///
    /// # Panics
    /// If it does not know it.
    pub fn assert_answers_stun(&self, (transport, port): (Transport, u16)) {
        let ask = match transport {
            Transport::Udp => stun::over_udp,
            Transport::Tcp => stun::over_tcp,
            Transport::Tls => stun::over_tls,
        };
        let [said, true_one] = ask(self.field, port);
        assert_eq!(said, true_one, "{transport:?} {port}");
    }

    /// Sends messages from one allocation of the SBC's to another, and back.
    ///
    /// # Panics
    /// If they do not come.
    pub fn assert_relays(&self, (transport, port): (Transport, u16)) {
        let mut client = self.client("sbc", SBC);
        client.args(["-y", "-p", &port.to_string()]);
        client.args(match transport {
            Transport::Udp => &[][..],
            Transport::Tcp => &["-t"],
            Transport::Tls => &["-t", "-S"],
        });
        let (sent, received) = self.relayed(&mut client);
        assert!(is_heard(sent, received), "{transport:?} {port}: {received} of {sent}");
    }

    /// Sends messages from a provider's host through the relay to a port of the SBC, which sends them back. Says whether they
    /// were heard.
    pub fn is_echoed(&self, port: u16) -> bool {
        let mut peer = programs::command(self.field.host("sbc"), "usr/bin/turnutils_peer");
        peer.args(["-L", SBC, "-p", &port.to_string()]);
        let _peer = programs::start(&mut peer, &self.field.path("peer.log"));
        let listens = comes_about(|| is_bound(self.field.host("sbc"), "udp", port));
        assert!(listens, "the peer does not listen: {}", self.field.said(&["peer.log"]));
        let mut client = self.client(KORE.host, KORE.media);
        let (sent, received) = self.relayed(client.args(["-e", SBC, "-r", &port.to_string()]));
        is_heard(sent, received)
    }

    fn client(&self, host: &str, address: &str) -> Command {
        let mut client = programs::command(self.field.host(host), "usr/bin/turnutils_uclient");
        client.args(["-u", "sbc", "-w", "secret", "-c", "-n", &MESSAGES.to_string(), "-m", "1", "-L", address]);
        client
    }

    /// Runs a client, and returns how many messages it sent and received.
    fn relayed(&self, client: &mut Command) -> (u32, u32) {
        let said = run(client.arg(RELAY), "");
        let said = said.unwrap_or_else(|error| panic!("{error:#}\n{}", self.field.said(&["relay.log"])));
        let counted = |kind: &str| -> u32 {
            let (_, count) = said.rsplit_once(&format!("tot_{kind}_msgs=")).unwrap_or_default();
            count.split(|c: char| !c.is_ascii_digit()).next().and_then(|count| count.parse().ok()).unwrap_or_default()
        };
        (counted("send"), counted("recv"))
    }
}

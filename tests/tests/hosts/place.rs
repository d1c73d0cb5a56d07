//! Hosts that stay up: an SBC, its mate, a carrier that its policy lists, a server and a scanner that it does not.

use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, UdpSocket},
    path::PathBuf,
    process::Command,
    time::Duration,
};
pub(crate) use tests::ports::bound;

use ipnet::IpNet;
use lab::{Host, Lab, Plan};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    scene,
    service::wait_for,
    sipwall::{Ended, sipwall_on},
    unpacked::Unpacked,
};

/// How long nothing must arrive to say that nothing does.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);

/// What else a host runs.
pub(crate) const DAEMONS: Unpacked = Unpacked { directory: "daemons" };

/// A host's name and addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Party {
    pub(crate) name: &'static str,
    pub(crate) ipv4: &'static str,
    pub(crate) ipv6: &'static str,
}

pub(crate) const SBC: Party = Party { name: "sbc", ipv4: "198.51.100.10", ipv6: "2001:db8:ffff::10" };
pub(crate) const MATE: Party = Party { name: "mate", ipv4: "198.51.100.11", ipv6: "2001:db8:ffff::11" };
/// What the policy lists.
pub(crate) const CARRIER: Party = Party { name: "carrier", ipv4: "203.0.113.17", ipv6: "2001:db8:1:5::1" };
/// A server of this site, which the policy does not list.
pub(crate) const SERVER: Party = Party { name: "server", ipv4: "192.0.2.53", ipv6: "2001:db8:53::53" };
/// Who is on no list.
pub(crate) const SCANNER: Party = Party { name: "scanner", ipv4: "192.0.2.99", ipv6: "2001:db8:bad::99" };

/// The router's addresses on the link to the first host that was planned.
pub(crate) const ROUTER: Party = Party { name: "core", ipv4: "172.31.1.1", ipv6: "fd00:0:0:1::1" };

/// What a test adds to the policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    /// Lines of `[sbc]`.
    pub(crate) sbc: &'a str,
    /// Lines of `[classes]`.
    pub(crate) classes: &'a str,
    /// Lines at its end.
    pub(crate) more: &'a str,
}

/// Nothing.
pub(crate) const PLAIN: Policy<'static> = Policy { sbc: "", classes: "", more: "" };

/// The hosts, the SBC first, and a directory for their files.
#[derive(Debug)]
pub(crate) struct Place {
    lab: Lab,
    files: TempDir,
}

impl Place {
    pub(crate) fn new(parties: &[Party]) -> Self {
        let net = |address: &str| IpNet::from(address.parse::<IpAddr>().expect("an address"));
        let plans = parties.iter().map(|party| Plan::new(party.name, [net(party.ipv4), net(party.ipv6)]));
        let lab = Lab::new(&plans.collect::<Vec<_>>()).expect("namespaces can be made (this needs root)");
        Self { lab, files: tempfile::tempdir().expect("a directory") }
    }

    pub(crate) fn host(&self, party: Party) -> &Host {
        self.lab.host(party.name).expect("it was planned")
    }

    pub(crate) fn sbc(&self) -> &Host {
        self.host(SBC)
    }

    pub(crate) fn core(&self) -> &Host {
        self.host(ROUTER)
    }

    /// The path of a file in the directory, as text.
    pub(crate) fn path(&self, name: &str) -> String {
        self.files.path().join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file in which words stand for others.
    pub(crate) fn write(&self, name: &str, template: &str, words: &[(&str, &str)]) -> String {
        let text = words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value));
        fs::write(self.path(name), text).expect("a file");
        self.path(name)
    }

    /// The end of what a program said, for whoever has to find out why something failed.
    pub(crate) fn said(&self, log: &str) -> String {
        let text = fs::read_to_string(self.path(log)).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Runs `sipwall` on the SBC.
    pub(crate) fn sipwall(&self, arguments: &[&str]) -> Ended {
        sipwall_on(self.sbc(), arguments)
    }

    /// Puts a policy in force on the SBC's `eth0`.
    pub(crate) fn attach(&self, policy: Policy<'_>) {
        self.attach_on(SBC, policy);
    }

    /// Puts a policy in force on a host's `eth0`.
    pub(crate) fn attach_on(&self, party: Party, policy: Policy<'_>) {
        let file = self.policy(policy);
        sipwall_on(self.host(party), &["attach", "eth0", "--policy", &file]).assert_done();
    }

    /// Writes a policy, and returns its path.
    pub(crate) fn policy(&self, policy: Policy<'_>) -> String {
        let Policy { sbc, classes, more } = policy;
        self.write("policy.toml", include_str!("policy.toml"), &[("SBC", sbc), ("CLASSES", classes), ("MORE", more)])
    }

    /// Packets that ended in a reason.
    pub(crate) fn reason(&self, name: &str) -> u64 {
        scene::packets(&self.stats("eth0"), "reason", name, None)
    }

    /// Packets that a rule let in.
    pub(crate) fn rule(&self, name: &str) -> u64 {
        scene::packets(&self.stats("eth0"), "rule", name, None)
    }

    /// What `stats` shows of an interface of the SBC.
    pub(crate) fn stats(&self, interface: &str) -> Value {
        self.sipwall(&["stats", interface, "--json"]).json()
    }

    /// Waits until so many packets ended in a reason.
    pub(crate) fn await_reason(&self, name: &str, packets: u64) {
        wait_for(&format!("{packets} packets are counted as `{name}`"), || {
            (self.reason(name) >= packets).then_some(())
        });
    }

    /// Does something, and returns by how much a reason's packets grew meanwhile.
    pub(crate) fn grows<T>(&self, reason: &str, action: impl FnOnce() -> T) -> (T, u64) {
        let before = self.reason(reason);
        (action(), self.reason(reason) - before)
    }
}

/// What a shell prints on a host.
pub(crate) fn shell(host: &Host, lines: &str) -> String {
    printed(host.command("sh").args(["-ec", lines]))
}

/// What a command prints, which must succeed.
pub(crate) fn printed(command: &mut Command) -> String {
    let ended: Ended = command.output().expect("it starts").into();
    ended.assert_done();
    ended.stdout
}

/// A UDP socket of a host that gives up where nothing arrives.
pub(crate) fn socket(host: &Host, address: &str, port: u16, limit: Duration) -> UdpSocket {
    let socket = bound(host, || UdpSocket::bind((address, port)));
    socket.set_read_timeout(Some(limit)).expect("a timeout");
    socket
}

/// Whether something arrives before the socket gives up.
pub(crate) fn receives(socket: &UdpSocket) -> bool {
    let mut buffer = [0; 512];
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("neither a datagram nor silence: {error}"),
        }
    }
}

/// Whether a datagram that is sent arrives.
pub(crate) fn arrives(from: &UdpSocket, to: &UdpSocket) -> bool {
    send(from, to);
    receives(to)
}

fn send(from: &UdpSocket, to: &UdpSocket) {
    from.send_to(b"OPTIONS sip:a SIP/2.0\r\n", to.local_addr().expect("it is bound")).expect("a datagram leaves");
}

/// How many of three datagrams from a party's port 5060 arrive at the SBC's.
pub(crate) fn datagrams(place: &Place, from: Party) -> usize {
    datagrams_to(place, from, SBC.ipv4)
}

/// How many of three datagrams from a party's port 5060 arrive at that port of an address of the SBC.
pub(crate) fn datagrams_to(place: &Place, from: Party, address: &str) -> usize {
    let receiver = socket(place.sbc(), address, 5060, SILENCE);
    let sender = socket(place.host(from), from.ipv4, 5060, SILENCE);
    for _ in 0..3 {
        send(&sender, &receiver);
    }
    (0..3).take_while(|_| receives(&receiver)).count()
}

/// Whether the answer to a question from an address of the SBC's comes in; nothing where the question does not get out.
pub(crate) fn is_answered(place: &Place, address: &str, server: Party) -> Option<bool> {
    let server = socket(place.host(server), server.ipv4, 53, SILENCE);
    // A port of its own each time: a flow that was noted before lets answers in.
    let asking = socket(place.sbc(), address, 0, SILENCE);
    arrives(&asking, &server).then(|| arrives(&server, &asking))
}

/// The file of a program that is unpacked, as text.
pub(crate) fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("a plain path")
}

//! Making policies, allowlists and packets for the tests.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use etherparse::PacketBuilder;
use filter_common::{Reason, Stateless, decide};
use filter_user::{
    allowlist::{Allowlist, Entry, Protocol, Service},
    policy::{CompiledPolicy, HostPolicy, Policy, Refusals, file::PolicyFile},
};
use ipnet::IpNet;

/// What `decide` makes of a packet: the rule that lets it in, or the reason's name.
pub(crate) type Outcome = Result<String, &'static str>;

/// A compiled policy to send packets to.
pub(crate) struct Lab {
    pub(crate) compiled: CompiledPolicy,
    host: HostPolicy,
}

/// The policy of this text; allowlists are the built-in ones and those of `allowlists`, by their provider.
pub(crate) fn policy(text: &str, allowlists: &[Allowlist]) -> Result<Policy, Refusals> {
    let file = PolicyFile::parse(Path::new("policy.toml"), text)?;
    Policy::new(file, |name| match allowlists.iter().find(|allowlist| allowlist.provider == name) {
        Some(allowlist) => Ok(allowlist.clone()),
        None => Allowlist::load(name, Path::new("")),
    })
}

impl Lab {
    pub(crate) fn new(text: &str, allowlists: &[Allowlist]) -> Self {
        let compiled = policy(text, allowlists).and_then(|policy| policy.compile());
        let compiled = compiled.unwrap_or_else(|refusals| panic!("{refusals}"));
        Self { host: HostPolicy::new(&compiled), compiled }
    }

    pub(crate) fn judge(&self, frame: &[u8]) -> Outcome {
        let verdict = decide(frame, &self.host, &Stateless);
        match (verdict.reason(), verdict.rule()) {
            (Reason::Listed, Some(rule)) => Ok(self.compiled.rules[usize::from(rule)].name.clone()),
            (reason, _) => Err(reason.name()),
        }
    }

    /// Sends each packet, `udp 192.0.2.1:5060 198.51.100.10:5060`, and compares what becomes of it.
    pub(crate) fn check(&self, cases: &[(&str, Result<&str, &'static str>)]) {
        for (packet, expected) in cases {
            let outcome = self.judge(&frame(packet));
            assert_eq!(outcome.as_deref(), expected.as_deref(), "{packet}");
        }
    }
}

/// A frame with `PROTOCOL SOURCE DESTINATION`: `udp`, `syn`, `ack` (TCP), `ping`, or an IP protocol's number.
pub(crate) fn frame(packet: &str) -> Vec<u8> {
    let words: Vec<_> = packet.split(' ').collect();
    let [protocol, source, destination] = words[..] else { panic!("{packet}") };
    let [(source, source_port), (destination, destination_port)] = [source, destination].map(endpoint);
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => ethernet.ipv4(source.octets(), destination.octets(), 64),
        (IpAddr::V6(source), IpAddr::V6(destination)) => ethernet.ipv6(source.octets(), destination.octets(), 64),
        _ => panic!("{packet}"),
    };
    let mut frame = Vec::new();
    match protocol {
        "udp" => ip.udp(source_port, destination_port).write(&mut frame, b"x"),
        "syn" => ip.tcp(source_port, destination_port, 1, 1024).syn().write(&mut frame, b""),
        "ack" => ip.tcp(source_port, destination_port, 1, 1024).ack(1).write(&mut frame, b""),
        "ping" => ip.icmpv4_echo_request(1, 1).write(&mut frame, b"x"),
        number => ip.write(&mut frame, number.parse::<u8>().unwrap().into(), &[0; 16]),
    }
    .unwrap();
    frame
}

fn endpoint(text: &str) -> (IpAddr, u16) {
    let socket = text.parse::<SocketAddr>();
    socket.map_or_else(|_| (text.parse().unwrap(), 0), |socket| (socket.ip(), socket.port()))
}

fn host(address: &str) -> IpNet {
    IpNet::from(address.parse::<IpAddr>().unwrap())
}

/// An allowlist with these rows: service, protocol, prefixes, ports. The line of a row is its place, from 1.
pub(crate) fn allowlist(provider: &str, rows: &[(Service, Protocol, &[&str], &[&str])]) -> Allowlist {
    let entries = (1..).zip(rows).map(|(line, (service, protocol, remote, ports))| Entry {
        service: *service,
        section: String::new(),
        regions: Vec::new(),
        remote: remote.iter().map(|prefix| prefix.parse().unwrap_or_else(|_| host(prefix))).collect(),
        protocol: *protocol,
        remote_ports: ports.iter().map(|ports| ports.parse().unwrap()).collect(),
        line,
    });
    Allowlist { provider: provider.to_owned(), entries: entries.collect(), ..Allowlist::default() }
}

//! Providers' allowlists.

use filter_user::{
    allowlist::{Allowlist, Entry, Protocol, Service},
    ports::PortRange,
};

use super::{Choices, address};

/// The regions that entries belong to and policies choose.
pub(super) const REGIONS: [&str; 2] = ["east", "West"];

/// An allowlist with an entry or more.
pub(super) fn allowlist(choices: &mut Choices, name: &str) -> Allowlist {
    let mut entries = choices.many(1, 6, entry);
    for (line, entry) in (1..).zip(&mut entries) {
        entry.line = line;
    }
    let denied = if choices.chance(15) { choices.many(1, 2, address::prefix) } else { Vec::new() };
    Allowlist {
        provider: name.to_owned(),
        title: "An invented carrier".to_owned(),
        entries,
        denied,
        ..Allowlist::default()
    }
}

fn entry(choices: &mut Choices) -> Entry {
    let service = choices.one_of(&Service::ALL);
    let region = choices.chance(20).then(|| choices.one_of(&REGIONS).to_owned());
    Entry {
        service,
        section: "Addresses".to_owned(),
        regions: region.into_iter().collect(),
        remote: choices.many(1, 4, address::prefix),
        protocol: protocol(choices, service),
        remote_ports: choices.many(0, 2, port_range),
        line: 0,
    }
}

/// Mostly what the service runs over.
fn protocol(choices: &mut Choices, service: Service) -> Protocol {
    let usual = match service {
        Service::SipUdp | Service::Media => Protocol::Udp,
        Service::SipTcp | Service::SipTls | Service::SipWss | Service::Https => Protocol::Tcp,
        Service::Turn | Service::Other | Service::Unspecified => Protocol::Any,
    };
    if choices.chance(20) { choices.one_of(&[Protocol::Udp, Protocol::Tcp, Protocol::Any]) } else { usual }
}

/// A port or a range of ports: usual ones, ends of the scale, and any.
pub(super) fn port_range(choices: &mut Choices) -> PortRange {
    const RANGES: [(u16, u16); 14] = [
        (5060, 5060),
        (5061, 5061),
        (443, 443),
        (3478, 3478),
        (10000, 20000),
        (16384, 32767),
        (1024, 65535),
        (1, 65535),
        (5060, 5070),
        (65535, 65535),
        (1, 1),
        (10000, 60000),
        (1000, 1100),
        (32768, 40000),
    ];
    let (first, last) = if choices.chance(15) { any(choices) } else { choices.one_of(&RANGES) };
    PortRange::new(first.into(), last.into()).expect("ranges are in order")
}

fn any(choices: &mut Choices) -> (u16, u16) {
    let (one, other) = (choices.word().max(1), choices.word().max(1));
    (one.min(other), one.max(other))
}

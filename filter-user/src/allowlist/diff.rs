//! The difference between two allowlists: which prefixes gained or lost which service.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Serialize;

use super::{
    model::{Allowlist, Protocol, Service},
    ports_text,
};

/// A service at a prefix; where an allowlist states it does not matter.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Rule {
    /// The prefix.
    pub remote: IpNet,
    /// What runs there.
    pub service: Service,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The ports as text, `5060` or `443,5349`; empty where none are stated.
    pub remote_ports: String,
}

/// What was added and removed between two allowlists, in the order of the prefixes.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// Rules that only the new one has.
    pub added: Vec<Rule>,
    /// Rules that only the old one has.
    pub removed: Vec<Rule>,
}

/// Compares two allowlists.
pub fn diff(old: &Allowlist, new: &Allowlist) -> Difference {
    let (old, new) = (rules(old), rules(new));
    Difference { added: new.difference(&old).cloned().collect(), removed: old.difference(&new).cloned().collect() }
}

fn rules(allowlist: &Allowlist) -> BTreeSet<Rule> {
    let rules = allowlist.entries.iter().flat_map(|entry| {
        let remote_ports = ports_text(&entry.remote_ports);
        entry.remote.iter().map(move |remote| Rule {
            remote: *remote,
            service: entry.service,
            protocol: entry.protocol,
            remote_ports: remote_ports.clone(),
        })
    });
    rules.collect()
}

//! What is known of a source: the last document that was accepted, and what waits for its grace.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{clock::Moment, fetch::Validators, names::Resolved, place::Place};
use crate::allowlist::{Allowlist, Entry, Service};

/// What is known of a provider's source.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The program that wrote it: another version may read documents otherwise.
    pub written_by: String,
    /// The provider, as the policy calls it.
    pub provider: String,
    /// Where the document is from.
    pub source: Place,
    /// The policies that were refreshed with it, each by its absolute path: where one of them names another source next,
    /// that one's document is judged by this one.
    pub policies: BTreeSet<Place>,
    /// When the source was last asked and its answer was accepted.
    pub checked: Moment,
    /// When the time of what waits was last counted.
    pub counted: Moment,
    /// When what is in force last changed, in seconds since the epoch.
    pub changed: u64,
    /// What the next request names, so that the server need not send what is here already.
    pub validators: Validators,
    /// The last accepted document.
    pub document: Allowlist,
    /// The addresses of the document's names.
    pub names: Vec<Resolved>,
    /// What the source states no more.
    pub departed: Vec<Departed>,
}

/// A part of an entry that its source states no more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Departed {
    /// The entry, with the line of the document that last stated it.
    pub entry: Entry,
    /// For how many seconds it has been gone.
    pub waited: u64,
}

impl State {
    /// The program that this is, as states name it.
    pub const WRITER: &str = concat!("sipwall ", env!("CARGO_PKG_VERSION"));

    /// What the source states now: its rows, and the addresses of its names.
    pub fn stated(&self) -> Vec<Entry> {
        let names = self.names.iter().flat_map(|resolved| name_entries(&self.document, resolved));
        self.document.entries.iter().cloned().chain(names).collect()
    }

    /// What is allowed now: what the source states, and what waits for its grace.
    pub fn in_force(&self) -> Allowlist {
        let departed = self.departed.iter().map(|departed| departed.entry.clone());
        let entries = self.stated().into_iter().chain(departed).collect();
        Allowlist { entries, ..self.document.clone() }
    }
}

/// An entry for each row that has the name, with the addresses that the name has.
fn name_entries(document: &Allowlist, resolved: &Resolved) -> Vec<Entry> {
    if resolved.addresses.is_empty() {
        return Vec::new();
    }
    let rows = document.unenforced.iter().filter(|row| row.host_name() == Some(&resolved.name));
    rows.map(|row| Entry {
        service: Service::Unspecified,
        section: resolved.name.clone(),
        regions: Vec::new(),
        remote: resolved.addresses.iter().map(|address| (*address).into()).collect(),
        protocol: row.protocol,
        remote_ports: row.remote_ports.clone(),
        line: row.line,
    })
    .collect()
}

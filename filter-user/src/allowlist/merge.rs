//! Joins the documents of one import into one allowlist.

use std::collections::HashSet;

use ipnet::IpNet;

use super::model::{Allowlist, Entry, Finding, Protocol, Service};
use crate::ports::PortRange;

/// What makes two entries the same.
type Key = (Service, Protocol, Vec<IpNet>, Vec<PortRange>);

fn key(entry: &Entry) -> Key {
    (entry.service, entry.protocol, entry.remote.clone(), entry.remote_ports.clone())
}

/// Joins allowlists, each with the name of its document: an entry that two documents state alike is kept once.
///
/// Entries keep the lines of their own documents; findings name the document too.
pub fn merge(documents: Vec<(String, Allowlist)>) -> Allowlist {
    let mut documents = documents.into_iter();
    let Some((first_name, first)) = documents.next() else {
        return Allowlist::default();
    };
    let mut merged = first;
    let mut rest = documents.peekable();
    if rest.peek().is_some() {
        name_document(&mut merged, &first_name);
    }
    for (name, mut allowlist) in rest {
        name_document(&mut allowlist, &name);
        merged.append(allowlist);
    }
    merged
}

fn name_document(allowlist: &mut Allowlist, name: &str) {
    for Finding { message, .. } in allowlist.warnings.iter_mut().chain(&mut allowlist.errors) {
        *message = format!("{name}: {message}");
    }
}

impl Allowlist {
    fn append(&mut self, other: Self) {
        if !self.provider.split('+').any(|provider| provider == other.provider) {
            self.provider = format!("{}+{}", self.provider, other.provider);
        }
        self.title = format!("{}; {}", self.title, other.title);
        let mut known: HashSet<_> = self.entries.iter().map(key).collect();
        self.entries.extend(other.entries.into_iter().filter(|entry| known.insert(key(entry))));
        self.denied.extend(other.denied.into_iter().filter(|prefix| !self.denied.contains(prefix)).collect::<Vec<_>>());
        self.unenforced.extend(other.unenforced);
        self.warnings.extend(other.warnings);
        self.errors.extend(other.errors);
    }
}

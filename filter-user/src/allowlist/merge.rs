//! Joins the documents of one import into one allowlist.

use std::collections::HashSet;

use ipnet::IpNet;

use super::model::{Allowlist, Entry, Protocol, Service};
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
    let warnings = allowlist.warnings.iter_mut().map(|finding| &mut finding.message);
    for message in warnings.chain(allowlist.errors.iter_mut().map(|finding| &mut finding.message)) {
        *message = format!("{name}: {message}");
    }
}

impl Allowlist {
    fn append(&mut self, other: Self) {
        if !self.provider.split('+').any(|provider| provider == other.provider) {
            self.provider = format!("{}+{}", self.provider, other.provider);
        }
        self.title = format!("{}; {}", self.title, other.title);
        self.deny(&other);
        let mut known: HashSet<_> = self.entries.iter().map(key).collect();
        self.entries.extend(other.entries.into_iter().filter(|entry| known.insert(key(entry))));
        self.unenforced.extend(other.unenforced);
        self.warnings.extend(other.warnings);
        self.errors.extend(other.errors);
    }

    /// Adds the denied prefixes of another.
    fn deny(&mut self, other: &Self) {
        let known: HashSet<_> = self.denied.iter().copied().collect();
        self.denied_lines.resize(self.denied.len(), 0);
        for (prefix, line) in other.denied().filter(|(prefix, _)| !known.contains(prefix)) {
            self.denied.push(prefix);
            self.denied_lines.push(line);
        }
    }
}

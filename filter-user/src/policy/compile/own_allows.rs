//! What else this host needs.

use std::sync::Arc;

use super::{
    draft::{Draft, RuleInfo},
    matching::Match,
    stated::stated,
};
use crate::policy::{Document, PortSet, file::PolicyFile};

/// Adds the terms of every `[[allow]]`.
pub(super) fn add(draft: &mut Draft, file: &PolicyFile) {
    let document = Document::Policy(Arc::clone(&file.name));
    for allow in &file.allows {
        let rule = RuleInfo { name: format!("allow/{}", allow.name.value), provider: None, service: None };
        let ports = [Match::opened(allow.tcp.clone()), Match::udp(PortSet::all(), allow.udp.clone())];
        let protocols = allow.protocols.iter().map(|protocol| Match::protocol(*protocol));
        draft.allow_all(&rule, ports.into_iter().chain(protocols), &stated(&allow.from, &document));
    }
}

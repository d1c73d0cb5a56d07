//! What the fleet denies beside the policies: for all, and for the node's group.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow};
use ipnet::IpNet;

use super::{
    super::{
        config::Identity,
        document::{DenyDocument, Document, Target},
        plane::Plane,
    },
    Agent,
};
use crate::service::{now, one_line};

/// The keys under which something may be denied for a node.
pub(super) fn keys(identity: &Identity) -> Vec<String> {
    identity.targets().iter().filter(|target| !matches!(target, Target::Node(_))).map(Target::to_string).collect()
}

/// What a key is remembered under: not the one of the policy for the same target.
pub(super) fn remembered_key(key: &str) -> String {
    format!("deny.{key}")
}

impl<P: Plane> Agent<P> {
    /// Takes what the broker has.
    pub(super) async fn follow_denied(&mut self) -> Result<()> {
        let mut problems = Vec::new();
        for key in keys(&self.identity) {
            let Some(buckets) = &self.buckets else { return Err(anyhow!("the broker has no buckets")) };
            let Some(entry) = buckets.deny.read(&key).await? else { continue };
            match self.check(&key, &entry.value) {
                Ok(Some(document)) => self.memory.deny(&remembered_key(&key), document)?,
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        if self.problems.denying != problems {
            for problem in &problems {
                tracing::error!(why = one_line(problem), "a deny list of the fleet is not taken, the one before stays");
            }
            self.problems.denying = problems;
        }
        self.apply_denied().await;
        Ok(())
    }

    /// The document if it is news.
    fn check(&self, key: &str, octets: &[u8]) -> Result<Option<DenyDocument>, String> {
        let (document, _) = Document::open(octets, &self.trust)
            .map_err(|refused| format!("deny list `{key}` is refused: {refused}"))?;
        let Document::Deny(document) = document else { return Err(format!("deny list `{key}` is none")) };
        if document.head.target.to_string() != key {
            return Err(format!("deny list `{key}` is that of `{}`", document.head.target));
        }
        let (revision, accepted) = (document.head.revision, self.memory.accepted(&remembered_key(key)));
        if revision < accepted {
            return Err(format!(
                "deny list `{key}` has revision {revision}, and {accepted} was taken here before: an older one is refused"
            ));
        }
        Ok((revision > accepted).then_some(document))
    }

    /// Denies what is remembered, but for what is over.
    pub(super) async fn apply_denied(&mut self) {
        let now = now();
        let items = self.memory.denied().values().flat_map(|document| &document.entries);
        let holding = items.filter(|item| item.until.is_none_or(|until| until > now));
        let prefixes: BTreeSet<IpNet> = holding.map(|item| item.prefix.trunc()).collect();
        if self.denied.as_ref() == Some(&prefixes) {
            return;
        }
        match self.plane.deny(prefixes.iter().copied().collect()).await {
            Ok(()) => {
                if self.denied.as_ref().map_or(0, BTreeSet::len) + prefixes.len() > 0 {
                    tracing::info!(prefixes = prefixes.len(), "the fleet's deny list is in force");
                }
                self.denied = Some(prefixes);
            }
            Err(error) => {
                let problem = format!("the fleet's deny list is not in force: {error:#}");
                tracing::error!(why = one_line(&problem), "tried again");
                self.problems.denying = vec![problem];
            }
        }
    }
}

//! The policies that a target had.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    super::{
        broker::patiently,
        document::{Content, Document, Head, Target},
    },
    Operator,
};
use crate::instant;

/// A policy that a target had.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// Its number; nothing for what is no document of a key that is trusted.
    pub revision: Option<u64>,
    /// When the broker took it.
    #[serde(with = "instant")]
    pub taken_at: u64,
    /// Who made it.
    pub author: Option<String>,
    /// The key that signed it.
    pub signed_by: Option<String>,
    /// The policy file's name.
    pub policy: Option<String>,
    /// Why it is not taken for a document.
    pub refused: Option<String>,
    #[serde(skip)]
    content: Option<Content>,
}

impl Operator {
    /// The policies that a target had, as far as the broker still has them, oldest first.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn versions(&self, target: &Target) -> Result<Vec<Version>> {
        let key = target.to_string();
        let entries = patiently(async || self.policy.versions(&key).await).await?;
        let version = |octets: &[u8], taken_at| match Document::open(octets, &self.trust) {
            Ok((Document::Policy(document), signer)) => {
                let Head { revision, author, .. } = document.head;
                Version {
                    revision: Some(revision),
                    taken_at,
                    author: Some(author),
                    signed_by: Some(signer.to_string()),
                    policy: Some(document.content.name.clone()),
                    refused: None,
                    content: Some(document.content),
                }
            }
            Ok(_) => refused(taken_at, "it is no policy".to_owned()),
            Err(why) => refused(taken_at, why.to_string()),
        };
        Ok(entries.iter().map(|entry| version(&entry.value, entry.taken_at)).collect())
    }

    /// What a target had under this revision.
    ///
    /// # Errors
    /// If the broker does not answer or has it no more.
    pub async fn content_of(&self, target: &Target, revision: u64) -> Result<Content> {
        let versions = self.versions(target).await?;
        let version = versions.into_iter().rev().find(|version| version.revision == Some(revision));
        version.and_then(|version| version.content).with_context(|| {
            format!("the broker has no revision {revision} of `{target}` any more\nhint: `sipwall fleet history` shows what it has")
        })
    }
}

fn refused(taken_at: u64, why: String) -> Version {
    Version { revision: None, taken_at, author: None, signed_by: None, policy: None, refused: Some(why), content: None }
}

//! What a fleet or a group denies beside its policies.

use anyhow::{Context as _, Result, bail};
use ipnet::IpNet;

use super::{
    super::document::{DenyDocument, DenyItem, Document, Target},
    Operator,
};
use crate::service::now;

impl Operator {
    /// What a target denies, but for what is over.
    ///
    /// # Errors
    /// If the broker does not answer, or what is there is not signed by a key that is trusted.
    pub async fn denied(&self, target: &Target) -> Result<Vec<DenyItem>> {
        Ok(self.deny_list(target).await?.0)
    }

    /// Denies prefixes from now on; returns the revision of the list.
    ///
    /// # Errors
    /// If somebody else was quicker, or the broker does not take it.
    pub async fn deny_add(&self, target: &Target, new: &[DenyItem]) -> Result<u64> {
        self.change_denied(target, |items| {
            items.retain(|item| !new.iter().any(|new| new.prefix == item.prefix));
            items.extend(new.iter().cloned());
            Ok(())
        })
        .await
    }

    /// Denies prefixes no more; returns the revision of the list.
    ///
    /// # Errors
    /// If one is not denied, somebody else was quicker, or the broker does not take it.
    pub async fn deny_remove(&self, target: &Target, prefixes: &[IpNet]) -> Result<u64> {
        self.change_denied(target, |items| {
            for prefix in prefixes {
                let before = items.len();
                items.retain(|item| item.prefix != *prefix);
                if items.len() == before {
                    bail!("`{target}` does not deny {prefix}\nhint: `sipwall fleet deny list` shows what is denied");
                }
            }
            Ok(())
        })
        .await
    }

    async fn change_denied(
        &self,
        target: &Target,
        change: impl FnOnce(&mut Vec<DenyItem>) -> Result<()>,
    ) -> Result<u64> {
        self.signer()?;
        let (mut entries, revision, place) = self.deny_list(target).await?;
        change(&mut entries)?;
        let taken = self.nodes().await?;
        let key = format!("deny.{target}");
        let highest = taken.iter().filter_map(|seen| seen.state.accepted.get(&key).copied()).chain([revision]).max();
        let revision = highest.unwrap_or_default().checked_add(1).context("there is no higher revision")?;
        let document = Document::Deny(DenyDocument { head: self.head(target, revision), entries });
        self.deny.change(&target.to_string(), self.seal(&document)?, place).await?;
        Ok(revision)
    }

    async fn deny_list(&self, target: &Target) -> Result<(Vec<DenyItem>, u64, u64)> {
        let latest = self.latest(&self.deny, &target.to_string()).await?;
        let (revision, place) = (latest.revision(), latest.place);
        match (latest.document, latest.refused) {
            (Some(Document::Deny(document)), _) => {
                let now = now();
                let holding = document.entries.into_iter().filter(|item| item.until.is_none_or(|until| until > now));
                Ok((holding.collect(), revision, place))
            }
            (Some(_), _) => bail!("what stands there is no deny list"),
            (None, Some(why)) => bail!("the deny list of `{target}` is refused: {why}"),
            (None, None) => Ok((Vec::new(), revision, place)),
        }
    }
}

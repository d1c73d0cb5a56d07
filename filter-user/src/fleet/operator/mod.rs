//! What operators do: look at a fleet, and change what it runs.

mod denying;
mod rollout;
mod versions;

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};

pub use self::{
    rollout::{Ended, Progress, Rollout},
    versions::Version,
};
use super::{
    broker::{Broker, patiently},
    bucket::{Bucket, DENY_BUCKET, POLICY_BUCKET, STATE_BUCKET},
    config::{Config, ConfigError},
    document::{Content, Document, Head, Target},
    keys::{Signer, Trust},
    state::{NodeState, Seen},
};
use crate::{
    policy::{CompiledPolicy, Policy, Refusals},
    refresh::{self, Store},
    service::now,
};

/// An operator who reached the broker.
#[derive(Debug)]
pub struct Operator {
    broker: Broker,
    policy: Bucket,
    deny: Bucket,
    state: Bucket,
    trust: Trust,
    /// Nothing can be changed without it: the key, or why it cannot be used.
    signer: Result<Signer, Arc<ConfigError>>,
    author: String,
}

/// What stands under a key of a bucket.
#[derive(Clone, Debug, Default)]
struct Latest {
    document: Option<Document>,
    /// What a change has to name.
    place: u64,
    /// When the broker took it.
    taken_at: u64,
    /// Why what stands there is not taken for a document.
    refused: Option<String>,
}

impl Latest {
    fn revision(&self) -> u64 {
        self.document.as_ref().map_or(0, |document| document.head().revision)
    }
}

impl Operator {
    /// Reaches the broker. Without a key that signs, nothing can be changed.
    ///
    /// # Errors
    /// If a file of the configuration cannot be used, the broker is not reached, or has not the fleet's buckets.
    pub async fn connect(config: &Config, author: &str) -> Result<Self> {
        let (trust, signer) = (config.trust()?, config.signer());
        let broker = Broker::connect(&config.access(), &format!("sipwall fleet {author}")).await?;
        let mut buckets = Vec::new();
        for name in [POLICY_BUCKET, DENY_BUCKET, STATE_BUCKET] {
            buckets.push(open(&broker, name).await?);
        }
        let [policy, deny, state] = <[Bucket; 3]>::try_from(buckets).map_err(|_| anyhow!("a bucket is missing"))?;
        Ok(Self { broker, policy, deny, state, trust, signer: signer.map_err(Arc::new), author: author.to_owned() })
    }

    /// The way to the broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// What the nodes say of themselves, by name. What is no state is left out: anybody can write there.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn nodes(&self) -> Result<Vec<Seen>> {
        read_nodes(&self.state).await
    }

    /// The nodes that a target is for, of which none follows something narrower.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn members(&self, target: &Target) -> Result<Vec<Seen>> {
        let nodes = self.nodes().await?;
        Ok(nodes.into_iter().filter(|seen| is_member(&seen.state, target)).collect())
    }

    /// The policy that a target is to run; nothing if it has none.
    ///
    /// # Errors
    /// If the broker does not answer, or what stands there is not signed by a key that is trusted.
    pub async fn wanted(&self, target: &Target) -> Result<Option<(Head, Content)>> {
        let latest = self.latest(&self.policy, &target.to_string()).await?;
        match (latest.document, latest.refused) {
            (Some(Document::Policy(document)), _) => Ok(Some((document.head, document.content))),
            (_, Some(why)) => Err(anyhow!("`{target}` is refused: {why}")),
            _ => Ok(None),
        }
    }

    async fn latest(&self, bucket: &Bucket, key: &str) -> Result<Latest> {
        let Some(entry) = patiently(async || bucket.read(key).await).await? else { return Ok(Latest::default()) };
        let (document, refused) = match Document::open(&entry.value, &self.trust) {
            Ok((document, _)) => (Some(document), None),
            Err(refused) => (None, Some(refused.to_string())),
        };
        Ok(Latest { document, place: entry.place, taken_at: entry.taken_at, refused })
    }

    fn seal(&self, document: &Document) -> Result<Vec<u8>> {
        Ok(document.seal(self.signer()?)?)
    }

    fn signer(&self) -> Result<&Signer> {
        self.signer.as_ref().map_err(|why| anyhow::Error::new(Arc::clone(why)))
    }

    fn head(&self, target: &Target, revision: u64) -> Head {
        Head { target: target.clone(), revision, created: now(), author: self.author.clone() }
    }
}

/// The same for who only looks, and needs no keys.
///
/// # Errors
/// If the broker does not answer, or has not the fleet's buckets.
pub async fn nodes_at(broker: &Broker) -> Result<Vec<Seen>> {
    read_nodes(&open(broker, STATE_BUCKET).await?).await
}

async fn read_nodes(state: &Bucket) -> Result<Vec<Seen>> {
    let entries = patiently(async || state.all().await).await?;
    let read = entries.into_iter().filter_map(|entry| {
        let state: NodeState = serde_json::from_slice(&entry.value).ok()?;
        (state.node == entry.key).then_some(Seen { state, seen_at: entry.taken_at })
    });
    Ok(read.collect())
}

async fn open(broker: &Broker, name: &str) -> Result<Bucket> {
    let bucket = patiently(async || Bucket::open(broker, name).await).await?;
    bucket.with_context(|| format!("the broker has no bucket `{name}`\nhint: `sipwall fleet init` makes it"))
}

fn is_member(state: &NodeState, target: &Target) -> bool {
    let follows_narrower = state.target.as_ref().is_some_and(|followed| followed > target);
    let is_meant = match target {
        Target::Node(name) => state.node == *name,
        Target::Group(name) => state.group.as_ref() == Some(name),
        Target::Default => true,
    };
    is_meant && !follows_narrower
}

impl Content {
    /// Compiles it as a node with these facts would.
    ///
    /// # Errors
    /// What it is refused for, or why that cannot be tried.
    pub fn compile(&self, facts: &str) -> Result<Result<(Policy, CompiledPolicy), Refusals>> {
        let directory = tempfile::tempdir().context("cannot make a directory")?;
        // Its own name, so that messages are of the file that was given; another where it names none of the directory.
        let path = self.unpack(&directory.path().join("policy"), self.own_name().unwrap_or("policy.toml"), facts)?;
        let loaded = refresh::load(&path, &Store::new(directory.path()));
        let compiled = loaded.and_then(|policy| policy.compile().map(|compiled| (policy, compiled)));
        let unpacked = path.parent().unwrap_or(&path);
        Ok(compiled.map_err(|refusals| refusals.below(unpacked)))
    }
}

//! The buckets: what is wanted, what is denied, and what nodes say of themselves.
//!
//! Values are read from the stream's leader, so that nobody is told something older than he knew. Nodes hold no consumer:
//! the broker repeats the head of every change on a subject of its own, without the value, and a node that hears it reads.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use async_nats::{
    Subscriber,
    jetstream::{
        self,
        context::{GetStreamErrorKind, KeyValueErrorKind},
        kv::{self, Operation, Store, UpdateErrorKind, WatcherError},
        stream::{self, LastRawMessageErrorKind, Republish},
    },
};
use futures_util::{Stream, TryStreamExt as _};
use tokio::time::timeout;

use super::{
    broker::{Broker, PATIENCE, patiently},
    envelope::LARGEST_ENVELOPE,
};

/// Signed policies by target, and those that canaries try.
pub const POLICY_BUCKET: &str = "sipwall-policy";
/// Signed deny lists by target.
pub const DENY_BUCKET: &str = "sipwall-deny";
/// What nodes say of themselves, by name.
pub const STATE_BUCKET: &str = "sipwall-state";
/// Where changes are told of: `sipwall.changed.BUCKET.KEY`.
const CHANGES: &str = "sipwall.changed";
/// How many versions of a policy are kept: as many as a bucket can.
const HISTORY: i64 = 64;
/// The largest state of a node.
const LARGEST_STATE: i32 = 128 * 1024;
/// The header in which the broker says how large the value is.
const SIZE: &str = "Nats-Msg-Size";

/// A bucket that is there.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Store,
}

/// A value, and the number of its change in the bucket.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// What the next change has to name, so that two who change it at once do not go unnoticed.
    pub place: u64,
    /// The value.
    pub value: Vec<u8>,
    /// When the broker took it, in seconds since the epoch by its clock.
    pub taken_at: u64,
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else was quicker.
    #[error("`{0}` was changed by somebody else meanwhile\nhint: look at what is there now: `sipwall fleet history`")]
    Overtaken(String),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl Bucket {
    /// The bucket of that name; nothing if the broker has none.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn open(broker: &Broker, name: &str) -> Result<Option<Self>> {
        let mut context = jetstream::new(broker.client().clone());
        context.set_timeout(PATIENCE);
        match context.get_key_value(name).await {
            Ok(store) => Ok(Some(Self { store })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("the broker does not say whether it has `{name}`")),
        }
    }

    /// Makes the fleet's buckets with so many copies where they are missing; says which were made.
    ///
    /// # Errors
    /// If the broker refuses one, as where it has no JetStream.
    pub async fn make_all(broker: &Broker, replicas: usize) -> Result<Vec<&'static str>> {
        let mut made = Vec::new();
        for name in [POLICY_BUCKET, DENY_BUCKET, STATE_BUCKET] {
            let is_made = patiently(async || {
                Ok(Self::open(broker, name).await?.is_none() && Self::make(broker, name, replicas).await?)
            });
            if is_made.await? {
                made.push(name);
            }
        }
        Ok(made)
    }

    /// Makes the stream that a bucket is: the client's own way asks the broker what a server of 2.9 does not know.
    async fn make(broker: &Broker, name: &str, replicas: usize) -> Result<bool> {
        let mut context = jetstream::new(broker.client().clone());
        context.set_timeout(PATIENCE);
        let is_state = name == STATE_BUCKET;
        let changes = Republish {
            source: format!("$KV.{name}.>"),
            destination: format!("{CHANGES}.{name}.>"),
            headers_only: true,
        };
        let config = stream::Config {
            name: format!("KV_{name}"),
            subjects: vec![format!("$KV.{name}.>")],
            max_messages_per_subject: if is_state { 1 } else { HISTORY },
            max_message_size: if is_state { LARGEST_STATE } else { i32::try_from(LARGEST_ENVELOPE)? + 4096 },
            discard: stream::DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            num_replicas: replicas,
            republish: (!is_state).then_some(changes),
            ..stream::Config::default()
        };
        match context.create_stream(config).await {
            Ok(_) => Ok(true),
            // Somebody else made it at the same time.
            Err(_) if Self::open(broker, name).await?.is_some() => Ok(false),
            Err(error) => Err(error).with_context(|| format!("the broker refuses the bucket `{name}`")),
        }
    }

    /// What stands under a key now.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn read(&self, key: &str) -> Result<Option<Entry>> {
        let subject = format!("{}{key}", self.store.prefix);
        match self.store.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) if message.headers.get("KV-Operation").is_some() => Ok(None),
            Ok(message) => Ok(Some(Entry {
                key: key.to_owned(),
                place: message.sequence,
                value: message.payload.to_vec(),
                taken_at: seconds(message.time.unix_timestamp()),
            })),
            Err(error) if is_no_message(&error.kind()) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("the broker does not say what `{key}` is")),
        }
    }

    /// Writes a value where nothing changed since `place`; 0 where there was none.
    ///
    /// # Errors
    /// If somebody else was quicker, or the broker does not say that it has it.
    pub async fn change(&self, key: &str, value: Vec<u8>, place: u64) -> Result<u64, ChangeError> {
        match self.store.update(key, value.into(), place).await {
            Ok(place) => Ok(place),
            Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                Err(ChangeError::Overtaken(key.to_owned()))
            }
            Err(error) => Err(anyhow!(error).context(format!("the broker does not take `{key}`")).into()),
        }
    }

    /// Writes a value, whatever was there.
    ///
    /// # Errors
    /// If the broker does not say that it has it.
    pub async fn write(&self, key: &str, value: Vec<u8>) -> Result<()> {
        self.store.put(key, value.into()).await.with_context(|| format!("the broker does not take `{key}`"))?;
        Ok(())
    }

    /// The last value of every key.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn all(&self) -> Result<Vec<Entry>> {
        let failed = || format!("the broker does not tell what is in `{}`", self.store.name);
        let info = self.store.stream.get_info().await.with_context(failed)?;
        if info.state.messages == 0 {
            return Ok(Vec::new());
        }
        let watch = self.store.watch_with_history(">").await.with_context(failed)?;
        let mut last = BTreeMap::new();
        // What changes meanwhile comes a second time.
        for entry in collect(watch, failed).await? {
            last.insert(entry.key.clone(), entry);
        }
        Ok(last.into_values().collect())
    }

    /// The values of a key that are still there, oldest first.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn versions(&self, key: &str) -> Result<Vec<Entry>> {
        let failed = || format!("the broker does not tell the history of `{}`", self.store.name);
        let history = self.store.history(key).await.with_context(failed)?;
        collect(history, failed).await
    }
}

/// The values up to the last one that is there now; those that were deleted are left out.
async fn collect(
    mut entries: impl Stream<Item = Result<kv::Entry, WatcherError>> + Unpin,
    failed: impl Fn() -> String,
) -> Result<Vec<Entry>> {
    let all = async {
        let mut values = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            let is_last = entry.delta == 0;
            if entry.operation == Operation::Put {
                values.push(Entry {
                    key: entry.key,
                    place: entry.revision,
                    value: entry.value.to_vec(),
                    taken_at: seconds(entry.created.unix_timestamp()),
                });
            }
            if is_last {
                break;
            }
        }
        Ok::<_, WatcherError>(values)
    };
    timeout(PATIENCE * 5, all).await.with_context(&failed)?.with_context(&failed)
}

fn seconds(timestamp: i64) -> u64 {
    u64::try_from(timestamp).unwrap_or_default()
}

fn is_missing(error: &jetstream::context::KeyValueError) -> bool {
    let source =
        std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::context::GetStreamError>());
    error.kind() == KeyValueErrorKind::GetBucket
        && source.is_some_and(|source| match source.kind() {
            GetStreamErrorKind::JetStream(error) => error.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND,
            _ => false,
        })
}

fn is_no_message(kind: &LastRawMessageErrorKind) -> bool {
    match kind {
        LastRawMessageErrorKind::NoMessageFound => true,
        LastRawMessageErrorKind::JetStream(error) => error.error_code() == jetstream::ErrorCode::NO_MESSAGE_FOUND,
        _ => false,
    }
}

/// What was changed, as the broker tells of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Change {
    /// How large the value is; nothing if the broker does not say.
    pub(super) size: Option<usize>,
}

/// Hears of changes of one key.
///
/// # Errors
/// If the client has ended.
pub(super) async fn changes(broker: &Broker, bucket: &str, key: &str) -> Result<Subscriber> {
    Ok(broker.client().subscribe(format!("{CHANGES}.{bucket}.{key}")).await?)
}

/// What a message on such a subject says.
pub(super) fn change(message: &async_nats::Message) -> Change {
    let size = message.headers.as_ref().and_then(|headers| headers.get(SIZE));
    Change { size: size.and_then(|size| size.as_str().parse().ok()) }
}

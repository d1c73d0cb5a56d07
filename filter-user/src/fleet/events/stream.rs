//! The stream at the broker.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, push},
    context::GetStreamErrorKind,
    stream,
};
use futures_util::StreamExt as _;

use super::{
    super::broker::{Broker, PATIENCE, patiently},
    Batch, FleetEvent, LARGEST_BATCH,
};

/// The stream of what nodes tell.
pub const EVENTS_STREAM: &str = "sipwall-events";
/// What they publish on: `sipwall.events.GROUP.NODE`.
const SUBJECTS: &str = "sipwall.events";
/// What stands for the group of a node that is in none; no group has this name.
const NO_GROUP: &str = "_";

/// How much of it the broker keeps; the oldest goes first.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many octets.
    pub size: u64,
    /// How long.
    pub age: Duration,
    /// How many servers of the broker keep it.
    pub replicas: usize,
}

/// Whose events are read, and since when.
#[derive(Clone, Debug)]
pub struct Span {
    /// Of this node alone.
    pub node: Option<String>,
    /// Of this group alone.
    pub group: Option<String>,
    /// Since then, by the broker's clock.
    pub since: SystemTime,
}

/// The subject that a node publishes on.
pub(super) fn subject(node: &str, group: Option<&str>) -> String {
    format!("{SUBJECTS}.{}.{node}", group.unwrap_or(NO_GROUP))
}

/// Makes the stream where it is missing; says whether it did.
///
/// # Errors
/// If the broker refuses it.
pub async fn make(broker: &Broker, bounds: &Bounds) -> Result<bool> {
    patiently(async || if is_there(broker).await? { Ok(false) } else { make_now(broker, bounds).await }).await
}

async fn make_now(broker: &Broker, bounds: &Bounds) -> Result<bool> {
    let config = stream::Config {
        name: EVENTS_STREAM.to_owned(),
        subjects: vec![format!("{SUBJECTS}.*.*")],
        max_bytes: i64::try_from(bounds.size).unwrap_or(i64::MAX),
        max_age: bounds.age,
        max_message_size: i32::try_from(LARGEST_BATCH)? + 4096,
        discard: stream::DiscardPolicy::Old,
        num_replicas: bounds.replicas,
        ..stream::Config::default()
    };
    match context(broker).create_stream(config).await {
        Ok(_) => Ok(true),
        // Somebody else made it at the same time.
        Err(_) if is_there(broker).await? => Ok(false),
        Err(error) => Err(error).with_context(|| format!("the broker refuses the stream `{EVENTS_STREAM}`")),
    }
}

fn context(broker: &Broker) -> jetstream::Context {
    let mut context = jetstream::new(broker.client().clone());
    context.set_timeout(PATIENCE);
    context
}

async fn open(broker: &Broker) -> Result<Option<stream::Stream>> {
    match context(broker).get_stream(EVENTS_STREAM).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(why) if why.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(error).with_context(|| format!("the broker does not say whether it has `{EVENTS_STREAM}`")),
        },
    }
}

async fn is_there(broker: &Broker) -> Result<bool> {
    Ok(open(broker).await?.is_some())
}

/// Publishes a message, and waits until the broker says that it has it.
pub(super) async fn publish(broker: &Broker, subject: String, octets: Vec<u8>) -> Result<()> {
    let answer = context(broker).publish(subject, octets.into()).await.context("events are not published")?;
    answer.await.with_context(|| {
        format!(
            "the broker does not take events; `sipwall fleet init` makes the stream `{EVENTS_STREAM}` if it is missing"
        )
    })?;
    Ok(())
}

/// Events as they are read.
pub struct Reading {
    messages: push::Ordered,
    /// Whether more is there already.
    pending: bool,
}

impl Reading {
    /// Begins to read.
    ///
    /// # Errors
    /// If the broker has no such stream, or does not answer.
    pub async fn begin(broker: &Broker, span: &Span) -> Result<Self> {
        let stream = patiently(async || open(broker).await).await?;
        let stream = stream.ok_or_else(|| {
            anyhow!("the broker has no stream `{EVENTS_STREAM}`\nhint: `sipwall fleet init` makes it")
        })?;
        let (group, node) = (span.group.as_deref().unwrap_or("*"), span.node.as_deref().unwrap_or("*"));
        let config = push::OrderedConfig {
            deliver_subject: broker.client().new_inbox(),
            filter_subject: subject(node, Some(group)),
            deliver_policy: DeliverPolicy::ByStartTime { start_time: span.since.into() },
            ..push::OrderedConfig::default()
        };
        let consumer = stream.create_consumer(config).await.context("the broker does not tell events")?;
        let pending = consumer.cached_info().num_pending > 0;
        let messages = consumer.messages().await.context("the broker does not tell events")?;
        Ok(Self { messages, pending })
    }

    /// What is there already and was not read; nothing once all was.
    ///
    /// # Errors
    /// If the broker is lost.
    pub async fn stored(&mut self) -> Result<Option<Vec<FleetEvent>>> {
        if self.pending { self.next().await.map(Some) } else { Ok(None) }
    }

    /// What a node told at one time, as soon as there is something. What is no message of a node is left out: anybody can
    /// write there.
    ///
    /// # Errors
    /// If the broker is lost.
    pub async fn next(&mut self) -> Result<Vec<FleetEvent>> {
        let message = self.messages.next().await.context("the broker tells no more events")?;
        let message = message.context("the broker tells no more events")?;
        let info = message.info().map_err(|error| anyhow!("the broker tells something else than events: {error}"))?;
        self.pending = info.pending > 0;
        let batch: Option<Batch> = serde_json::from_slice(&message.payload).ok();
        let own = batch.filter(|batch| *message.subject == *subject(&batch.node, batch.group.as_deref()));
        Ok(own.map(Batch::into_events).unwrap_or_default())
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("pending", &self.pending).finish_non_exhaustive()
    }
}

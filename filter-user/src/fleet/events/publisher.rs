//! A node's side: a task of its own, which looks at the samples and publishes some of them once a second.
//!
//! What it holds is bounded: a second's samples, a message under way, and some changes. It waits for nobody: while the broker
//! is away samples are counted and let go, and changes are kept as long as there is room.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    super::{broker::Broker, config::Identity},
    Batch, Change, LARGEST_BATCH,
    choice::choose,
    stream,
};
use crate::{
    service::{EventsSnapshot, one_line},
    telemetry::{Event, SAMPLES_WAIT},
};

/// After how many readings a message is sent: once a second.
const READINGS: u32 = 4;
/// How many changes wait for a broker that is away.
const WAITING_CHANGES: usize = 64;
/// What a message has besides its samples.
const HEAD: usize = 1024;

/// Where samples come from.
pub(crate) trait Samples: Send + 'static {
    /// Those since the last time, and how many were missed.
    fn read(&mut self) -> BoxFuture<'_, (Vec<Event>, u64)>;
}

/// The task that publishes, as the agent sees it. It ends with this.
#[derive(Debug)]
pub(crate) struct Publisher {
    changes: mpsc::Sender<Change>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    published: AtomicU64,
    unpublished: AtomicU64,
    why: Mutex<Option<String>>,
}

impl Publisher {
    /// Begins to publish at most so many samples a second.
    pub(crate) fn start(broker: Broker, identity: &Identity, most: u16, samples: impl Samples) -> Self {
        let (changes, received) = mpsc::channel(WAITING_CHANGES);
        let counts = Arc::new(Counts::default());
        let work = Work {
            broker,
            identity: identity.clone(),
            most: usize::from(most),
            received,
            counts: Arc::clone(&counts),
            samples: Vec::new(),
            changes: VecDeque::new(),
            unpublished: 0,
            under_way: None,
        };
        Self { changes, counts, task: tokio::spawn(work.run(samples)) }
    }

    /// Tells of a change.
    pub(crate) fn tell(&self, change: Change) {
        // One that finds no room is not told: what is now is in the node's state.
        let _ = self.changes.try_send(change);
    }

    /// How it goes.
    pub(crate) fn snapshot(&self) -> EventsSnapshot {
        EventsSnapshot {
            published: self.counts.published.load(Ordering::Relaxed),
            unpublished: self.counts.unpublished.load(Ordering::Relaxed),
            why: self.counts.why.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    broker: Broker,
    identity: Identity,
    most: usize,
    received: mpsc::Receiver<Change>,
    counts: Arc<Counts>,
    samples: Vec<Event>,
    changes: VecDeque<Change>,
    /// How many were not published since the last message that was.
    unpublished: u64,
    under_way: Option<Sent>,
}

/// A message that the broker did not answer yet.
struct Sent {
    answer: JoinHandle<anyhow::Result<()>>,
    samples: u64,
    changes: usize,
    unpublished: u64,
}

impl Work {
    async fn run(mut self, mut samples: impl Samples) {
        let mut tick = interval(SAMPLES_WAIT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for reading in 1_u32.. {
            tick.tick().await;
            let (events, missed) = samples.read().await;
            self.samples.extend(events);
            let left_out = choose(&mut self.samples, self.most);
            self.lose(missed + left_out);
            while self.changes.len() < WAITING_CHANGES
                && let Ok(change) = self.received.try_recv()
            {
                // One that fits into no message would keep the others waiting for ever.
                if size(&change).is_some_and(|size| size < LARGEST_BATCH - HEAD) {
                    self.changes.push_back(change);
                }
            }
            self.hear().await;
            if reading % READINGS == 0 && self.under_way.is_none() {
                self.send();
            }
        }
    }

    /// Counts samples that are not published.
    fn lose(&mut self, samples: u64) {
        self.unpublished += samples;
        self.counts.unpublished.fetch_add(samples, Ordering::Relaxed);
    }

    /// Hears whether the broker has what was sent.
    async fn hear(&mut self) {
        let Some(sent) = self.under_way.take_if(|sent| sent.answer.is_finished()) else { return };
        let failed = match sent.answer.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(one_line(&format!("{error:#}"))),
            Err(error) => Some(error.to_string()),
        };
        if failed.is_none() {
            self.counts.published.fetch_add(sent.samples, Ordering::Relaxed);
            self.unpublished -= sent.unpublished;
            self.changes.drain(..sent.changes);
        } else {
            self.lose(sent.samples);
        }
        self.note(failed);
    }

    fn note(&self, failed: Option<String>) {
        let mut why = self.counts.why.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_some() && *why != failed {
            tracing::warn!(why = failed.as_deref(), "what the node tells is not published, and counted");
        }
        *why = failed;
    }

    /// Sends what there is, if the broker is there; else lets the samples go.
    fn send(&mut self) {
        if !self.broker.is_connected() {
            let gone = u64::try_from(std::mem::take(&mut self.samples).len()).unwrap_or(u64::MAX);
            self.lose(gone);
            return;
        }
        if self.samples.is_empty() && self.changes.is_empty() {
            return;
        }
        let (octets, changes, samples) = self.batch();
        let unpublished = self.unpublished;
        let subject = stream::subject(&self.identity.node, self.identity.group.as_deref());
        let broker = self.broker.clone();
        let answer = tokio::spawn(async move { stream::publish(&broker, subject, octets).await });
        self.under_way = Some(Sent { answer, samples, changes, unpublished });
    }

    /// A message of the changes and samples that there is room for; the other samples are lost.
    fn batch(&mut self) -> (Vec<u8>, usize, u64) {
        let mut room = LARGEST_BATCH - HEAD;
        let mut fits = |size: Option<usize>| match size.and_then(|size| room.checked_sub(size)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let changes: Vec<_> = self.changes.iter().take_while(|change| fits(size(change))).cloned().collect();
        let mut drops = std::mem::take(&mut self.samples);
        let all = drops.len();
        drops.retain(|event| fits(size(event)));
        let (changed, told) = (changes.len(), drops.len());
        self.lose(u64::try_from(all - told).unwrap_or(u64::MAX));
        let Identity { node, group } = self.identity.clone();
        let batch = Batch { node, group, unpublished: self.unpublished, changes, drops };
        let octets = serde_json::to_vec(&batch).unwrap_or_default();
        (octets, changed, u64::try_from(told).unwrap_or(u64::MAX))
    }
}

/// How much room it takes, with what is between it and the next.
fn size(what: &impl serde::Serialize) -> Option<usize> {
    serde_json::to_vec(what).ok().map(|octets| octets.len() + 1)
}

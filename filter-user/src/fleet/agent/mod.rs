//! The agent on a node: follows what the fleet wants, and says how it goes. One task, which looks again and again; what it is
//! told of changes only makes it look at once. The data plane goes on whatever becomes of it.

mod decide;
mod denying;
mod report;
mod trial;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use ipnet::IpNet;
use tokio::{
    sync::{Notify, mpsc},
    time::{MissedTickBehavior, interval},
};

use self::{
    decide::{Decision, Letters, OnTrial, Step},
    report::Reported,
    trial::Trial,
};
use super::{
    broker::Broker,
    bucket::{self, Bucket, DENY_BUCKET, POLICY_BUCKET, STATE_BUCKET},
    config::{Access, Identity},
    document::Document,
    envelope::{LARGEST_ENVELOPE, Refused},
    events::{Publisher, Samples},
    health::Past,
    keys::Trust,
    memory::Memory,
    plane::{Look, Plane},
};
use crate::service::one_line;

/// How often the data plane is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often the broker is asked even if it told of no change.
const POLL: Duration = Duration::from_secs(30);
/// How soon it is asked again where it did not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// The agent of a node.
#[derive(Debug)]
pub struct Agent<P> {
    identity: Identity,
    trust: Trust,
    memory: Memory,
    plane: P,
    broker: Broker,
    buckets: Option<Buckets>,
    /// What was found under each key, by the digest of what stood there: nothing is read twice.
    letters: BTreeMap<String, Read>,
    told: Told,
    past: Past,
    look: Look,
    trial: Option<Trial>,
    wanted: Option<u64>,
    /// What the data plane was made to deny; nothing before it was.
    denied: Option<BTreeSet<IpNet>>,
    problems: Problems,
    next_look: Instant,
    reported: Reported,
    /// Where its metrics are.
    metrics: Option<String>,
    publisher: Option<Publisher>,
}

/// What stood under a key, and what was made of it.
type Read = (Vec<u8>, Result<Option<Document>, Refused>);

#[derive(Debug)]
struct Buckets {
    policy: Bucket,
    deny: Bucket,
    state: Bucket,
}

/// What goes wrong, by where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Problems {
    broker: Option<String>,
    documents: Vec<String>,
    denying: Vec<String>,
    trial: Option<String>,
}

impl Problems {
    fn text(&self) -> Option<String> {
        let all: Vec<_> = self
            .trial
            .iter()
            .chain(&self.documents)
            .chain(&self.denying)
            .chain(&self.broker)
            .map(String::as_str)
            .collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// What the broker told of changes since it was looked at.
#[derive(Debug)]
struct Told {
    changed: Arc<Notify>,
    too_large: mpsc::Receiver<(String, usize)>,
}

impl<P: Plane> Agent<P> {
    /// An agent that goes to the broker, and needs it not to be there.
    ///
    /// # Errors
    /// If what it remembers or a file that it needs for the broker cannot be read.
    pub async fn start(identity: Identity, access: &Access, trust: Trust, directory: &Path, plane: P) -> Result<Self> {
        let memory = Memory::open(directory)?;
        let broker = Broker::reach(access, &format!("sipwall {}", identity.node)).await?;
        let told = Told::listen(&broker, &identity).await?;
        Ok(Self {
            identity,
            trust,
            memory,
            plane,
            broker,
            buckets: None,
            letters: BTreeMap::new(),
            told,
            past: Past::default(),
            look: Look::default(),
            trial: None,
            wanted: None,
            denied: None,
            problems: Problems::default(),
            next_look: Instant::now(),
            reported: Reported::new(),
            metrics: None,
            publisher: None,
        })
    }

    /// Tells where Prometheus finds the node's metrics.
    pub(super) fn tell_metrics(&mut self, metrics: Option<String>) {
        self.metrics = metrics;
    }

    /// Publishes at most so many of these samples a second, and what changes.
    pub(super) fn publish(&mut self, most: u16, samples: impl Samples) {
        self.publisher = Some(Publisher::start(self.broker.clone(), &self.identity, most, samples));
    }

    /// Follows what the fleet wants, until it is dropped.
    pub async fn run(mut self) {
        tracing::info!(node = self.identity.node, group = self.identity.group, "part of a fleet");
        self.give_up_what_was_left().await;
        self.apply_denied().await;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    self.look_at_plane().await;
                    self.advance_trial().await;
                }
                () = self.told.changed.notified() => self.next_look = Instant::now(),
                Some((key, size)) = self.told.too_large.recv() => self.refuse_unread(&key, size),
                () = self.broker.changed() => self.next_look = Instant::now(),
            }
            if self.next_look <= Instant::now() && self.broker.is_connected() {
                self.look_at_broker().await;
            }
            self.report().await;
        }
    }

    async fn look_at_plane(&mut self) {
        match self.plane.look().await {
            Ok(look) => {
                self.past.add(Instant::now(), look.tally.clone());
                self.look = look;
            }
            Err(error) => tracing::warn!(error = one_line(&format!("{error:#}")), "the data plane cannot be looked at"),
        }
    }

    async fn look_at_broker(&mut self) {
        match self.read_and_follow().await {
            Ok(()) => {
                self.problems.broker = None;
                self.next_look = Instant::now() + POLL;
            }
            Err(error) => {
                // It may be another broker than before, or have lost what it had.
                self.buckets = None;
                self.problems.broker = Some(one_line(&format!("{error:#}")));
                self.next_look = Instant::now() + AGAIN;
            }
        }
    }

    async fn read_and_follow(&mut self) -> Result<()> {
        if self.buckets.is_none() {
            self.buckets = Some(Buckets::open(&self.broker).await?);
        }
        let letters = self.read_letters().await?;
        let trial = self.trial.as_ref().map(|trial| OnTrial { document: &trial.document });
        let Decision { step, wanted, problems } = decide::decide(&self.identity, &self.memory, trial, &letters);
        self.wanted = wanted;
        if self.problems.documents != problems {
            for problem in &problems {
                tracing::error!(why = one_line(problem), "what the broker has is not taken, what is in force stays");
            }
            self.problems.documents = problems;
        }
        match step {
            Step::Stay => {}
            Step::Try { document, key, approved } => self.begin_trial(*document, key, approved).await,
            Step::Approve => self.approve(),
            Step::Withdraw(why) => self.give_up(&format!("taken back: {why}"), true).await,
        }
        self.follow_denied().await
    }

    async fn read_letters(&mut self) -> Result<Letters> {
        let mut letters = Letters::new();
        for key in decide::keys(&self.identity) {
            let letter = self.read_letter(&key).await?;
            letters.insert(key, letter);
        }
        Ok(letters)
    }

    async fn read_letter(&mut self, key: &str) -> Result<Result<Option<Document>, Refused>> {
        let Some(buckets) = &self.buckets else { return Err(anyhow!("the broker has no buckets")) };
        let Some(entry) = buckets.policy.read(key).await? else {
            self.letters.remove(key);
            return Ok(Ok(None));
        };
        if let Some((octets, letter)) = self.letters.get(key)
            && *octets == entry.value
        {
            return Ok(letter.clone());
        }
        let letter = Document::open(&entry.value, &self.trust).map(|(document, _)| Some(document));
        self.letters.insert(key.to_owned(), (entry.value, letter.clone()));
        Ok(letter)
    }

    /// What is too large is not even fetched.
    fn refuse_unread(&mut self, key: &str, size: usize) {
        let problem = format!("`{key}` is refused: {}", Refused::TooLarge(size));
        tracing::error!(why = problem.as_str(), "what the broker has is not taken, what is in force stays");
        if !self.problems.documents.contains(&problem) {
            self.problems.documents.push(problem);
        }
    }
}

impl Buckets {
    async fn open(broker: &Broker) -> Result<Self> {
        let mut found = Vec::new();
        for name in [POLICY_BUCKET, DENY_BUCKET, STATE_BUCKET] {
            let bucket = Bucket::open(broker, name).await?;
            found.push(bucket.ok_or_else(|| {
                anyhow!(
                    "the broker has no bucket `{name}`: what is in force stays\nhint: `sipwall fleet init` makes it"
                )
            })?);
        }
        let [policy, deny, state] = <[Bucket; 3]>::try_from(found).map_err(|_| anyhow!("a bucket is missing"))?;
        Ok(Self { policy, deny, state })
    }
}

impl Told {
    async fn listen(broker: &Broker, identity: &Identity) -> Result<Self> {
        let (changed, (sender, too_large)) = (Arc::new(Notify::new()), mpsc::channel(8));
        let policies = decide::keys(identity).into_iter().map(|key| (POLICY_BUCKET, key));
        let denied = denying::keys(identity).into_iter().map(|key| (DENY_BUCKET, key));
        for (name, key) in policies.chain(denied) {
            let mut messages = bucket::changes(broker, name, &key).await?;
            let (changed, sender) = (Arc::clone(&changed), sender.clone());
            tokio::spawn(async move {
                while let Some(message) = futures_util::StreamExt::next(&mut messages).await {
                    match bucket::change(&message).size {
                        Some(size) if size > LARGEST_ENVELOPE => {
                            // One that waits already says enough.
                            let _ = sender.try_send((key.clone(), size));
                        }
                        _ => changed.notify_one(),
                    }
                    if sender.is_closed() {
                        break;
                    }
                }
            });
        }
        Ok(Self { changed, too_large })
    }
}

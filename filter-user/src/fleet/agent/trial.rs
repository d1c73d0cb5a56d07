//! A policy on trial: from its first packet until it stays or is given up.

use std::time::Instant;

use super::{
    super::{
        document::PolicyDocument,
        health::{Verdict, Watch},
        plane::{Plane, Standing},
    },
    Agent,
};
use crate::service::one_line;

/// A policy on trial.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) document: PolicyDocument,
    /// Whether it stays once it is found good; else somebody says so first.
    approved: bool,
    since: Instant,
    watch: Watch,
    /// How the data plane stands as long as nothing happened: a policy that comes to what is in force already is on no trial.
    standing: Standing,
    /// The interfaces that were filtered when it began.
    filtered: Vec<String>,
    /// Whether the broker had a word of this node since: a policy that cuts it off is not a good one.
    pub(super) is_heard: bool,
    pub(super) is_good: bool,
}

impl<P: Plane> Agent<P> {
    /// After a process that died: what it tried is given up, and counts as an attempt.
    pub(super) async fn give_up_what_was_left(&mut self) {
        let is_open = self.memory.tried().is_some_and(|tried| tried.ended.is_none());
        if is_open {
            self.give_up("the service ended in the middle of the trial", false).await;
        }
        self.tell_of_what_was_tried();
    }

    /// Puts a policy on trial.
    pub(super) async fn begin_trial(&mut self, document: PolicyDocument, key: String, approved: bool) {
        let revision = document.head.revision;
        tracing::info!(key, revision, author = document.head.author, "trying what the fleet wants");
        // What is usual is what was before this one: a trial that is under way is no measure.
        let usual =
            self.trial.take().map_or_else(|| self.past.usual(document.terms.observe_for()), |trial| trial.watch.usual);
        if let Err(error) = self.put_on_trial(&document, &key).await {
            self.give_up(&format!("{error:#}"), true).await;
            return;
        }
        self.problems.trial = None;
        // Only now: what passed while the policy was on its way, the one before let in.
        self.look_at_plane().await;
        let watch = Watch {
            usual,
            at_start: self.look.tally.clone(),
            observe_for: document.terms.observe_for(),
            may_lose: document.terms.may_lose.clone(),
        };
        let standing = self.look.trial;
        let filtered = self.look.interfaces.iter().filter(|one| one.running).map(|one| one.name.clone()).collect();
        let since = Instant::now();
        self.trial =
            Some(Trial { document, approved, since, watch, standing, filtered, is_heard: false, is_good: false });
    }

    async fn put_on_trial(&mut self, document: &PolicyDocument, key: &str) -> anyhow::Result<()> {
        // Before anything is done: whatever happens then, it is known.
        self.memory.begin(key, document.head.revision)?;
        let name = document.head.target.file_name(document.head.revision);
        let path = document.content.unpack(&self.memory.trial_directory(), &name, &self.plane.facts()?)?;
        self.plane.try_policy(&path, document.terms.confirm_within()).await
    }

    /// The policy on trial may stay.
    pub(super) fn approve(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.approved = true;
        }
    }

    /// Goes on with the policy on trial, if there is one.
    pub(super) async fn advance_trial(&mut self) {
        let Some(trial) = &mut self.trial else { return };
        if self.look.trial != trial.standing {
            // Who was to say that a canary's policy may stay will not say so any more.
            let is_canary = !trial.approved;
            self.give_up("it was not found good and confirmed in time", is_canary).await;
            return;
        }
        match trial.watch.judge(trial.since.elapsed(), &self.look.tally) {
            Verdict::TooEarly => {}
            Verdict::Bad(why) => self.give_up(&why, true).await,
            Verdict::Good => {
                let mut lost = self.look.interfaces.iter().filter(|one| !one.running);
                let is_filtering = !lost.any(|one| trial.filtered.contains(&one.name));
                trial.is_good = trial.is_heard && is_filtering;
                if trial.is_good && trial.approved {
                    self.keep_trial().await;
                }
            }
        }
    }

    async fn keep_trial(&mut self) {
        if let Err(error) = self.plane.confirm().await {
            self.give_up(&format!("{error:#}"), false).await;
            return;
        }
        let Some(Trial { document, .. }) = self.trial.take() else { return };
        let (target, revision) = (document.head.target.to_string(), document.head.revision);
        tracing::info!(target, revision, "the fleet's policy stays");
        self.problems.trial = None;
        if let Err(error) = self.memory.follow(document) {
            self.problems.trial = Some(format!("{error:#}"));
        }
    }

    /// Gives up what is on trial, if anything is, and notes why.
    pub(super) async fn give_up(&mut self, why: &str, for_ever: bool) {
        self.trial = None;
        tracing::error!(why = one_line(why), "the fleet's policy is given up, the one before is in force");
        if let Err(error) = self.memory.end(why, for_ever) {
            tracing::error!(error = one_line(&format!("{error:#}")), "that is not noted");
        }
        if let Err(error) = self.plane.fall_back().await {
            tracing::error!(error = one_line(&format!("{error:#}")), "the data plane falls back by itself");
        }
        self.tell_of_what_was_tried();
        // One that may be tried again is.
        self.next_look = Instant::now();
    }

    fn tell_of_what_was_tried(&mut self) {
        let tried = self.memory.tried().and_then(|tried| Some((tried, tried.ended.as_deref()?)));
        self.problems.trial = tried.map(|(tried, why)| {
            format!("revision {} of `{}` was given up: {}", tried.revision, tried.key, one_line(why))
        });
    }
}

//! A policy on its way to the nodes: canaries first, then the others; taken back where it fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    super::{
        document::{Content, Document, PolicyDocument, Target, Terms, Withdrawal},
        state::{Phase, Seen},
    },
    Latest, Operator,
};
use crate::service::now;

/// How often the nodes are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long the last word takes to reach the canaries at the most.
const LAST_WORD: Duration = Duration::from_secs(5);
/// How long after its own time a node may take to say what became of it.
const GRACE: Duration = Duration::from_secs(15);

/// A policy that is to be rolled out.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Whom it is for.
    pub target: Target,
    /// The policy.
    pub content: Content,
    /// How many nodes try it before the others.
    pub canaries: usize,
    /// How it comes into force on each node.
    pub terms: Terms,
    /// On how many nodes it may fail.
    pub max_failures: usize,
}

/// What happens meanwhile.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Progress {
    /// What is there is not signed by a key that is trusted, and is written over.
    WritesOver {
        /// Why it is not taken.
        why: String,
    },
    /// It begins.
    Begins {
        /// The new revision.
        revision: u64,
        /// The nodes that it is for.
        nodes: Vec<String>,
        /// Those of them that try it first.
        canaries: Vec<String>,
        /// Nodes that it is for too, and that say nothing now: they follow when they are back.
        absent: Vec<String>,
    },
    /// A node stands elsewhere than before.
    Node {
        /// The node.
        node: String,
        /// Where it stands.
        phase: Phase,
        /// Whether it runs the new revision for ever.
        done: bool,
        /// What goes wrong there.
        problem: Option<String>,
    },
    /// The canaries found it good, and all others are told.
    Published {
        /// The revision.
        revision: u64,
    },
}

/// How it ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "ended")]
pub enum Ended {
    /// It is in force.
    InForce {
        /// The revision.
        revision: u64,
        /// The nodes that run it.
        nodes: Vec<String>,
        /// Those on which it failed.
        failed: BTreeMap<String, String>,
    },
    /// It was taken back.
    TakenBack {
        /// The revision.
        revision: u64,
        /// Why.
        why: String,
        /// The revision that brings back what was before; nothing where only canaries had tried it.
        restored_as: Option<u64>,
    },
}

/// The nodes that it is for, and what stood there when it began.
struct Plan {
    revision: u64,
    nodes: BTreeSet<String>,
    canaries: Vec<String>,
    before: Latest,
    canary_place: u64,
}

impl Operator {
    /// Rolls a policy out, and waits for the end of it.
    ///
    /// Should this process end meanwhile: canaries that were not told to keep the policy fall back by themselves.
    ///
    /// # Errors
    /// If a node would refuse the policy, another roll-out is under way, somebody else was quicker or the broker is lost.
    pub async fn roll_out(&self, rollout: &Rollout, say: &mut (dyn FnMut(Progress) + Send)) -> Result<Ended> {
        self.signer()?;
        let plan = self.plan(rollout, say).await?;
        if !plan.canaries.is_empty()
            && let Some(why) = self.try_on_canaries(rollout, &plan, say).await?
        {
            return Ok(Ended::TakenBack { revision: plan.revision, why, restored_as: None });
        }
        let document = Document::Policy(self.document(rollout, plan.revision, Vec::new()));
        let place = self.policy.change(&rollout.target.to_string(), self.seal(&document)?, plan.before.place).await?;
        say(Progress::Published { revision: plan.revision });
        self.await_all(rollout, plan, place, say).await
    }

    async fn plan(&self, rollout: &Rollout, say: &mut (dyn FnMut(Progress) + Send)) -> Result<Plan> {
        let (key, canary_key) = (rollout.target.to_string(), rollout.target.canary_key());
        let before = self.latest(&self.policy, &key).await?;
        let canary = self.latest(&self.policy, &canary_key).await?;
        for why in [&before, &canary].into_iter().filter_map(|latest| latest.refused.clone()) {
            say(Progress::WritesOver { why });
        }
        refuse_while_under_way(&before, &canary)?;
        let members = self.members(&rollout.target).await?;
        check_everywhere(&rollout.content, &members)?;
        let taken =
            members.iter().flat_map(|seen| [&key, &canary_key].map(|key| seen.state.accepted.get(key).copied()));
        let highest = taken.flatten().chain([before.revision(), canary.revision()]).max().unwrap_or_default();
        let revision = highest.checked_add(1).context("there is no higher revision than what a node says it took")?;
        let (mut present, absent): (Vec<_>, Vec<_>) = members.into_iter().partition(|seen| seen.is_fresh(now()));
        // Who has most traffic can tell most.
        let traffic = |seen: &Seen| seen.state.interfaces.iter().map(|one| one.passed_per_second).sum::<u64>();
        present.sort_by_key(|seen| (std::cmp::Reverse(traffic(seen)), seen.state.node.clone()));
        let names = |nodes: &[Seen]| nodes.iter().map(|seen| seen.state.node.clone()).collect::<Vec<_>>();
        let canaries: Vec<_> = names(&present).into_iter().take(rollout.canaries).collect();
        if rollout.canaries > 0 && canaries.is_empty() {
            bail!(
                "no node of `{}` says anything, so none can try it first\nhint: `--canary 0` does without",
                rollout.target
            );
        }
        let nodes: BTreeSet<_> = names(&present).into_iter().collect();
        say(Progress::Begins {
            revision,
            nodes: nodes.iter().cloned().collect(),
            canaries: canaries.clone(),
            absent: names(&absent),
        });
        Ok(Plan { revision, nodes, canaries, before, canary_place: canary.place })
    }

    fn document(&self, rollout: &Rollout, revision: u64, canaries: Vec<String>) -> PolicyDocument {
        PolicyDocument {
            head: self.head(&rollout.target, revision),
            content: rollout.content.clone(),
            terms: rollout.terms.clone(),
            canaries,
        }
    }

    /// Lets the canaries try it; returns why it failed, if it did.
    async fn try_on_canaries(
        &self,
        rollout: &Rollout,
        plan: &Plan,
        say: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Option<String>> {
        let key = rollout.target.canary_key();
        let document = Document::Policy(self.document(rollout, plan.revision, plan.canaries.clone()));
        let place = self.policy.change(&key, self.seal(&document)?, plan.canary_place).await?;
        let end = Instant::now() + rollout.terms.confirm_within().saturating_sub(LAST_WORD);
        let mut news = News::default();
        let why = loop {
            let nodes: Vec<_> =
                self.nodes().await?.into_iter().filter(|seen| plan.canaries.contains(&seen.state.node)).collect();
            news.say(&nodes, plan.revision, say);
            if let Some(failed) = nodes.iter().find(|seen| has_failed(seen, plan.revision)) {
                break format!("canary `{}`: {}", failed.state.node, problem(failed));
            }
            let good = |seen: &&Seen| seen.state.phase == Phase::Good && seen.state.trying == Some(plan.revision);
            if nodes.iter().filter(good).count() == plan.canaries.len() {
                return Ok(None);
            }
            if Instant::now() >= end {
                let silent: Vec<_> = plan
                    .canaries
                    .iter()
                    .filter(|name| !nodes.iter().filter(good).any(|seen| seen.state.node == **name))
                    .map(String::as_str)
                    .collect();
                break format!("in time {} did not say that it is good", silent.join(", "));
            }
            sleep(LOOK).await;
        };
        let withdrawal = Withdrawal { head: self.head(&rollout.target, plan.revision), why: why.clone() };
        self.policy.change(&key, self.seal(&Document::Withdrawal(withdrawal))?, place).await?;
        Ok(Some(why))
    }

    /// Waits for all nodes; where it fails on too many, brings back what was before.
    async fn await_all(
        &self,
        rollout: &Rollout,
        plan: Plan,
        place: u64,
        say: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Ended> {
        let end = Instant::now() + rollout.terms.confirm_within() + GRACE;
        let mut news = News::default();
        loop {
            let nodes: Vec<_> =
                self.nodes().await?.into_iter().filter(|seen| plan.nodes.contains(&seen.state.node)).collect();
            news.say(&nodes, plan.revision, say);
            let is_over = Instant::now() >= end;
            let (mut running, mut failed) = (Vec::new(), BTreeMap::new());
            for seen in &nodes {
                if runs(seen, &rollout.target, plan.revision) {
                    running.push(seen.state.node.clone());
                } else if has_failed(seen, plan.revision) {
                    failed.insert(seen.state.node.clone(), problem(seen));
                } else if is_over {
                    failed.insert(seen.state.node.clone(), "it did not say in time that it runs it".to_owned());
                }
            }
            if failed.len() > rollout.max_failures {
                let reasons: Vec<_> = failed.iter().map(|(node, why)| format!("`{node}`: {why}")).collect();
                let restored_as = self.restore(rollout, &plan, place).await?;
                return Ok(Ended::TakenBack { revision: plan.revision, why: reasons.join("; "), restored_as });
            }
            if is_over || running.len() + failed.len() >= plan.nodes.len() {
                return Ok(Ended::InForce { revision: plan.revision, nodes: running, failed });
            }
            sleep(LOOK).await;
        }
    }

    /// Brings back what was before, as a revision of its own: nodes never go back.
    async fn restore(&self, rollout: &Rollout, plan: &Plan, place: u64) -> Result<Option<u64>> {
        let Some(Document::Policy(before)) = &plan.before.document else { return Ok(None) };
        let revision = plan.revision + 1;
        let restored = Rollout { content: before.content.clone(), ..rollout.clone() };
        let document = Document::Policy(self.document(&restored, revision, Vec::new()));
        self.policy.change(&rollout.target.to_string(), self.seal(&document)?, place).await?;
        Ok(Some(revision))
    }
}

/// A roll-out is under way as long as its canaries may still be told to keep the policy.
fn refuse_while_under_way(before: &Latest, canary: &Latest) -> Result<()> {
    let Some(Document::Policy(trying)) = &canary.document else { return Ok(()) };
    let ends = canary.taken_at.saturating_add(trying.terms.confirm);
    if trying.head.revision > before.revision() && now() < ends {
        bail!(
            "{} rolls out revision {} just now, for {} s more at the most\nhint: wait for the end of it",
            trying.head.author,
            trying.head.revision,
            ends - now()
        );
    }
    Ok(())
}

/// Compiles the policy as each node would.
fn check_everywhere(content: &Content, members: &[Seen]) -> Result<()> {
    let mut checked = BTreeSet::new();
    for seen in members {
        if checked.insert(seen.state.facts.as_str())
            && let Err(refusals) = content.compile(&seen.state.facts)?
        {
            bail!("`{}` would refuse the policy\n{refusals}", seen.state.node);
        }
    }
    Ok(())
}

fn runs(seen: &Seen, target: &Target, revision: u64) -> bool {
    seen.state.target.as_ref() == Some(target) && seen.state.running == Some(revision)
}

fn has_failed(seen: &Seen, revision: u64) -> bool {
    seen.state.failed == Some(revision) && seen.state.trying != Some(revision) && seen.state.running != Some(revision)
}

fn problem(seen: &Seen) -> String {
    seen.state.problem.clone().unwrap_or_else(|| "it does not say why".to_owned())
}

/// What was said of the nodes.
#[derive(Default)]
struct News(BTreeMap<String, (Phase, bool, Option<String>)>);

impl News {
    fn say(&mut self, nodes: &[Seen], revision: u64, say: &mut (dyn FnMut(Progress) + Send)) {
        for Seen { state, .. } in nodes {
            let is_about_this = [state.trying, state.failed, state.running].contains(&Some(revision));
            let now = (state.phase, state.running == Some(revision), state.problem.clone());
            if is_about_this && self.0.get(&state.node) != Some(&now) {
                let (phase, done, problem) = now.clone();
                say(Progress::Node { node: state.node.clone(), phase, done, problem });
                self.0.insert(state.node.clone(), now);
            }
        }
    }
}

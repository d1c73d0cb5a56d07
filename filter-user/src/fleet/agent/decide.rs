//! What a node makes of what the broker has: a matter of documents and of what was taken before, and of nothing else.

use std::collections::BTreeMap;

use super::super::{
    config::Identity,
    document::{Document, Head, PolicyDocument, Target, Withdrawal},
    envelope::Refused,
    memory::Memory,
};

/// What stands under a key: nothing, a document, or something that is refused.
pub(crate) type Letters = BTreeMap<String, Result<Option<Document>, Refused>>;

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// Try this policy.
    Try {
        /// The policy.
        document: Box<PolicyDocument>,
        /// The key that it stands under.
        key: String,
        /// Whether it stays once it is found good; else somebody says so first.
        approved: bool,
    },
    /// The policy on trial may stay once it is found good.
    Approve,
    /// The policy on trial is taken back.
    Withdraw(String),
}

/// What is to be done, and what is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Decision {
    pub(super) step: Step,
    /// The revision that is wanted.
    pub(super) wanted: Option<u64>,
    /// What is wrong with what the broker has.
    pub(super) problems: Vec<String>,
}

/// The policy on trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnTrial<'a> {
    pub(super) document: &'a PolicyDocument,
}

/// The keys under which something may stand for a node.
pub(super) fn keys(identity: &Identity) -> Vec<String> {
    let targets = identity.targets();
    let canaries = targets.iter().filter(|target| !matches!(target, Target::Node(_))).map(Target::canary_key);
    targets.iter().map(Target::to_string).chain(canaries).collect()
}

/// Decides by the narrowest target that there is something for. A node does not go back to a wider one by itself: that
/// something is missing may be anybody's doing.
pub(super) fn decide(identity: &Identity, memory: &Memory, trial: Option<OnTrial<'_>>, letters: &Letters) -> Decision {
    let mut problems = Vec::new();
    for target in identity.targets() {
        let mut found = Found::new(identity, memory, &target, letters);
        problems.append(&mut found.problems);
        let is_followed = memory.current().is_some_and(|current| current.head.target == target);
        let is_on_trial = trial.is_some_and(|trial| trial.document.head.target == target);
        let Some(offer) = found.best() else {
            if is_followed && found.is_missing {
                problems.push(format!("the broker has nothing under `{target}` any more: what is in force stays"));
            }
            let withdrawn = trial.filter(|_| is_on_trial).and_then(|trial| found.withdrawal_of(&trial.document.head));
            if is_followed || is_on_trial || found.is_refused {
                return Decision { step: withdrawn.map_or(Step::Stay, Step::Withdraw), wanted: None, problems };
            }
            continue;
        };
        let wanted = Some(offer.document.head.revision);
        let step = step(memory, trial.filter(|_| is_on_trial), &found, offer, &mut problems);
        return Decision { step, wanted, problems };
    }
    Decision { step: Step::Stay, wanted: None, problems }
}

fn step(
    memory: &Memory,
    trial: Option<OnTrial<'_>>,
    found: &Found<'_>,
    offer: &Offer<'_>,
    problems: &mut Vec<String>,
) -> Step {
    let (document, head) = (offer.document, &offer.document.head);
    let is_this = |other: &PolicyDocument| other.head.target == head.target && other.head.revision == head.revision;
    for known in memory.current().into_iter().chain(trial.map(|trial| trial.document)).filter(|known| is_this(known)) {
        if known.content != document.content {
            problems.push(format!("`{}` says something else than before under revision {}", offer.key, head.revision));
            return Step::Stay;
        }
    }
    if let Some(trial) = trial {
        if let Some(why) = found.withdrawal_of(&trial.document.head) {
            return Step::Withdraw(why);
        }
        if is_this(trial.document) {
            return if document.canaries.is_empty() { Step::Approve } else { Step::Stay };
        }
    }
    if memory.current().is_some_and(is_this) {
        return Step::Stay;
    }
    let given_up =
        memory.tried().is_some_and(|tried| tried.key == offer.key && tried.revision == head.revision && tried.given_up);
    if given_up {
        return Step::Stay;
    }
    Step::Try { document: Box::new(document.clone()), key: offer.key.clone(), approved: document.canaries.is_empty() }
}

/// A policy that may be the wanted one, and the key that it stands under.
struct Offer<'a> {
    document: &'a PolicyDocument,
    key: String,
}

/// What there is for a target.
struct Found<'a> {
    all: Option<Offer<'a>>,
    canary: Option<Offer<'a>>,
    withdrawal: Option<&'a Withdrawal>,
    /// Whether there is nothing under the target's own key.
    is_missing: bool,
    /// Whether there is something under it, once was, and it is not what it should be.
    is_refused: bool,
    problems: Vec<String>,
}

impl<'a> Found<'a> {
    fn new(identity: &Identity, memory: &Memory, target: &Target, letters: &'a Letters) -> Self {
        let mut found = Self {
            all: None,
            canary: None,
            withdrawal: None,
            is_missing: false,
            is_refused: false,
            problems: Vec::new(),
        };
        let (key, canary_key) = (target.to_string(), target.canary_key());
        match letters.get(&key) {
            None | Some(Ok(None)) => found.is_missing = true,
            Some(Ok(Some(Document::Policy(document))))
                if document.canaries.is_empty() && document.head.target == *target =>
            {
                found.all = found.if_not_older(memory, document, &key);
            }
            Some(Ok(Some(_))) => found.problems.push(format!("`{key}` holds a document that is not meant for there")),
            Some(Err(refused)) => found.problems.push(format!("`{key}` is refused: {refused}")),
        }
        // Somebody who puts rubbish where nothing ever was does not keep a node from the policy of its group.
        found.is_refused = !found.is_missing && found.all.is_none() && memory.accepted(&key) > 0;
        match letters.get(&canary_key) {
            Some(Ok(Some(Document::Policy(document)))) if document.head.target == *target => {
                let is_over = document.head.revision <= memory.accepted(&key);
                if document.canaries.contains(&identity.node) && !is_over {
                    found.canary = found.if_not_older(memory, document, &canary_key);
                }
            }
            Some(Ok(Some(Document::Withdrawal(withdrawal)))) if withdrawal.head.target == *target => {
                found.withdrawal = Some(withdrawal);
            }
            None | Some(Ok(None)) => {}
            Some(Ok(Some(_))) => {
                found.problems.push(format!("`{canary_key}` holds a document that is not meant for there"));
            }
            Some(Err(refused)) => found.problems.push(format!("`{canary_key}` is refused: {refused}")),
        }
        found
    }

    fn if_not_older(&mut self, memory: &Memory, document: &'a PolicyDocument, key: &str) -> Option<Offer<'a>> {
        let (revision, accepted) = (document.head.revision, memory.accepted(key));
        if revision < accepted {
            self.problems.push(format!(
                "`{key}` has revision {revision}, and {accepted} was taken here before: an older one is refused"
            ));
            return None;
        }
        Some(Offer { document, key: key.to_owned() })
    }

    /// The newest; of two that are the same, the one that is for all.
    fn best(&self) -> Option<&Offer<'a>> {
        let canary = self.canary.as_ref().filter(|canary| {
            let newest = self.all.as_ref().map_or(0, |all| all.document.head.revision);
            canary.document.head.revision > newest
        });
        canary.or(self.all.as_ref())
    }

    fn withdrawal_of(&self, head: &Head) -> Option<String> {
        let withdrawal = self.withdrawal.filter(|withdrawal| withdrawal.head.revision == head.revision)?;
        Some(withdrawal.why.clone())
    }
}

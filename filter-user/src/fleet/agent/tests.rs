//! What a node decides, letter by letter.

use std::collections::BTreeMap;

use super::{
    super::{
        config::Identity,
        document::{Content, Document, Head, PolicyDocument, Target, Terms, Withdrawal},
        envelope::Refused,
        memory::Memory,
    },
    decide::{Decision, Letters, OnTrial, Step, decide},
};

const GROUP: &str = "group.edge";
const CANARY: &str = "canary.group.edge";

fn identity() -> Identity {
    Identity { node: "sbc-1".to_owned(), group: Some("edge".to_owned()) }
}

fn head(target: &str, revision: u64) -> Head {
    Head { target: target.parse().unwrap(), revision, created: 0, author: "me".to_owned() }
}

fn policy(target: &str, revision: u64, canaries: &[&str]) -> PolicyDocument {
    PolicyDocument {
        head: head(target, revision),
        content: Content { name: "p".to_owned(), text: format!("# {revision}\n"), files: BTreeMap::new() },
        terms: Terms { confirm: 60, observe: 1, may_lose: Vec::new() },
        canaries: canaries.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn letters(of: &[(&str, PolicyDocument)]) -> Letters {
    of.iter().map(|(key, document)| ((*key).to_owned(), Ok(Some(Document::Policy(document.clone()))))).collect()
}

/// A node that follows a policy, and remembers it in a directory that goes with it.
struct Known {
    memory: Memory,
    _directory: tempfile::TempDir,
}

impl Known {
    fn nothing() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { memory: Memory::open(directory.path()).unwrap(), _directory: directory }
    }

    fn following(document: PolicyDocument) -> Self {
        let mut known = Self::nothing();
        known.memory.follow(document).unwrap();
        known
    }

    fn decide(&self, trial: Option<&PolicyDocument>, letters: &Letters) -> Decision {
        decide(&identity(), &self.memory, trial.map(|document| OnTrial { document }), letters)
    }
}

fn tries(decision: &Decision) -> Option<(&str, u64, bool)> {
    match &decision.step {
        Step::Try { document, key, approved } => Some((key, document.head.revision, *approved)),
        _ => None,
    }
}

#[test]
fn the_narrowest_target_that_has_a_policy_holds() {
    let known = Known::nothing();
    let all = letters(&[("default", policy("default", 1, &[])), (GROUP, policy(GROUP, 4, &[]))]);
    assert_eq!(tries(&known.decide(None, &all)), Some((GROUP, 4, true)));
    let node = letters(&[("node.sbc-1", policy("node.sbc-1", 2, &[])), (GROUP, policy(GROUP, 4, &[]))]);
    assert_eq!(tries(&known.decide(None, &node)), Some(("node.sbc-1", 2, true)));
    assert_eq!(known.decide(None, &Letters::new()).step, Step::Stay);
}

#[test]
fn nothing_older_is_taken_and_nothing_wider_where_something_is_missing() {
    let known = Known::following(policy(GROUP, 7, &[]));
    let older = known.decide(None, &letters(&[(GROUP, policy(GROUP, 6, &[])), ("default", policy("default", 9, &[]))]));
    assert_eq!((&older.step, older.problems.len()), (&Step::Stay, 1), "{older:?}");
    assert!(older.problems[0].contains("has revision 6, and 7 was taken here before"), "{older:?}");
    let gone = known.decide(None, &letters(&[("default", policy("default", 9, &[]))]));
    assert_eq!(gone.step, Step::Stay);
    assert!(gone.problems[0].contains("the broker has nothing under `group.edge` any more"), "{gone:?}");
    let same = known.decide(None, &letters(&[(GROUP, policy(GROUP, 7, &[]))]));
    assert_eq!((same.step, same.wanted, same.problems.len()), (Step::Stay, Some(7), 0));
    let mut other = policy(GROUP, 7, &[]);
    other.content.text.push('#');
    let other = known.decide(None, &letters(&[(GROUP, other)]));
    assert_eq!(other.step, Step::Stay);
    assert!(other.problems[0].contains("says something else than before under revision 7"), "{other:?}");
}

#[test]
fn rubbish_where_nothing_ever_was_keeps_nobody_from_the_policy_of_his_group() {
    let known = Known::nothing();
    let mut all = letters(&[(GROUP, policy(GROUP, 1, &[]))]);
    all.insert("node.sbc-1".to_owned(), Err(Refused::Untrusted(Vec::new())));
    let decision = known.decide(None, &all);
    assert_eq!(tries(&decision), Some((GROUP, 1, true)));
    assert_eq!(decision.problems.len(), 1, "{decision:?}");
    // Where something was, it keeps what it has.
    let known = Known::following(policy("node.sbc-1", 3, &[]));
    assert_eq!(known.decide(None, &all).step, Step::Stay);
}

#[test]
fn a_document_counts_only_where_it_belongs() {
    let known = Known::nothing();
    for (key, document) in [
        (GROUP, policy("default", 1, &[])),
        (GROUP, policy(GROUP, 1, &["sbc-1"])),
        (CANARY, policy("default", 1, &["sbc-1"])),
        ("node.sbc-1", policy("node.sbc-2", 1, &[])),
    ] {
        let decision = known.decide(None, &letters(&[(key, document)]));
        assert_eq!((&decision.step, decision.problems.len()), (&Step::Stay, 1), "{key}: {decision:?}");
    }
}

#[test]
fn a_canary_tries_first_and_waits_for_the_word_to_all() {
    let known = Known::following(policy(GROUP, 7, &[]));
    let canary = policy(GROUP, 8, &["sbc-1"]);
    let mut all = letters(&[(GROUP, policy(GROUP, 7, &[])), (CANARY, canary.clone())]);
    assert_eq!(tries(&known.decide(None, &all)), Some((CANARY, 8, false)));
    let others = letters(&[(GROUP, policy(GROUP, 7, &[])), (CANARY, policy(GROUP, 8, &["sbc-2"]))]);
    assert_eq!(known.decide(None, &others).step, Step::Stay);
    assert_eq!(known.decide(Some(&canary), &all).step, Step::Stay, "nobody said that it may stay");
    all.insert(GROUP.to_owned(), Ok(Some(Document::Policy(policy(GROUP, 8, &[])))));
    assert_eq!(known.decide(Some(&canary), &all).step, Step::Approve);
    // What canaries tried is of no account once all have something newer.
    let newer = Known::following(policy(GROUP, 9, &[]));
    let replayed = newer.decide(None, &letters(&[(GROUP, policy(GROUP, 9, &[])), (CANARY, canary)]));
    assert_eq!((replayed.step, replayed.problems.len()), (Step::Stay, 0));
}

#[test]
fn a_withdrawal_ends_the_trial_that_it_names_and_no_other() {
    let known = Known::following(policy(GROUP, 7, &[]));
    for (revision, step) in [(8, Step::Withdraw("it fails".to_owned())), (6, Step::Stay)] {
        let mut all = letters(&[(GROUP, policy(GROUP, 7, &[]))]);
        let withdrawal = Withdrawal { head: head(GROUP, revision), why: "it fails".to_owned() };
        all.insert(CANARY.to_owned(), Ok(Some(Document::Withdrawal(withdrawal))));
        assert_eq!(known.decide(Some(&policy(GROUP, 8, &["sbc-1"])), &all).step, step, "{revision}");
    }
}

#[test]
fn what_was_given_up_is_not_tried_again_under_its_revision() {
    let mut known = Known::following(policy(GROUP, 7, &[]));
    known.memory.begin(GROUP, 8).unwrap();
    known.memory.end("it drops calls", true).unwrap();
    let again = known.decide(None, &letters(&[(GROUP, policy(GROUP, 8, &[]))]));
    assert_eq!((again.step, again.wanted), (Step::Stay, Some(8)));
    let next = known.decide(None, &letters(&[(GROUP, policy(GROUP, 9, &[]))]));
    assert_eq!(tries(&next), Some((GROUP, 9, true)));
    // A canary's trial that failed does not keep the node from what all are told.
    let mut known = Known::following(policy(GROUP, 7, &[]));
    known.memory.begin(CANARY, 8).unwrap();
    known.memory.end("nobody said that it may stay", true).unwrap();
    let told = known.decide(None, &letters(&[(GROUP, policy(GROUP, 8, &[]))]));
    assert_eq!(tries(&told), Some((GROUP, 8, true)));
}

#[test]
fn a_node_without_a_group_follows_what_is_for_everybody() {
    let identity = Identity { node: "sbc-1".to_owned(), group: None };
    assert_eq!(identity.targets(), [Target::Node("sbc-1".to_owned()), Target::Default]);
    let known = Known::nothing();
    let all = letters(&[(GROUP, policy(GROUP, 4, &[])), ("default", policy("default", 1, &[]))]);
    let decision = decide(&identity, &known.memory, None, &all);
    assert_eq!(tries(&decision), Some(("default", 1, true)));
}

//! The page's `explain` box: what becomes of a packet, by what runs; which line says so, by the policy file.

use std::path::PathBuf;

use filter_common::{Action, Reason};
use ipnet::IpNet;
use serde::Serialize;

use crate::{
    kernel::{self, Judgement},
    policy::{self, Explanation, Origin, Probe},
    refresh::{self, Store},
};

/// How many listed neighbours of an unlisted source are named.
const NEIGHBORS: usize = 3;

/// Somebody who says what becomes of a packet.
pub trait Explain: Send + Sync {
    /// What becomes of it on an interface, and why; by the policy file where no filter is attached. It may take its time.
    ///
    /// # Errors
    /// Why that cannot be said, in a sentence.
    fn explain(&self, interface: Option<&str>, probe: &Probe) -> Result<Answer, String>;
}

/// What becomes of a packet, and what helps on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// By what: what runs, or the policy file.
    pub by: String,
    /// `pass` or `drop`, whatever the mode.
    pub action: &'static str,
    /// The reason.
    pub reason: &'static str,
    /// The reason, in a sentence.
    pub description: &'static str,
    /// The rule that lets it in.
    pub rule: Option<String>,
    /// The prefix as the document states it, where the policy file says the same as what runs.
    pub matched_prefix: Option<IpNet>,
    /// The line that states it.
    pub origin: Option<Origin>,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

/// Explains by the filters that run, and by the policy file as it is at that moment.
#[derive(Clone, Debug)]
pub struct Explainer {
    /// The policy file.
    pub policy: PathBuf,
    /// Where what was accepted of its sources is kept.
    pub store: Store,
}

impl Explain for Explainer {
    fn explain(&self, interface: Option<&str>, probe: &Probe) -> Result<Answer, String> {
        let frame = probe.frame().map_err(|error| error.to_string())?;
        let stated = self.stated(probe, &frame);
        let mut answer = match interface {
            Some(interface) => running(&judge(interface, &frame)?, stated),
            None => Answer::new("the policy file; no filter is attached".to_owned(), stated?),
        };
        if probe.assumes_port() {
            answer.notes.push(format!("No source port was given: {} is assumed.", Probe::ASSUMED_PORT));
        }
        Ok(answer)
    }
}

/// What the policy file says.
struct Stated {
    explanation: Explanation,
    notes: Vec<String>,
}

impl Explainer {
    fn stated(&self, probe: &Probe, frame: &[u8]) -> Result<Stated, String> {
        let refused = |refusals| format!("The policy file is refused: {refusals}");
        let compiled = refresh::load(&self.policy, &self.store).and_then(|policy| policy.compile()).map_err(refused)?;
        let explainer = policy::Explainer::new(&compiled);
        let explanation = explainer.explain(frame);
        let notes = hints(probe, explanation.reason, &explainer);
        Ok(Stated { explanation, notes })
    }
}

fn judge(interface: &str, frame: &[u8]) -> Result<Judgement, String> {
    let judged = kernel::judge(interface, frame);
    // What follows the first line is a hint.
    judged.map_err(|error| format!("{error:#}").lines().next().unwrap_or_default().to_owned())
}

/// What runs has the last word. Where the policy file says the same, it says which line it is owed to.
fn running(judgement: &Judgement, stated: Result<Stated, String>) -> Answer {
    let Judgement { interface, generation, action, rule, reason, monitor, live_allow, denied } = judgement;
    let by = match generation {
        0 => format!("what runs on {interface}: no policy"),
        generation => format!("what runs on {interface}, generation {generation}"),
    };
    let (prefix, origin, mut notes) = match stated {
        Ok(Stated { explanation, notes }) if explanation.reason == *reason && explanation.rule == *rule => {
            (explanation.matched_prefix, explanation.origin, notes)
        }
        Ok(Stated { explanation, .. }) => (None, None, vec![beside(judgement, &explanation)]),
        Err(why) => (None, None, vec![why]),
    };
    if let Some(entry) = live_allow {
        notes.push(format!("It is let in by the live allow `{}`{}.", entry.name, ends(entry.expires_in_seconds)));
    }
    if let Some(denied) = denied {
        notes.push(format!("{} is on the deny list{}.", denied.prefix, ends(denied.expires_in_seconds)));
    }
    if *monitor && *action == Action::Drop {
        notes.push("In monitor mode it is counted as dropped, and passes.".to_owned());
    }
    Answer {
        by,
        action: action.name(),
        reason: reason.name(),
        description: reason.description(),
        rule: rule.clone(),
        matched_prefix: prefix,
        origin,
        notes,
    }
}

/// Why the policy file says something else.
fn beside(judgement: &Judgement, explanation: &Explanation) -> String {
    let (action, reason) = (explanation.action.name(), explanation.reason.name());
    let file = format!("The policy file alone says {action}, {reason}");
    if judgement.live_allow.is_some() || judgement.denied.as_ref().is_some_and(|denied| !denied.by_policy) {
        return format!("{file}.");
    }
    format!("{file}: it is not what runs, and `sipwall diff` shows what is different.")
}

fn ends(seconds: Option<u64>) -> String {
    seconds.map_or_else(String::new, |seconds| format!(", for {} more minutes", seconds.div_ceil(60)))
}

/// What the source may send, or who beside it is listed.
fn hints(probe: &Probe, reason: Reason, explainer: &policy::Explainer<'_>) -> Vec<String> {
    let source = probe.source.address;
    match reason {
        Reason::PortClosed | Reason::SourcePort | Reason::OpeningSegment | Reason::ProtocolUnlisted => {
            explainer.allowed_from(source).into_iter().map(|line| format!("{source} may send {line}")).collect()
        }
        Reason::SourceUnlisted => {
            let near = explainer.neighbors(source);
            let near = near.iter().take(NEIGHBORS);
            near.map(|(prefix, origin)| format!("Its neighbour {prefix} is listed: {origin}")).collect()
        }
        _ => Vec::new(),
    }
}

impl Answer {
    fn new(by: String, Stated { explanation, notes }: Stated) -> Self {
        let Explanation { action, rule, reason, matched_prefix, origin } = explanation;
        let (action, description, reason) = (action.name(), reason.description(), reason.name());
        Self { by, action, reason, description, rule, matched_prefix, origin, notes }
    }
}

//! The page's `explain` box: what becomes of a packet, by the policy file.

use std::path::PathBuf;

use filter_common::{Action, Reason};
use serde::Serialize;

use crate::{
    policy::{Explainer, Explanation, Probe},
    refresh::{self, Store},
};

/// How many listed neighbours of an unlisted source are named.
const NEIGHBORS: usize = 3;

/// Somebody who says what becomes of a packet.
pub trait Explain: Send + Sync {
    /// What becomes of it, and why. It may take its time.
    ///
    /// # Errors
    /// Why that cannot be said, in a sentence.
    fn explain(&self, probe: &Probe) -> Result<Answer, String>;
}

/// What becomes of a packet, and what helps on.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The verdict, and what stands behind it.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// The reason, in a sentence.
    pub description: &'static str,
    /// What else there is to know, a sentence each.
    pub notes: Vec<String>,
}

/// Explains by the policy file, as it is at that moment.
#[derive(Clone, Debug)]
pub struct PolicyFileExplainer {
    /// The policy file.
    pub policy: PathBuf,
    /// Where what was accepted of its sources is kept.
    pub store: Store,
}

impl Explain for PolicyFileExplainer {
    fn explain(&self, probe: &Probe) -> Result<Answer, String> {
        let frame = probe.frame().map_err(|error| error.to_string())?;
        let refused = |refusals| format!("the policy file is refused: {refusals}");
        let policy = refresh::load(&self.policy, &self.store).map_err(refused)?;
        let compiled = policy.compile().map_err(refused)?;
        let explainer = Explainer::new(&compiled);
        let explanation = explainer.explain(&frame);
        let mut notes = notes(probe, &explanation, &explainer);
        if explanation.action == Action::Drop && policy.file().sbc.monitor {
            notes.push("In monitor mode it is counted as dropped, and passes.".to_owned());
        }
        Ok(Answer { description: explanation.reason.description(), explanation, notes })
    }
}

fn notes(probe: &Probe, explanation: &Explanation, explainer: &Explainer<'_>) -> Vec<String> {
    let source = probe.source.address;
    let mut notes = Vec::new();
    if probe.assumes_port() {
        notes.push(format!("No source port was given: {} is assumed.", Probe::ASSUMED_PORT));
    }
    match explanation.reason {
        Reason::PortClosed | Reason::SourcePort | Reason::OpeningSegment | Reason::ProtocolUnlisted => {
            notes.extend(explainer.allowed_from(source).into_iter().map(|line| format!("{source} may send {line}")));
        }
        Reason::SourceUnlisted => {
            let near = explainer.neighbors(source);
            let near = near.iter().take(NEIGHBORS);
            notes.extend(near.map(|(prefix, origin)| format!("Its neighbour {prefix} is listed: {origin}")));
        }
        _ => {}
    }
    notes
}

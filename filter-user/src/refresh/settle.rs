//! What follows from a refresh: what was accepted is kept, if a policy can be made with it.

use super::{
    refresher::{Refresher, Step},
    store::StoreError,
};
use crate::policy::{Code, CompiledPolicy, Policy, Refusals, file::PolicyFile};

/// What follows from a refresh.
pub enum Settled {
    /// It is kept, and makes this policy.
    Complete(Box<Policy>, Box<CompiledPolicy>),
    /// It is kept, but other sources were never fetched.
    Incomplete(Refusals),
    /// With it the policy would be refused: nothing of it is kept.
    Refused(Refusals),
}

impl Refresher {
    /// Keeps what the steps know now, unless the policy would be refused with it.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn settle(&self, file: PolicyFile, steps: &[Step]) -> Result<Settled, StoreError> {
        let folder = file.folder().to_owned();
        let made = Self::policy(file, &folder, steps).and_then(|policy| Ok((policy.compile()?, policy)));
        let settled = match made {
            Ok((compiled, policy)) => Settled::Complete(Box::new(policy), Box::new(compiled)),
            Err(refusals) if lacks_only_documents(&refusals) => Settled::Incomplete(refusals),
            Err(refusals) => return Ok(Settled::Refused(refusals)),
        };
        self.commit(steps)?;
        Ok(settled)
    }
}

fn lacks_only_documents(refusals: &Refusals) -> bool {
    refusals.iter().all(|refusal| refusal.code == Code::NotFetched)
}

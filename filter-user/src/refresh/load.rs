//! A policy with what its sources are known to state.

use std::path::Path;

use super::{
    document,
    judge::judge,
    place::Place,
    store::{Store, StoreError},
};
use crate::{
    allowlist::{Allowlist, import::Source},
    policy::{
        Policy, Refusals, Unavailable,
        file::{PolicyFile, Provider, is_url},
    },
};

/// Loads a policy file; what has a `source` is what was last accepted of it.
///
/// A path of which nothing was accepted yet is read as it is.
///
/// # Errors
/// Everything that is wrong with the policy and what it names, as far as it can be read.
pub fn load(path: &Path, store: &Store) -> Result<Policy, Refusals> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    join(PolicyFile::read(path)?, folder, |provider, source| accepted(store, provider, source, folder))
}

/// Loads a policy from the text that the file at `path` is to have.
///
/// # Errors
/// Everything that is wrong with the policy and what it names, as far as it can be read.
pub fn load_text(path: &Path, text: &str, store: &Store) -> Result<Policy, Refusals> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    join(PolicyFile::parse(path, text)?, folder, |provider, source| accepted(store, provider, source, folder))
}

/// Joins the policy file in `folder` with what `accepted` has of the sources.
pub(super) fn join(
    file: PolicyFile,
    folder: &Path,
    accepted: impl Fn(&Provider, &str) -> Result<Allowlist, Unavailable>,
) -> Result<Policy, Refusals> {
    Policy::join(file, |provider, name| match provider.source {
        Some(_) => accepted(provider, name),
        None => Allowlist::load(name, folder).map_err(|error| Unavailable::unknown(&error)),
    })
}

fn accepted(store: &Store, provider: &Provider, source: &str, folder: &Path) -> Result<Allowlist, Unavailable> {
    match store.load(&provider.name.value, &Place::of(source, folder)) {
        Ok(Some(state)) => Ok(state.in_force()),
        Ok(None) | Err(StoreError::Foreign { .. }) if !is_url(source) => read(&folder.join(source)),
        Ok(None) => Err(Unavailable::not_fetched(source)),
        Err(error @ StoreError::Foreign { .. }) => {
            Err(Unavailable::unknown(&format!("{error}\nhint: `sipwall refresh` fetches the document anew")))
        }
        Err(error) => Err(Unavailable::unknown(&error)),
    }
}

fn read(path: &Path) -> Result<Allowlist, Unavailable> {
    let source = Source::read(path).map_err(|error| Unavailable::unknown(&error))?;
    let allowlist = document::read(&source);
    let judged = judge(None, &allowlist, None);
    judged.map(|()| allowlist).map_err(|objection| Unavailable::unknown(&format!("{}: {objection}", source.name)))
}

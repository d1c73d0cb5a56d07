//! What a node remembers of the fleet when it has no broker, and over restarts: which revisions it took, so that an older one
//! is never taken for news, and the policy that it follows.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::document::{DenyDocument, PolicyDocument};

/// How often a revision is tried that did not fail by itself: a node that died meanwhile begins again.
pub(super) const ATTEMPTS: u32 = 3;

/// What is remembered, in a directory of its own.
#[derive(Debug)]
pub struct Memory {
    directory: PathBuf,
    remembered: Remembered,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Remembered {
    /// The highest revision that was taken under each key.
    accepted: BTreeMap<String, u64>,
    /// The policy that is followed.
    current: Option<PolicyDocument>,
    /// What was tried last, and is not followed.
    tried: Option<Tried>,
    /// What is denied, by key.
    denied: BTreeMap<String, DenyDocument>,
}

/// A revision that was put on trial.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    /// The key that it stood under.
    pub(super) key: String,
    pub(super) revision: u64,
    /// How often.
    pub(super) attempts: u32,
    /// Why it is not tried again, or what became of the last attempt; nothing while it is on trial.
    pub(super) ended: Option<String>,
    /// Whether it is not to be tried again whatever happens.
    pub(super) given_up: bool,
}

impl Memory {
    /// Remembers what a directory has; it need not exist.
    ///
    /// # Errors
    /// If what is there cannot be read: then nothing is known of what was taken, and nothing may be taken for newer.
    pub fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("memory.json");
        let remembered = match fs::read(&path) {
            Ok(octets) => serde_json::from_slice(&octets)
                .with_context(|| format!("`{}` is not what this version writes", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Remembered::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        Ok(Self { directory: directory.to_owned(), remembered })
    }

    /// The policy that is followed; nothing if none was ever taken.
    pub fn current(&self) -> Option<&PolicyDocument> {
        self.remembered.current.as_ref()
    }

    /// The highest revision that was taken under a key.
    pub fn accepted(&self, key: &str) -> u64 {
        self.remembered.accepted.get(key).copied().unwrap_or_default()
    }

    /// The highest revision that was taken under every key.
    pub fn all_accepted(&self) -> &BTreeMap<String, u64> {
        &self.remembered.accepted
    }

    pub(super) fn tried(&self) -> Option<&Tried> {
        self.remembered.tried.as_ref()
    }

    pub(super) fn denied(&self) -> &BTreeMap<String, DenyDocument> {
        &self.remembered.denied
    }

    /// Where a policy that is tried is unpacked.
    pub(super) fn trial_directory(&self) -> PathBuf {
        self.directory.join("trial")
    }

    /// Where the policy that is followed is unpacked.
    pub fn current_directory(&self) -> PathBuf {
        self.directory.join("current")
    }

    /// Notes that a revision is about to be tried: whatever happens then, an older one is refused from now on.
    pub(super) fn begin(&mut self, key: &str, revision: u64) -> Result<()> {
        let before = self.remembered.tried.take().filter(|tried| tried.key == key && tried.revision == revision);
        let attempts = before.map_or(0, |tried| tried.attempts) + 1;
        self.remembered.accepted.insert(key.to_owned(), revision);
        self.remembered.tried = Some(Tried { key: key.to_owned(), revision, attempts, ended: None, given_up: false });
        self.save()
    }

    /// Notes what became of what was tried.
    pub(super) fn end(&mut self, why: &str, give_up: bool) -> Result<()> {
        if let Some(tried) = &mut self.remembered.tried {
            tried.ended = Some(why.to_owned());
            tried.given_up = give_up || tried.attempts >= ATTEMPTS;
        }
        self.save()
    }

    /// Follows a policy from now on.
    pub(super) fn follow(&mut self, document: PolicyDocument) -> Result<()> {
        self.remembered.tried = None;
        let (target, revision) = (document.head.target.to_string(), document.head.revision);
        self.remembered.accepted.insert(target, revision);
        self.remembered.current = Some(document);
        self.save()
    }

    /// Notes what is denied under a key.
    pub(super) fn deny(&mut self, key: &str, document: DenyDocument) -> Result<()> {
        self.remembered.accepted.insert(key.to_owned(), document.head.revision);
        self.remembered.denied.insert(key.to_owned(), document);
        self.save()
    }

    fn save(&self) -> Result<()> {
        let write = || -> Result<()> {
            fs::create_dir_all(&self.directory)?;
            let mut file = NamedTempFile::new_in(&self.directory)?;
            file.write_all(&serde_json::to_vec(&self.remembered)?)?;
            file.as_file().sync_all()?;
            file.persist(self.directory.join("memory.json"))?;
            fs::File::open(&self.directory)?.sync_all()?;
            Ok(())
        };
        write().with_context(|| format!("cannot note in `{}` what the fleet wants", self.directory.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_known_to_the_next_process() {
        let directory = tempfile::tempdir().unwrap();
        let target = "group.edge";
        let mut memory = Memory::open(directory.path()).unwrap();
        assert_eq!(memory.accepted(target), 0);
        memory.begin(target, 7).unwrap();
        memory.begin(target, 7).unwrap();
        let memory = Memory::open(directory.path()).unwrap();
        assert_eq!(memory.accepted(target), 7);
        assert_eq!(memory.tried().map(|tried| (tried.revision, tried.attempts)), Some((7, 2)));
    }

    #[test]
    fn a_revision_is_given_up_after_some_attempts() {
        let directory = tempfile::tempdir().unwrap();
        let mut memory = Memory::open(directory.path()).unwrap();
        let mut given_up = Vec::new();
        for _ in 0..ATTEMPTS {
            memory.begin("default", 1).unwrap();
            memory.end("the node died", false).unwrap();
            given_up.push(memory.tried().unwrap().given_up);
        }
        assert_eq!(given_up, [false, false, true]);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("memory.json"), "{").unwrap();
        assert!(Memory::open(directory.path()).is_err());
    }
}

//! A policy with the files that it names, as one thing to be sent; and back to files where it is to be used.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::{document::Content, envelope::LARGEST_ENVELOPE, facts};
use crate::{
    policy::file::{PolicyFile, is_url},
    text_file,
};

/// Why a policy cannot be sent to a fleet.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It is refused by itself.
    #[error("the policy is refused\n{0}")]
    Refused(#[from] crate::policy::Refusals),
    /// A node could not compile it by itself.
    #[error("{0}")]
    Unsuitable(String),
}

impl Content {
    /// Packs a policy file with the files that it names.
    ///
    /// # Errors
    /// If it is refused, names what a node could not have, or a file lies outside its directory.
    pub fn pack(path: &Path) -> Result<Self, PackError> {
        let unsuitable = |text: String| PackError::Unsuitable(text);
        let file = PolicyFile::read(path)?;
        for provider in &file.providers {
            let source = provider.source.as_ref().and(provider.allowlist.as_ref());
            if let Some(url) = source.filter(|place| is_url(&place.value)) {
                return Err(unsuitable(format!(
                    "{}:{}: a node cannot fetch `{}` before it knows the policy\nhint: `sipwall import` makes a file of it: \
                     name that as `allowlist`",
                    file.name, url.line, url.value
                )));
            }
        }
        let text = read(path).map_err(&unsuitable)?;
        let mut files = BTreeMap::new();
        // The first is the policy itself; the name of a built-in allowlist stands for no file.
        for named in file.files().into_iter().skip(1).filter(|named| named.exists()) {
            let relative = named.strip_prefix(file.folder()).unwrap_or(&named);
            let Some(name) = relative.to_str().filter(|name| is_inside(Path::new(name))) else {
                return Err(unsuitable(format!(
                    "`{}` is not below the policy's own directory, and cannot be sent with it",
                    named.display()
                )));
            };
            files.insert(name.to_owned(), read(&named).map_err(&unsuitable)?);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, text, files })
    }

    /// The policy file's name, if it can be that of a file beside the others.
    pub(super) fn own_name(&self) -> Option<&str> {
        let is_plain =
            is_inside(Path::new(&self.name)) && !self.name.contains('/') && !self.files.contains_key(&self.name);
        is_plain.then_some(self.name.as_str())
    }

    /// Writes it below a directory, with a node's own facts in it; returns where the policy file is.
    ///
    /// Each content has a place of its own that is there whole before anybody is told of it: several of the service's tasks ask
    /// for the policy, and none may read what another has not finished writing.
    ///
    /// # Errors
    /// If a name leads out of the directory, the facts do not fit in, or the file system refuses.
    pub fn unpack(&self, directory: &Path, name: &str, facts: &str) -> Result<PathBuf> {
        static UNPACKING: Mutex<()> = Mutex::new(());
        for name in self.files.keys() {
            ensure!(is_inside(Path::new(name)), "the file `{}` would not be in the directory", name.escape_debug());
        }
        if self.files.contains_key(name) {
            bail!("a file of the policy is called `{name}`");
        }
        let merged = facts::merge(&self.text, facts)?;
        let mut files: BTreeMap<_, _> = self.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        files.insert(name, &merged);
        let place = directory.join(digest(&files));
        let _alone = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever watches the files need not look where nothing is new; a process that died in the middle left less.
        if !files.iter().all(|(name, text)| is_there(&place.join(name), text)) {
            write_all(&place, &files)?;
            sweep(directory, &place)?;
        }
        Ok(place.join(name))
    }
}

fn is_there(path: &Path, text: &str) -> bool {
    fs::read(path).is_ok_and(|octets| octets == text.as_bytes())
}

/// The name of the place of these files.
fn digest(files: &BTreeMap<&str, &str>) -> String {
    let mut digest = Sha256::new();
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let mut name = format!("{:x}", digest.finalize());
    name.truncate(16);
    name
}

fn write_all(place: &Path, files: &BTreeMap<&str, &str>) -> Result<()> {
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("cannot remove `{}`", place.display()))?;
    }
    for (name, text) in files {
        let path = place.join(name);
        let folder = path.parent().unwrap_or(place);
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

/// Removes what was unpacked in a directory earlier, but for the last one: it may be what is in force, and what is being read.
fn sweep(directory: &Path, place: &Path) -> Result<()> {
    let sweep = || -> std::io::Result<()> {
        let mut others = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.path() != place {
                others.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        others.sort_unstable();
        others.pop();
        others
            .iter()
            .try_for_each(|(_, path)| if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) })
    };
    sweep().with_context(|| format!("cannot tidy up `{}`", directory.display()))
}

fn read(path: &Path) -> Result<String, String> {
    let most = u64::try_from(LARGEST_ENVELOPE).unwrap_or(u64::MAX);
    text_file::read(path, most).map_err(|error| format!("`{}` cannot be sent: {error}", path.display()))
}

/// Whether a relative path stays where it begins.
fn is_inside(path: &Path) -> bool {
    path.components().count() > 0 && path.components().all(|component| matches!(component, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    const DENY: &str = "[[deny]]\nname = \"a\"\nfile = \"lists/deny.txt\"\n";

    #[test]
    fn a_policy_takes_its_files_along() {
        let directory = written(&[("policy.toml", DENY), ("lists/deny.txt", "192.0.2.1\n")]);
        let content = Content::pack(&directory.path().join("policy.toml")).unwrap();
        assert_eq!((content.name.as_str(), content.text.as_str()), ("policy.toml", DENY));
        assert_eq!(content.files, BTreeMap::from([("lists/deny.txt".to_owned(), "192.0.2.1\n".to_owned())]));
        let place = tempfile::tempdir().unwrap();
        let path = content.unpack(&place.path().join("x"), "p.toml", "").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), DENY);
        assert_eq!(fs::read_to_string(path.with_file_name("lists/deny.txt")).unwrap(), "192.0.2.1\n");
    }

    fn content(text: String) -> Content {
        Content { name: "p".to_owned(), text, files: BTreeMap::new() }
    }

    #[test]
    fn who_asks_for_the_policy_never_reads_what_another_has_not_finished_writing() {
        for turn in 0..200 {
            let place = tempfile::tempdir().unwrap();
            let content = content(format!("# {turn}\n{}", "# x\n".repeat(1000)));
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let path = content.unpack(&place.path().join("x"), "p.toml", "").unwrap();
                        assert_eq!(fs::read_to_string(path).unwrap(), content.text);
                    });
                }
            });
        }
    }

    #[test]
    fn what_a_process_that_died_left_half_written_is_written_again() {
        let place = tempfile::tempdir().unwrap();
        let content = content("# all\n".to_owned());
        let path = content.unpack(place.path(), "p.toml", "").unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(content.unpack(place.path(), "p.toml", "").unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "# all\n");
    }

    #[test]
    fn the_policy_before_stays_until_the_next_and_no_longer() {
        let place = tempfile::tempdir().unwrap();
        let unpack = |text: &str| content(text.to_owned()).unpack(place.path(), "p.toml", "").unwrap();
        let paths = ["# 1\n", "# 2\n", "# 3\n"].map(|text| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            unpack(text)
        });
        assert_eq!(paths.map(|path| path.exists()), [false, true, true]);
    }

    #[test]
    fn nothing_is_written_outside_the_directory() {
        for name in ["../x", "/x", "a/../../x", "", "."] {
            let content = Content {
                name: "p".to_owned(),
                text: String::new(),
                files: BTreeMap::from([(name.to_owned(), String::new())]),
            };
            let place = tempfile::tempdir().unwrap();
            assert!(content.unpack(&place.path().join("inner"), "p.toml", "").is_err(), "{name}");
            assert!(!place.path().join("x").exists());
        }
    }

    #[test]
    fn what_a_node_could_not_have_is_refused() {
        let url = "[[provider]]\nname = \"a\"\nsource = \"https://example.net/a\"\n";
        let directory = written(&[("policy.toml", url)]);
        let error = Content::pack(&directory.path().join("policy.toml")).unwrap_err().to_string();
        assert!(error.contains("policy.toml:3: a node cannot fetch"), "{error}");
        let outside =
            written(&[("deny.txt", ""), ("in/policy.toml", "[[deny]]\nname = \"a\"\nfile = \"../deny.txt\"\n")]);
        let error = Content::pack(&outside.path().join("in/policy.toml")).unwrap_err().to_string();
        assert!(error.contains("is not below the policy's own directory"), "{error}");
    }
}

//! The directory that keeps the states: a file for each provider and source, written all at once or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, File, Permissions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::Builder;

use super::{fetch::Validators, place::Place, state::State};
use crate::fault;

/// The largest state that is read, in bytes: a document of the largest size, in words.
const LARGEST_STATE: u64 = 256 * 1024 * 1024;

/// Between a provider and its source in the name of a file: no provider's name has it.
const SEPARATOR: char = '@';

/// Where states are kept.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// Why a state cannot be used, or not be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {action} `{path}`: {error}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is no state, or one of another provider or source.
    #[error("`{path}` is not used: {why}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process refreshes.
    #[error("another `sipwall refresh` is at work in `{path}`")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
}

impl Store {
    /// The store in `directory`, which need not exist.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Keeps other processes from writing here for as long as the result lives; makes the directory.
    ///
    /// # Errors
    /// If one writes already, or the directory cannot be made.
    pub fn lock(&self) -> Result<File, StoreError> {
        fs::create_dir_all(&self.directory).map_err(io_error("make", &self.directory))?;
        let path = self.directory.join("lock");
        let file = File::create(&path).map_err(io_error("make", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: self.directory.clone() }),
            Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
        }
    }

    /// The state of a provider's source; nothing if there is none.
    ///
    /// # Errors
    /// If the file cannot be read, or is not the state of this source.
    pub fn load(&self, provider: &str, source: &Place) -> Result<Option<State>, StoreError> {
        let path = self.path(provider, source);
        match read(&path)? {
            Some(state) => suits(state, provider, source).map(Some).map_err(|why| StoreError::Foreign { path, why }),
            None => self.without_older(provider),
        }
    }

    /// Nothing, unless a file of an older version is there, which does not say where its document is from.
    fn without_older(&self, provider: &str) -> Result<Option<State>, StoreError> {
        let path = self.directory.join(format!("{provider}.json"));
        if !path.exists() {
            return Ok(None);
        }
        let why =
            "it is of an older version, which kept one document for each provider, whatever its source".to_owned();
        Err(StoreError::Foreign { path, why })
    }

    /// What `policy` used of the provider last, if that is from elsewhere than `source`.
    pub(super) fn predecessor(&self, provider: &str, source: &Place, policy: &Place) -> Option<State> {
        let beginning = format!("{provider}{SEPARATOR}");
        let files = fs::read_dir(&self.directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let states = files.filter(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&beginning))
        });
        // What cannot be read, or is not where it belongs, is nobody's predecessor.
        let states = states.filter_map(|path| Some((read(&path).ok()??, path)));
        let states = states.filter(|(state, path)| self.path(&state.provider, &state.source) == *path);
        states
            .map(|(state, _)| state)
            .filter(|state| state.provider == provider && state.source != *source && state.policies.contains(policy))
            .max_by_key(|state| state.counted.wall)
    }

    /// Notes that these policies use the state no more; it goes with the last of them.
    ///
    /// # Errors
    /// If it can neither be written nor removed.
    pub(super) fn leave(&self, state: &State, policies: &BTreeSet<Place>) -> Result<(), StoreError> {
        let left: BTreeSet<Place> = state.policies.difference(policies).cloned().collect();
        if !left.is_empty() {
            return self.save(&State { policies: left, ..state.clone() });
        }
        let path = self.path(&state.provider, &state.source);
        fs::remove_file(&path).map_err(io_error("remove", &path))
    }

    /// Writes the state under a name of its own, then gives it its place.
    ///
    /// # Errors
    /// If it cannot be written; what was there stays.
    pub fn save(&self, state: &State) -> Result<(), StoreError> {
        let path = self.path(&state.provider, &state.source);
        let error = |error: io::Error| io_error("write", &path)(error);
        let text = serde_json::to_vec(state).map_err(|why| error(why.into()))?;
        // What providers publish is no secret, and `check` need not be run by root.
        let readable = Permissions::from_mode(0o644);
        fault::step();
        let mut file = Builder::new().permissions(readable).tempfile_in(&self.directory).map_err(error)?;
        file.write_all(&text).map_err(error)?;
        file.as_file().sync_all().map_err(error)?;
        fault::step();
        file.persist(&path).map_err(|why| error(why.error))?;
        Ok(())
    }

    fn path(&self, provider: &str, source: &Place) -> PathBuf {
        self.directory.join(format!("{provider}{SEPARATOR}{}.json", source.digest()))
    }
}

/// The state in a file; nothing if there is none.
fn read(path: &Path) -> Result<Option<State>, StoreError> {
    let foreign = |why: String| StoreError::Foreign { path: path.to_owned(), why };
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(io_error("read", path))?.len(),
    };
    if bytes > LARGEST_STATE {
        return Err(foreign(format!("it has {bytes} bytes, more than a state can have")));
    }
    let content = fs::read(path).map_err(io_error("read", path))?;
    serde_json::from_slice(&content).map(Some).map_err(|error| foreign(format!("it holds no state: {error}")))
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Io { action, path: path.clone(), error }
}

/// Another source says other things; another version may read the same document otherwise, and asks for it anew.
fn suits(state: State, provider: &str, source: &Place) -> Result<State, String> {
    if (state.provider.as_str(), &state.source) != (provider, source) {
        return Err(format!("it is of `{}` from `{}`", state.provider, state.source));
    }
    if state.written_by != State::WRITER {
        return Ok(State { validators: Validators::default(), ..state });
    }
    Ok(state)
}

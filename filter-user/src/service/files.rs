//! The policy file and the files that it names, watched.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::control::Wake;
use crate::file_identity::FileIdentity;

/// How long nothing must happen before the files are looked at: an editor writes more than once.
const QUIET: Duration = Duration::from_millis(200);
/// How long it is waited for that at the most.
const LONGEST: Duration = Duration::from_secs(2);

/// Watches the directories of files, so that one which is renamed into its place is seen too.
#[derive(Debug)]
pub(super) struct Watcher {
    notifier: RecommendedWatcher,
    directories: BTreeSet<PathBuf>,
    known: Vec<(PathBuf, FileIdentity)>,
}

impl Watcher {
    pub(super) fn new(waker: mpsc::Sender<Wake>) -> notify::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let notifier = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                // One that waits already is enough.
                let _ = sender.try_send(());
            }
        })?;
        tokio::spawn(pass_on(events, waker));
        Ok(Self { notifier, directories: BTreeSet::new(), known: Vec::new() })
    }

    /// Watches these files from now on, as they are now.
    pub(super) fn watch(&mut self, files: Vec<PathBuf>) {
        let wanted: BTreeSet<PathBuf> = files.iter().map(|file| directory(file)).collect();
        for gone in self.directories.difference(&wanted) {
            // It may be gone altogether.
            let _ = self.notifier.unwatch(gone);
        }
        let mut watched = BTreeSet::new();
        for directory in wanted {
            if self.directories.contains(&directory) || self.start_watching(&directory) {
                watched.insert(directory);
            }
        }
        self.directories = watched;
        self.known = files.into_iter().map(with_identity).collect();
    }

    /// What cannot be watched is looked at all the same, though not at once.
    fn start_watching(&mut self, directory: &Path) -> bool {
        let watched = self.notifier.watch(directory, RecursiveMode::NonRecursive);
        if let Err(error) = &watched {
            tracing::warn!(directory = %directory.display(), %error, "cannot be watched");
        }
        watched.is_ok()
    }

    /// Whether a file is another one than when it was last asked, or changed since.
    pub(super) fn has_changed(&mut self) -> bool {
        let mut changed = false;
        for (file, known) in &mut self.known {
            let identity = FileIdentity::of(file);
            changed |= *known != identity;
            *known = identity;
        }
        changed
    }
}

/// Wakes the controller when the events are over for the moment.
async fn pass_on(mut events: mpsc::Receiver<()>, waker: mpsc::Sender<Wake>) {
    while events.recv().await.is_some() {
        let end = Instant::now() + LONGEST;
        loop {
            sleep(QUIET).await;
            if events.try_recv().is_err() || Instant::now() >= end {
                break;
            }
        }
        if waker.send(Wake::Files).await.is_err() {
            break;
        }
    }
}

fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn with_identity(file: PathBuf) -> (PathBuf, FileIdentity) {
    let identity = FileIdentity::of(&file);
    (file, identity)
}

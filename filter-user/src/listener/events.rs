//! `/events`: the newest snapshot, again and again, to all that watch.
//!
//! Each event has all that the page shows, so that one who missed some, or was away, has lost nothing. It is written
//! once for all of them.

use std::{convert::Infallible, sync::Arc};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{snapshot::Snapshot, view};

/// The type of a stream of events.
pub(super) const CONTENT_TYPE: &str = "text/event-stream";

/// How many may watch at once: scrapers must find room too.
const WATCHERS: usize = 16;

/// All that watch.
#[derive(Clone)]
pub(super) struct Audience {
    room: Arc<Semaphore>,
    events: watch::Sender<Bytes>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Audience {
    /// To be called where there is a runtime: a task writes the events.
    pub(super) fn new(snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let (events, _) = watch::channel(Bytes::new());
        let audience = Self { room: Arc::new(Semaphore::new(WATCHERS)), events, snapshots };
        tokio::spawn(audience.clone().write());
        audience
    }

    /// Writes an event of each snapshot while somebody watches, until there are no more snapshots.
    async fn write(mut self) {
        while self.snapshots.changed().await.is_ok() {
            if self.events.receiver_count() > 0 {
                let event = event(&self.snapshots.borrow_and_update());
                self.events.send_replace(event);
            }
        }
    }

    /// The events from now on; nothing if too many watch already.
    pub(super) fn join(&self) -> Option<Body> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let first = event(&self.snapshots.borrow());
        let events = self.events.subscribe();
        let watcher = Watcher { first: Some(first), events, _place: place };
        Some(Body::from_stream(stream::unfold(watcher, Watcher::next)))
    }
}

struct Watcher {
    first: Option<Bytes>,
    events: watch::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let event = match self.first.take() {
            Some(first) => first,
            None => {
                self.events.changed().await.ok()?;
                self.events.borrow_and_update().clone()
            }
        };
        Some((Ok(event), self))
    }
}

/// The snapshot as an event. JSON has no line break outside of strings, and none inside.
fn event(snapshot: &Snapshot) -> Bytes {
    // What the page shows can always be written: it has no map with other keys than text.
    let data = view::encode(snapshot).unwrap_or_default();
    [b"data: ".as_slice(), &data, b"\n\n"].concat().into()
}

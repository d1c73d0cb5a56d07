//! The kernel's samples of drops, as a node publishes them.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use tokio::task::spawn_blocking;

use super::events::Samples;
use crate::{
    service::Desk,
    telemetry::{Event, Events},
};

/// The samples of all interfaces of the service, those that come and go included.
pub(super) struct KernelSamples {
    desk: Desk,
    readers: BTreeMap<String, Events>,
}

impl KernelSamples {
    pub(super) const fn new(desk: Desk) -> Self {
        Self { desk, readers: BTreeMap::new() }
    }
}

impl Samples for KernelSamples {
    fn read(&mut self) -> BoxFuture<'_, (Vec<Event>, u64)> {
        Box::pin(async {
            let (mut readers, interfaces) = (std::mem::take(&mut self.readers), self.desk.interfaces());
            let read = spawn_blocking(move || {
                readers.retain(|name, _| interfaces.contains(name));
                let read = read(&mut readers, &interfaces);
                (readers, read)
            });
            let Ok((readers, read)) = read.await else { return (Vec::new(), 0) };
            self.readers = readers;
            read
        })
    }
}

/// What cannot be read is opened anew the next time.
fn read(readers: &mut BTreeMap<String, Events>, interfaces: &[String]) -> (Vec<Event>, u64) {
    let (mut events, mut missed) = (Vec::new(), 0);
    for name in interfaces {
        let Some(reader) = readers.get_mut(name) else {
            readers.extend(open(name).map(|reader| (name.clone(), reader)));
            continue;
        };
        let before = reader.missed();
        match reader.read() {
            Ok(read) => {
                events.extend(read);
                missed += reader.missed() - before;
            }
            Err(_) => drop(readers.remove(name)),
        }
    }
    (events, missed)
}

/// From now on: what was before another process published, or nobody was to.
fn open(interface: &str) -> Option<Events> {
    let mut reader = Events::open(&[interface.to_owned()]).ok()?;
    reader.skip().ok()?;
    Some(reader)
}

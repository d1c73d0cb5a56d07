//! What the listener shows of the service.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::watch;

use super::{
    Settings,
    log::one_line,
    snapshot::{InterfaceState, Snapshot},
};
use crate::listener::{
    self, Collection, Contribute, PolicyFileExplainer, Ready, Running, Sampled, Unreadable, Watched,
};

/// A listener, and what tells it what happens, until this is dropped.
pub(super) struct Shown {
    _listener: Running,
    _collection: Collection,
}

/// Starts to show what happens.
pub(super) fn start(ready: Ready, settings: &Settings, service: watch::Receiver<Snapshot>) -> Result<Shown> {
    let (policy, store) = (settings.policy.clone(), settings.refresher.store.clone());
    let contributors: Vec<Box<dyn Contribute>> = vec![Box::new(service), Box::new(Sampled::default())];
    let explainer = PolicyFileExplainer { policy: policy.clone(), store: store.clone() };
    let collection = listener::collect(Watched { policy: Some(policy), store, contributors })?;
    let running = listener::start(ready, collection.snapshots(), Some(Arc::new(explainer)))?;
    tracing::info!(url = running.url(), "listening");
    Ok(Shown { _listener: running, _collection: collection })
}

impl Contribute for watch::Receiver<Snapshot> {
    fn contribute(&mut self, shown: &mut listener::Snapshot) {
        let service = self.borrow();
        for (name, interface) in &service.interfaces {
            let message = interface.message.as_deref();
            if !is_shown(shown, name) {
                let why = message.unwrap_or("no filter is attached").to_owned();
                shown.unreadable.push(Unreadable { interface: name.clone(), why });
            } else if let (InterfaceState::Failed | InterfaceState::Guarded, Some(message)) = (interface.state, message)
            {
                shown.service.errors.push(format!("{name}: {}", one_line(message)));
            }
        }
        if let Some(refused) = &service.refused {
            let why = one_line(&refused.message);
            shown.service.errors.push(format!("The policy file is refused, and what was in force stays: {why}"));
        }
        if let Some(failure) = &service.refresh_failure {
            shown.service.errors.push(format!("Sources are not refreshed: {}", one_line(&failure.message)));
        }
        for (provider, source) in &service.sources {
            if let Some(why) = &source.why {
                shown.service.errors.push(format!("The source of {provider} failed: {}", one_line(why)));
            }
            let known = shown.sources.iter_mut().filter(|known| known.provider == *provider);
            known.for_each(|known| known.failures = Some(source.failures));
        }
    }
}

fn is_shown(shown: &listener::Snapshot, name: &str) -> bool {
    let readable = shown.interfaces.iter().map(|interface| interface.status.interface.as_str());
    let unreadable = shown.unreadable.iter().map(|unreadable| unreadable.interface.as_str());
    readable.chain(unreadable).any(|known| known == name)
}

//! What the listener shows of the service.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::watch;

use super::{
    Settings,
    log::one_line,
    snapshot::{Failure, InterfaceState, Snapshot},
};
use crate::listener::{self, Collection, Contribute, Explainer, Ready, Renewal, Running, Sampled, Unreadable, Watched};

/// A listener, and what tells it what happens, until this is dropped.
pub(super) struct Shown {
    listener: Running,
    service: watch::Sender<Snapshot>,
    _collection: Collection,
}

impl Shown {
    /// Looks at the files of the listener, and says what that came to where it is news.
    pub(super) fn renew(&mut self, insists: bool) {
        let renewed = self.listener.renew(insists);
        match &renewed {
            Ok(Renewal::Renewed) => tracing::info!("the listener's certificate and token were read again"),
            Ok(Renewal::Unsettled) => return,
            Ok(Renewal::Unchanged) | Err(_) => {}
        }
        let failed = renewed.err().map(|error| error.to_string());
        self.service.send_if_modified(|snapshot| {
            let before = snapshot.renewal_failure.take();
            snapshot.renewal_failure = failed.map(|message| Failure::continuing(before.as_ref(), message));
            let is_news = snapshot.renewal_failure != before;
            if let Some(Failure { message, .. }) = snapshot.renewal_failure.as_ref().filter(|_| is_news) {
                let why = one_line(message);
                tracing::error!(why, "the listener's certificate or token cannot be used, what was read before holds");
            }
            is_news
        });
    }
}

/// Starts to show what happens.
pub(super) fn start(ready: Ready, settings: &Settings, service: &watch::Sender<Snapshot>) -> Result<Shown> {
    let (policy, store) = (settings.policy.clone(), settings.refresher.store.clone());
    let contributors: Vec<Box<dyn Contribute>> = vec![Box::new(service.subscribe()), Box::new(Sampled::default())];
    let explainer = Explainer { policy: policy.clone(), store: store.clone() };
    let collection = listener::collect(Watched { policy: Some(policy), store, contributors })?;
    let running = listener::start(ready, collection.snapshots(), Some(Arc::new(explainer)))?;
    tracing::info!(url = running.url(), "listening");
    Ok(Shown { listener: running, service: service.clone(), _collection: collection })
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
        if let Some(failure) = &service.renewal_failure {
            let why = one_line(&failure.message);
            shown.service.errors.push(format!("The listener goes on with an older certificate or token: {why}"));
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

//! What the listener shows of the service.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    Settings,
    log::one_line,
    snapshot::{Failure, FleetSnapshot, InterfaceState, Snapshot},
};
use crate::{
    listener::{
        self, Answer, Collection, Contribute, Explain, Explainer, FleetStanding, Ready, Renewal, Running, Sampled,
        StateSnapshot, Unreadable, Watched,
    },
    policy::Probe,
};

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
pub(super) fn start(
    ready: Ready,
    settings: &Arc<Settings>,
    service: &watch::Sender<Snapshot>,
) -> anyhow::Result<Shown> {
    let store = settings.refresher.store.clone();
    let contributors: Vec<Box<dyn Contribute>> = vec![Box::new(service.subscribe()), Box::new(Sampled::default())];
    // Where policies are supplied, another one than the file's is no drift.
    let policy = settings.supplier.is_none().then(|| settings.policy.clone());
    let collection = listener::collect(Watched { policy, store, contributors })?;
    let running = listener::start(ready, collection.snapshots(), Some(Arc::new(Wanted(Arc::clone(settings)))))?;
    tracing::info!(url = running.url(), "listening");
    Ok(Shown { listener: running, service: service.clone(), _collection: collection })
}

/// Explains by the policy that is wanted at that moment.
struct Wanted(Arc<Settings>);

impl Explain for Wanted {
    fn explain(&self, interface: Option<&str>, probe: &Probe) -> Result<Answer, String> {
        let policy = self.0.policy_file().map_err(|refusals| refusals.to_string())?;
        Explainer { policy, store: self.0.refresher.store.clone() }.explain(interface, probe)
    }
}

impl Contribute for watch::Receiver<Snapshot> {
    fn contribute(&mut self, shown: &mut listener::Snapshot) {
        let service = self.borrow();
        for (name, interface) in &service.interfaces {
            shown.service.states.extend(InterfaceState::ALL.map(|state| StateSnapshot {
                interface: name.clone(),
                state: state.name(),
                holds: state == interface.state,
            }));
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
        if let Some(fleet) = &service.fleet {
            shown.service.errors.extend(fleet_errors(fleet));
            shown.fleet = Some(standing(fleet));
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

fn fleet_errors(fleet: &FleetSnapshot) -> impl Iterator<Item = String> {
    let lost = (!fleet.connected).then(|| {
        let why = fleet.why.as_deref().unwrap_or("no answer");
        format!("The fleet's broker is not reached, and what is in force stays: {}", one_line(why))
    });
    let problem = fleet.problem.as_ref().map(|problem| format!("Fleet: {}", one_line(&problem.message)));
    lost.into_iter().chain(problem)
}

fn standing(fleet: &FleetSnapshot) -> FleetStanding {
    FleetStanding {
        node: fleet.node.clone(),
        group: fleet.group.clone(),
        connected: fleet.connected,
        wanted: fleet.wanted,
        running: fleet.running,
        events: fleet.events.as_ref().map(|events| [events.published, events.unpublished]),
    }
}

fn is_shown(shown: &listener::Snapshot, name: &str) -> bool {
    let readable = shown.interfaces.iter().map(|interface| interface.status.interface.as_str());
    let unreadable = shown.unreadable.iter().map(|unreadable| unreadable.interface.as_str());
    readable.chain(unreadable).any(|known| known == name)
}

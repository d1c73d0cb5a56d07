//! What others ask of the controller: to put a policy on trial, to let it stay, to give it up.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
};

use super::{
    control::{self, Controller},
    enforce::{Insistence, Outcome, Wanted},
    snapshot::{FleetSnapshot, InterfaceState, Snapshot},
};
use crate::kernel::{self, Confirmation};

/// How many orders may wait.
const WAITING: usize = 4;

/// What is asked for.
#[derive(Debug)]
enum Wish {
    /// Put the policy in this file on trial, on every interface.
    Try { policy: PathBuf, confirm_within: Duration },
    /// Let what is on trial stay.
    Confirm,
    /// Give up what is on trial, and put in force for ever what was before.
    FallBack,
}

/// Something that is asked for, and who waits for it.
#[derive(Debug)]
pub(super) struct Order {
    wish: Wish,
    done: oneshot::Sender<Result<()>>,
}

/// Where others ask the service for changes, and tell it what it shows of them.
#[derive(Clone, Debug)]
pub struct Desk {
    orders: mpsc::Sender<Order>,
    snapshot: watch::Sender<Snapshot>,
}

impl Desk {
    pub(super) fn new(snapshot: watch::Sender<Snapshot>) -> (Self, mpsc::Receiver<Order>) {
        let (orders, received) = mpsc::channel(WAITING);
        (Self { orders, snapshot }, received)
    }

    /// Puts the policy in a file on trial on every interface, or on none.
    ///
    /// # Errors
    /// If the policy is refused, or the kernel refuses it on one.
    pub async fn try_policy(&self, policy: &Path, confirm_within: Duration) -> Result<()> {
        self.ask(Wish::Try { policy: policy.to_owned(), confirm_within }).await
    }

    /// Lets the policy that is on trial stay.
    ///
    /// # Errors
    /// If none is, or its time is over.
    pub async fn confirm(&self) -> Result<()> {
        self.ask(Wish::Confirm).await
    }

    /// Gives up what is on trial, if anything is, and puts in force for ever what was before.
    ///
    /// # Errors
    /// If the kernel refuses it.
    pub async fn fall_back(&self) -> Result<()> {
        self.ask(Wish::FallBack).await
    }

    /// The interfaces that the service looks after.
    pub fn interfaces(&self) -> Vec<String> {
        self.snapshot.borrow().interfaces.keys().cloned().collect()
    }

    /// Says how the node stands with its fleet.
    pub fn note(&self, fleet: FleetSnapshot) {
        self.snapshot.send_if_modified(|snapshot| {
            let changed = snapshot.fleet.as_ref() != Some(&fleet);
            snapshot.fleet = Some(fleet);
            changed
        });
    }

    async fn ask(&self, wish: Wish) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.orders.send(Order { wish, done }).await.ok().context("the service ends")?;
        answer.await.context("the service ends")?
    }
}

impl Controller {
    /// Does what is asked for, and says how it went.
    pub(super) async fn carry_out(&mut self, order: Order) {
        let done = match order.wish {
            Wish::Try { policy, confirm_within } => self.try_policy(policy, confirm_within).await,
            Wish::Confirm => self.confirm().await,
            Wish::FallBack => self.fall_back().await,
        };
        // Who asked may be gone.
        let _ = order.done.send(done);
    }

    async fn try_policy(&mut self, policy: PathBuf, confirm_within: Duration) -> Result<()> {
        let settings = Arc::clone(&self.settings);
        let loaded = spawn_blocking(move || control::load_file(&settings, &policy)).await;
        let (wanted, _) = loaded.context("reading the policy broke off")??;
        ensure!(!wanted.interfaces.is_empty(), "no interface is named");
        let wanted = Arc::new(wanted);
        let task = Arc::clone(&wanted);
        let tried = spawn_blocking(move || {
            try_everywhere(&task, confirm_within)?;
            let status = |interface: &String| (interface.clone(), kernel::status(interface).ok());
            anyhow::Ok(task.interfaces.iter().map(status).collect::<Vec<_>>())
        });
        for (interface, status) in tried.await.context("putting the policy on trial broke off")?? {
            let message = Some(format!("`{}` of the fleet is on trial", wanted.name));
            self.note(&interface, Outcome { state: InterfaceState::Held, message }, status.as_ref());
        }
        self.tried = Some(wanted);
        Ok(())
    }

    async fn confirm(&mut self) -> Result<()> {
        let Some(tried) = self.tried.take() else { bail!("no policy is on trial") };
        let task = Arc::clone(&tried);
        let confirmed = spawn_blocking(move || confirm_everywhere(&task));
        confirmed.await.context("confirming the policy broke off")??;
        tracing::info!(policy = tried.name.as_str(), "the fleet's policy was found good and stays");
        self.wanted = Some(tried);
        self.enforce(Insistence::Hold).await;
        Ok(())
    }

    async fn fall_back(&mut self) -> Result<()> {
        let tried = self.tried.take();
        let interfaces =
            tried.or_else(|| self.wanted.clone()).map(|wanted| wanted.interfaces.clone()).unwrap_or_default();
        let reverted = spawn_blocking(move || interfaces.iter().for_each(|interface| revert(interface)));
        reverted.await.context("giving up the policy broke off")?;
        if let Err(refusals) = self.load().await? {
            bail!("what was in force before is refused now: {refusals}");
        }
        match self.enforce(Insistence::Replace).await {
            Some(failure) => bail!(failure),
            None => Ok(()),
        }
    }
}

/// On every interface that is there; one that comes later gets what holds then.
fn try_everywhere(wanted: &Wanted, confirm_within: Duration) -> Result<()> {
    let present: Vec<_> = wanted.interfaces.iter().filter(|name| kernel::interface_exists(name)).collect();
    ensure!(!present.is_empty(), "none of its interfaces is there");
    for (tried, interface) in present.iter().enumerate() {
        if let Err(error) = kernel::apply(interface, &wanted.on_trial(confirm_within)) {
            present[..tried].iter().for_each(|interface| revert(interface));
            return Err(error);
        }
    }
    Ok(())
}

fn confirm_everywhere(wanted: &Wanted) -> Result<()> {
    let mut present = wanted.interfaces.iter().filter(|name| kernel::interface_exists(name));
    present.try_for_each(|interface| kernel::confirm(interface).map(drop))
}

/// Gives up what is on trial on an interface. Where that cannot be done, the data plane does it when its time is over.
fn revert(interface: &str) {
    let is_pending = |status: kernel::Status| matches!(status.confirmation, Confirmation::Pending { .. });
    if kernel::status(interface).is_ok_and(is_pending)
        && let Err(error) = kernel::revert(interface)
    {
        tracing::warn!(interface, error = format!("{error:#}"), "the policy on trial ends by itself");
    }
}

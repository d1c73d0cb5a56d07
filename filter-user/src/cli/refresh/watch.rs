//! `--watch`: each source when it is due, until a signal.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use filter_user::{
    policy::file::PolicyFile,
    refresh::{Moment, Refresher, Step, Turns},
};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
    time::sleep,
};

use super::{Refresh, round};

/// Refreshes again and again; ends with success on SIGINT and SIGTERM.
pub(super) fn run(command: Refresh, refresher: Refresher) -> Result<ExitCode> {
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the timer")?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut watch = Watch { command: Arc::new(command), refresher: Arc::new(refresher), turns: Turns::default() };
        while let Some(pause) = watch.round(&mut signals).await? {
            tokio::select! {
                () = signals.any() => break,
                () = sleep(pause) => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    // A request that is under way is of no use any more.
    runtime.shutdown_background();
    ended
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

struct Watch {
    command: Arc<Refresh>,
    refresher: Arc<Refresher>,
    turns: Turns,
}

impl Watch {
    /// Asks those whose turn it is, and returns the pause until the next turn; nothing if a signal came in between.
    ///
    /// The policy file is read anew each time; while it is refused, what is in force stays.
    async fn round(&mut self, signals: &mut Signals) -> Result<Option<Duration>> {
        let file = match PolicyFile::read(&self.command.target.policy) {
            Ok(file) => file,
            Err(refusals) => {
                eprintln!("error: the policy is refused, what is in force stays\n{refusals}");
                return Ok(Some(Turns::SHORTEST_REST));
            }
        };
        let lock = match self.refresher.store.lock() {
            Ok(lock) => lock,
            Err(error) => {
                eprintln!("error: {error}");
                return Ok(Some(Turns::SHORTEST_REST));
            }
        };
        let now = Moment::now().context("cannot tell the time")?;
        let asked = tokio::select! {
            () = signals.any() => return Ok(None),
            steps = self.ask(&file, &now) => steps?,
        };
        let steps = self.settle(file, asked).await?;
        drop(lock);
        Ok(Some(self.turns.plan(&steps, &now)))
    }

    /// Asks on a thread of its own, so that a signal need not wait for a server.
    async fn ask(&self, file: &PolicyFile, now: &Moment) -> Result<Vec<Step>> {
        let (refresher, file, now) = (Arc::clone(&self.refresher), file.clone(), now.clone());
        let asking = self.turns.asking(&file);
        let asked = spawn_blocking(move || refresher.refresh(&file, file.folder(), &now, &asking));
        asked.await.context("the refresh broke off")
    }

    /// Puts it in force on a thread of its own: what speaks with the kernel waits for it.
    async fn settle(&self, file: PolicyFile, steps: Vec<Step>) -> Result<Vec<Step>> {
        let (command, refresher) = (Arc::clone(&self.command), Arc::clone(&self.refresher));
        let settled = spawn_blocking(move || {
            if let Err(error) = round::settle(&command, &refresher, file, &steps) {
                eprintln!("error: {error:#}");
            }
            steps
        });
        settled.await.context("what was accepted could not be put in force")
    }
}

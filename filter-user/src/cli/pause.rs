//! Pauses that a signal ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// What goes on until SIGINT or SIGTERM pauses by this.
pub(crate) struct Pauses {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Pauses {
    /// From now on these signals end a pause, and not the process.
    pub(crate) fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the timer")?;
        let inside = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(inside);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Pauses for so long; says whether to go on.
    pub(crate) fn pause(&mut self, length: Duration) -> bool {
        let Self { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => false,
                _ = terminate.recv() => false,
                () = tokio::time::sleep(length) => true,
            }
        })
    }
}

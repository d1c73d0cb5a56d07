//! What the service manager is told, by the protocol of `sd_notify(3)`; nothing where nobody listens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The policy is in force, or what was in force before is.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload begins; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The service ends of its own will.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// For the watchdog: the controller answers.
pub(super) fn alive() {
    if watchdog().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// How long the watchdog lets the service be silent; nothing where there is none.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// One line on how the service is.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

//! Places where a command may die, for tests: before every step that writes what is in force or what outlives the command.

/// Dies here, as if killed, if this is the step whose number `SIPWALL_DIE_AT_STEP` has. A release build has nothing of it.
#[inline]
pub(crate) fn step() {
    #[cfg(debug_assertions)]
    debug::step();
}

/// Stops here, until a signal continues it, where `SIPWALL_STOP_AT` names the place: what somebody else does meanwhile comes
/// between. A release build has nothing of it.
#[inline]
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "only tests look at it"))]
pub(crate) fn stop_at(place: &str) {
    #[cfg(debug_assertions)]
    debug::stop_at(place);
}

#[cfg(debug_assertions)]
mod debug {
    use std::{
        env,
        sync::atomic::{AtomicU32, Ordering},
        thread,
        time::Duration,
    };

    use rustix::process::{Signal, getpid, kill_process};

    static STEPS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn step() {
        let step = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
        let last = env::var("SIPWALL_DIE_AT_STEP").ok().and_then(|number| number.parse().ok());
        if last == Some(step) {
            // Where that fails the test notices that the command lives on.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    pub(super) fn stop_at(place: &str) {
        if env::var("SIPWALL_STOP_AT").is_ok_and(|wanted| wanted == place) {
            let _ = kill_process(getpid(), Signal::STOP);
            // Another thread may take the signal, and this one go on until it hears of it.
            thread::sleep(Duration::from_millis(100));
        }
    }
}

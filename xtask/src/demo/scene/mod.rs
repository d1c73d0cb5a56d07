//! What is played: a file for each scene.

mod calls;
mod connections;
mod relay;
mod scan;
mod strays;

use std::thread;

use anyhow::{Result, anyhow};
use lab::Lab;

use super::flow::Flow;

/// Something that hosts of the lab do.
pub(crate) struct Scene {
    /// The packets that it sends to the SBC.
    pub(super) flows: Vec<Flow>,
    /// Does it, and says how it went; an error where those who took part were not served as they must be.
    play: fn(&Lab) -> Result<String>,
}

/// Every scene.
pub(super) fn all() -> [Scene; 5] {
    [calls::scene(), connections::scene(), relay::scene(), strays::scene(), scan::scene()]
}

/// Those in which nothing that is listed is refused: calls, relays, and a scan.
pub(crate) fn calls_and_scan() -> [Scene; 3] {
    [calls::scene(), relay::scene(), scan::scene()]
}

impl Scene {
    /// Plays it, and says how it went.
    pub(crate) fn play(&self, lab: &Lab) -> Result<String> {
        (self.play)(lab)
    }
}

/// Plays scenes side by side, and returns how each went.
pub(super) fn play(scenes: &[Scene], lab: &Lab) -> Vec<Result<String>> {
    thread::scope(|scope| {
        let playing: Vec<_> = scenes.iter().map(|scene| scope.spawn(|| scene.play(lab))).collect();
        let ended = playing.into_iter().map(|scene| scene.join().unwrap_or_else(|_| Err(anyhow!("a scene panicked"))));
        ended.collect()
    })
}

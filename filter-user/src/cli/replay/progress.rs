//! How far a replay has come, on a terminal.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A progress bar on standard error; nothing is shown where that is not a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// How many packets go by from one look at the bar to the next.
    const STRIDE: u64 = 1 << 12;

    /// A bar for a capture of this many octets, where that is known; none where it would stand among the data.
    pub(super) fn new(size: Option<u64>, data_follows: bool) -> Self {
        let bar = if data_follows && io::stdout().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr())
        };
        let template = match size {
            Some(_) => "{bar:40} {percent}% of {total_bytes}, {eta} left",
            None => "{spinner} {bytes} in {elapsed}",
        };
        // A template that cannot be read leaves the bar as it comes.
        Self(match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    /// Shows that this many packets and octets were read.
    pub(super) fn show(&self, packets: u64, octets: u64) {
        if packets.is_multiple_of(Self::STRIDE) {
            self.0.set_position(octets);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

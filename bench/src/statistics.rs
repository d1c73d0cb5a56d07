//! What the slices of a round, and several rounds, come to.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use filter_user::kernel::Slice;

/// How much is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Effort {
    /// How many slices are enough to tell what a packet costs, if the quietest of them agree.
    slices: usize,
    /// How long to wait for slices that agree.
    patience: Duration,
    /// How often a change is done in a round.
    pub(crate) runs: usize,
    /// How often a whole path is measured.
    pub(crate) path_rounds: usize,
    /// How many frames a program judges between two looks at what that cost.
    pub(crate) frames: u32,
    /// Whether each round loads its programs anew, so that chance in where their code lies shows as noise.
    pub(crate) reload: bool,
}

impl Effort {
    pub(crate) const FULL: Self =
        Self { slices: 400, patience: Duration::from_secs(2), runs: 8, path_rounds: 5, frames: 100_000, reload: true };
    pub(crate) const QUICK: Self = Self {
        slices: 60,
        patience: Duration::from_millis(100),
        runs: 1,
        path_rounds: 3,
        frames: 40_000,
        reload: false,
    };
}

/// One slice in so many is among the quietest.
const QUIETEST: usize = 100;
/// How far the quietest slices may lie apart, as a share.
const APART: f64 = 0.03;
/// How long to wait for enough slices at all.
const LIMIT: Duration = Duration::from_mins(1);

/// What a packet costs while the machine is quiet, in nanoseconds: the most that it did in the quietest slices of a round.
/// What else goes on, here or on what other machines share with this one, only adds to it. More and more slices are
/// taken until the quietest agree, or patience ends: how far the rounds lie apart then tells.
///
/// # Errors
/// If the slices cannot be had, or are too few.
pub(crate) fn quiet(effort: Effort, mut more: impl FnMut() -> Result<Vec<Slice>>) -> Result<f64> {
    let begun = Instant::now();
    let mut costs = Vec::new();
    loop {
        costs.extend(more()?.iter().map(cost));
        costs.sort_by(f64::total_cmp);
        let waited = begun.elapsed();
        if costs.len() >= effort.slices {
            let quiet = costs[costs.len() / QUIETEST];
            if quiet <= costs[0] * (1.0 + APART) || waited > effort.patience {
                return Ok(quiet);
            }
        }
        ensure!(waited < LIMIT, "{} slices in {waited:?} are too few", costs.len());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a slice has less nanoseconds than a float has bits for")]
fn cost(slice: &Slice) -> f64 {
    slice.nanoseconds as f64 / slice.packets as f64
}

/// The same thing measured in several rounds.
#[derive(Clone, Debug)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn add(&mut self, measured: f64) {
        self.0.push(measured);
        self.0.sort_by(f64::total_cmp);
    }

    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// How far the rounds lie apart, as a share of their median.
    pub(crate) fn noise(&self) -> f64 {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => (most - least) / self.median(),
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices of ten packets that cost so much.
    fn slices(costs: impl Iterator<Item = u64>) -> Vec<Slice> {
        costs.map(|cost| Slice { nanoseconds: 10 * cost, packets: 10 }).collect()
    }

    #[test]
    fn what_else_goes_on_in_most_slices_does_not_count() {
        let cost =
            quiet(Effort::FULL, || Ok(slices((0..400_u64).map(|place| if place % 50 == 0 { 50 } else { 60 + place }))));
        assert!((cost.expect("a cost") - 50.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_lonely_quiet_slice_is_not_believed_before_others_agree() {
        let mut runs = 0;
        let cost = quiet(Effort::FULL, || {
            runs += 1;
            let lonely = (0..400_u64).map(|place| if place == 0 { 40 } else { 60 });
            Ok(slices(lonely.chain((runs > 1).then_some([40; 10]).into_iter().flatten())))
        });
        assert!((cost.expect("a cost") - 40.0).abs() < f64::EPSILON);
        assert_eq!(runs, 2);
    }

    #[test]
    fn the_median_is_in_the_middle_and_noise_is_what_lies_around_it() {
        let mut rounds = Rounds::NONE;
        for measured in [12.0, 8.0, 10.0] {
            rounds.add(measured);
        }
        assert_eq!((rounds.median(), rounds.noise()), (10.0, 0.4));
    }
}

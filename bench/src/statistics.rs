//! What several rounds come to.

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

    #[test]
    fn the_median_is_in_the_middle_and_noise_is_what_lies_around_it() {
        let mut rounds = Rounds::NONE;
        for measured in [12.0, 8.0, 10.0] {
            rounds.add(measured);
        }
        assert_eq!((rounds.median(), rounds.noise()), (10.0, 0.4));
    }
}

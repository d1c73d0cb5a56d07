//! The choices that a made-up thing is made of.

use fastrand::Rng;

/// A sequence of choices, each a number below some limit: drawn at random and written down, or replayed.
///
/// Generators put what is simplest at 0, so that a smaller number, or a sequence that ends early, means a simpler thing.
pub struct Choices {
    made: Vec<u32>,
    position: usize,
    random: Option<Rng>,
}

impl Choices {
    /// New choices, the same for the same seed.
    pub fn random(seed: u64) -> Self {
        Self { made: Vec::new(), position: 0, random: Some(Rng::with_seed(seed)) }
    }

    /// These choices, and 0 for all that come after them.
    pub const fn replay(made: Vec<u32>) -> Self {
        Self { made, position: 0, random: None }
    }

    /// The choices that were made.
    pub fn made(&self) -> &[u32] {
        &self.made
    }

    /// A number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        if let Some(random) = &mut self.random {
            let choice = random.u32(..limit);
            self.made.push(choice);
            return choice;
        }
        let choice = self.made.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        choice.min(limit - 1)
    }

    /// A number between these two, both included.
    pub(super) fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    /// One of these, of which the first is the simplest.
    pub(super) fn pick<'a, T>(&mut self, options: &'a [T]) -> &'a T {
        let count = u32::try_from(options.len()).unwrap_or(u32::MAX);
        &options[self.below(count) as usize]
    }

    /// The same, by value.
    pub(super) fn one_of<T: Copy>(&mut self, options: &[T]) -> T {
        *self.pick(options)
    }

    /// Yes in so many of a hundred cases; no is simpler.
    pub(super) fn chance(&mut self, in_hundred: u32) -> bool {
        self.below(100) >= 100 - in_hundred
    }

    /// As many things as a number between these two says.
    pub(super) fn many<T>(&mut self, least: u32, most: u32, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.between(least, most);
        (0..count).map(|_| one(self)).collect()
    }

    /// An octet.
    pub(super) fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or(u8::MAX)
    }

    /// A number of 16 bits.
    pub(super) fn word(&mut self) -> u16 {
        u16::try_from(self.below(65536)).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_the_same_for_a_seed_and_when_replayed() {
        let draw = |choices: &mut Choices| (0..50).map(|limit| choices.below(limit + 1)).collect::<Vec<_>>();
        let mut first = Choices::random(7);
        let drawn = draw(&mut first);
        assert_eq!(drawn, draw(&mut Choices::random(7)));
        assert_eq!(drawn, draw(&mut Choices::replay(first.made().to_vec())));
        assert_ne!(drawn, draw(&mut Choices::random(8)));
    }

    #[test]
    fn what_was_not_chosen_is_the_simplest() {
        let mut choices = Choices::replay(vec![9]);
        assert_eq!((choices.below(5), choices.below(5), choices.chance(99)), (4, 0, false));
    }
}

//! What is most frequent, in bounded memory.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::IntoIter},
    hash::Hash,
};

/// Weights by key. Of too many keys the lighter half is forgotten: a flood of invented ones pushes out no heavy one.
///
/// `MOST` keys are told apart.
#[derive(Clone, Debug)]
pub(super) struct Ranking<K, const MOST: usize = 1024> {
    weights: HashMap<K, u64>,
    forgotten: u64,
}

impl<K: Copy + Eq + Hash + Ord, const MOST: usize> Ranking<K, MOST> {
    /// Adds to the weight of a key.
    pub(super) fn add(&mut self, key: K, weight: u64) {
        *self.weights.entry(key).or_default() += weight;
        if self.weights.len() > MOST {
            self.forget_light();
        }
    }

    /// Adds all that another one has.
    pub(super) fn merge(&mut self, other: &Self) {
        for (key, weight) in &other.weights {
            *self.weights.entry(*key).or_default() += weight;
        }
        self.forgotten += other.forgotten;
    }

    /// The heaviest keys first.
    pub(super) fn heaviest(&self, most: usize) -> Vec<(K, u64)> {
        let mut all: Vec<_> = self.weights.iter().map(|(key, weight)| (*key, *weight)).collect();
        all.sort_unstable_by_key(|(key, weight)| (Reverse(*weight), *key));
        all.truncate(most);
        all
    }

    /// How many keys there are; more, where some were forgotten.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The weight of all.
    pub(super) fn total(&self) -> u64 {
        self.weights.values().sum::<u64>() + self.forgotten
    }

    fn forget_light(&mut self) {
        let mut all = self.heaviest(usize::MAX);
        for (key, weight) in all.split_off(MOST / 2) {
            self.weights.remove(&key);
            self.forgotten += weight;
        }
    }
}

impl<K, const MOST: usize> Default for Ranking<K, MOST> {
    fn default() -> Self {
        Self { weights: HashMap::new(), forgotten: 0 }
    }
}

impl<K, const MOST: usize> IntoIterator for Ranking<K, MOST> {
    type Item = (K, u64);
    type IntoIter = IntoIter<K, u64>;

    fn into_iter(self) -> Self::IntoIter {
        self.weights.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_invented_keys_hides_no_steady_one_and_takes_no_memory() {
        let mut ranking: Ranking<u32> = Ranking::default();
        for key in 0..1_000_000_u32 {
            ranking.add(key, 1);
            if key % 100 == 0 {
                ranking.add(u32::MAX, 1);
            }
        }
        assert_eq!(ranking.heaviest(1), [(u32::MAX, 10_000)]);
        assert!(ranking.len() <= 1024);
        assert_eq!(ranking.total(), 1_010_000);
    }
}

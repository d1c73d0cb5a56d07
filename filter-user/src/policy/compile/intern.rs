//! Numbering distinct values.

use std::{collections::HashMap, hash::Hash};

/// Distinct values in the order in which they were first met; the default value is the first.
pub(super) struct Interner<T> {
    values: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T: Copy + Default + Eq + Hash> Interner<T> {
    pub(super) fn new() -> Self {
        Self { values: vec![T::default()], places: HashMap::from([(T::default(), 0)]) }
    }

    /// The place of the value.
    pub(super) fn place(&mut self, value: T) -> u32 {
        *self.places.entry(value).or_insert_with(|| {
            self.values.push(value);
            u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The values, each at its place.
    pub(super) fn into_values(self) -> Vec<T> {
        self.values
    }
}

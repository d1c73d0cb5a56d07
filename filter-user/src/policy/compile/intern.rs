//! Numbering distinct values.

use std::{collections::HashMap, hash::Hash};

/// Distinct values in the order in which they were first met; the default value is the first.
pub(super) struct Interner<T> {
    values: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T: Copy + Default + Eq + Hash> Interner<T> {
    pub(super) fn new() -> Self {
        Self { values: vec![T::default()], places: HashMap::from([(T::default(), 0)]) }
    }

    /// The place of the value.
    pub(super) fn place(&mut self, value: T) -> usize {
        *self.places.entry(value).or_insert_with(|| {
            self.values.push(value);
            self.values.len() - 1
        })
    }

    /// The values, each at its place.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}

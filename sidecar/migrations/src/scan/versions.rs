//! What files said, by key and [`Stamp`]: of one tree the last version, of several trees some of them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use crate::source::Stamp;

/// Keys that are remembered of several trees, and versions of each.
const MOST_KEYS: usize = 50_000;
const MOST_VERSIONS: usize = 32;

/// What was said.
#[derive(Debug)]
pub(super) struct Versions<K, T> {
    all: HashMap<K, Vec<(Stamp, T)>>,
    many: bool,
}

impl<K, T> Default for Versions<K, T> {
    fn default() -> Self {
        Self { all: HashMap::new(), many: false }
    }
}

impl<K: Eq + Hash, T: Clone> Versions<K, T> {
    /// Of several trees.
    pub(super) fn of_many() -> Self {
        Self { many: true, ..Self::default() }
    }

    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q, stamp: Stamp) -> Option<T>
    where
        K: Borrow<Q>,
    {
        let versions = self.all.get(key)?;
        versions.iter().find(|(known, _)| *known == stamp).map(|(_, said)| said.clone())
    }

    pub(super) fn put(&mut self, key: K, stamp: Stamp, said: T) {
        if self.many && self.all.len() >= MOST_KEYS && !self.all.contains_key(&key) {
            self.all.clear();
        }
        let versions = self.all.entry(key).or_default();
        if !self.many || versions.len() >= MOST_VERSIONS {
            versions.clear();
        }
        versions.push((stamp, said));
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&K) -> bool) {
        self.all.retain(|key, _| keeps(key));
    }
}

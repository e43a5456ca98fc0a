//! moka.

use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::sync::Cache;

use super::{CacheKey, Capacity, Engine, Heavy};

/// moka as an engine: W-TinyLFU, a window of recent entries before a main part chosen by frequency. What an insertion means for
/// the others is decided a little later, so there may be some entries too many for a moment.
pub struct Moka<K, T>(Cache<K, Heavy<T>>);

impl<K: CacheKey, T: Clone + Send + Sync + 'static> Engine<K, T> for Moka<K, T> {
    fn new(capacity: &Capacity) -> Self {
        let evicted = capacity.evicted.clone();
        let cache = Cache::builder().max_capacity(capacity.weight).eviction_listener(move |_, _, cause| {
            if cause == RemovalCause::Size {
                evicted.note(1);
            }
        });
        // With a weigher moka knows less of how often keys are asked for.
        let counted = capacity.weight == capacity.entries as u64;
        Self(if counted { cache.build() } else { cache.weigher(|_, heavy: &Heavy<T>| heavy.weight).build() })
    }

    fn get(&self, key: &K) -> Option<T> {
        self.0.get(key).map(|heavy| heavy.entry)
    }

    fn peek(&self, key: &K) -> Option<T> {
        // moka has no look that is not a use.
        self.0.get(key).map(|heavy| heavy.entry)
    }

    fn insert(&self, key: K, entry: T, weight: u64) {
        self.0.insert(key, Heavy::new(entry, weight));
    }

    fn remove(&self, key: &K) -> Option<T> {
        self.0.remove(key).map(|heavy| heavy.entry)
    }

    fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool {
        let outcome = self.0.entry_by_ref(key).and_compute_with(|entry| match entry {
            Some(entry) if condition(&entry.value().entry) => Op::Remove,
            _ => Op::Nop,
        });
        matches!(outcome, moka::ops::compute::CompResult::Removed(_))
    }

    fn clear(&self) {
        self.0.invalidate_all();
    }

    fn len(&self) -> usize {
        self.0.run_pending_tasks();
        usize::try_from(self.0.entry_count()).unwrap_or(usize::MAX)
    }

    fn weight(&self) -> u64 {
        self.0.run_pending_tasks();
        self.0.weighted_size()
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_> {
        Box::new(self.0.iter().map(|(key, heavy)| (K::clone(&key), heavy.entry)))
    }
}

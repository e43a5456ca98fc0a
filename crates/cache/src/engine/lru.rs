//! lru, in shards.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard};

use ::lru::LruCache;

use super::{CacheKey, Capacity, Engine, Evicted, Heavy};
use crate::sync::lock;

const SHARDS: usize = 16;
/// Fewer entries than this in a shard, and which shard a key falls into decides more than its use.
const LEAST: usize = 32;

/// Least recently used, in up to 16 shards, each behind a lock of its own. Simple, and exact where recency is all that counts; a
/// scan empties it.
pub struct Lru<K, T> {
    shards: Box<[Mutex<Shard<K, T>>]>,
    hasher: RandomState,
    /// The greatest weight of one shard.
    limit: u64,
    evicted: Evicted,
}

struct Shard<K, T> {
    entries: LruCache<K, Heavy<T>, RandomState>,
    weight: u64,
}

impl<K: CacheKey, T> Lru<K, T> {
    fn shard(&self, key: &K) -> Option<MutexGuard<'_, Shard<K, T>>> {
        let hash = self.hasher.hash_one(key);
        let at = usize::try_from(hash >> 48).unwrap_or(0) & (self.shards.len() - 1);
        self.shards.get(at).map(lock)
    }
}

impl<K: CacheKey, T: Clone + Send + Sync + 'static> Engine<K, T> for Lru<K, T> {
    fn new(capacity: &Capacity) -> Self {
        let mut shards = SHARDS;
        while shards > 1 && capacity.entries / shards < LEAST {
            shards /= 2;
        }
        let hasher = RandomState::new();
        let shard =
            || Mutex::new(Shard { entries: LruCache::unbounded_with_hasher(hasher.clone()), weight: 0 });
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            limit: capacity.weight.div_ceil(shards as u64),
            evicted: capacity.evicted.clone(),
            hasher,
        }
    }

    fn get(&self, key: &K) -> Option<T> {
        self.shard(key)?.entries.get(key).map(|heavy| heavy.entry.clone())
    }

    fn peek(&self, key: &K) -> Option<T> {
        self.shard(key)?.entries.peek(key).map(|heavy| heavy.entry.clone())
    }

    fn insert(&self, key: K, entry: T, weight: u64) {
        let Some(mut guard) = self.shard(&key) else { return };
        let shard = &mut *guard;
        let mut out = Vec::new(); // Dropped when the lock is not held any more.
        let heavy = Heavy::new(entry, weight);
        shard.weight += u64::from(heavy.weight);
        if let Some(old) = shard.entries.push(key, heavy) {
            shard.weight -= u64::from(old.1.weight);
            out.push(old);
        }
        while shard.weight > self.limit {
            let Some(last) = shard.entries.pop_lru() else { break };
            shard.weight -= u64::from(last.1.weight);
            self.evicted.note(1);
            out.push(last);
        }
        drop(guard);
    }

    fn remove(&self, key: &K) -> Option<T> {
        let mut shard = self.shard(key)?;
        let heavy = shard.entries.pop(key)?;
        shard.weight -= u64::from(heavy.weight);
        Some(heavy.entry)
    }

    fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool {
        let Some(mut shard) = self.shard(key) else { return false };
        if !shard.entries.peek(key).is_some_and(|heavy| condition(&heavy.entry)) {
            return false;
        }
        let Some(heavy) = shard.entries.pop(key) else { return false };
        shard.weight -= u64::from(heavy.weight);
        drop(shard);
        true
    }

    fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let entries =
                std::mem::replace(&mut shard.entries, LruCache::unbounded_with_hasher(self.hasher.clone()));
            shard.weight = 0;
            drop(shard);
            drop(entries);
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).entries.len()).sum()
    }

    fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| lock(shard).weight).sum()
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_> {
        // A list in order of use cannot be walked while it changes, so each shard is copied when its turn comes.
        let copy = |shard: &Mutex<Shard<K, T>>| -> Vec<(K, T)> {
            lock(shard).entries.iter().map(|(key, heavy)| (key.clone(), heavy.entry.clone())).collect()
        };
        Box::new(self.shards.iter().flat_map(copy))
    }
}

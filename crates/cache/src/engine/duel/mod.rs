//! An engine of our own.

mod ghosts;
mod index;
mod shard;

use std::hash::BuildHasher;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::available_parallelism;

use quick_cache::DefaultHashBuilder;

use self::shard::{Gone, Shard};
use super::{CacheKey, Capacity, Engine, Evicted, in_four_bytes};

/// With fewer entries in a shard than this, which shard a key falls into would decide more than its use.
const LEAST: usize = 1024;
/// Entries that are copied under one lock when all are met.
const BATCH: usize = 64;

/// Our own: a door for new entries, as in S3-FIFO (Yang et al., SOSP 2023), a memory of keys that were put out, and a duel by
/// the number of uses for a place in the main part, as in `TinyLFU` (Einziger et al., 2017). How wide the door is, it learns. Reading
/// takes a shared lock of one shard.
pub struct Duel<K, T> {
    shards: Box<[Aligned<K, T>]>,
    hasher: DefaultHashBuilder,
    evicted: Evicted,
}

/// A shard whose lock shares no cache line with another.
#[repr(align(128))]
struct Aligned<K, T>(RwLock<Shard<K, T>>);

impl<K, T> Aligned<K, T> {
    // What user code can make panic (comparing, cloning, a condition) is done while nothing is half changed.
    #[inline]
    fn read(&self) -> RwLockReadGuard<'_, Shard<K, T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn write(&self) -> RwLockWriteGuard<'_, Shard<K, T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> impl Iterator<Item = (K, T)> + Send + '_
    where
        K: CacheKey,
        T: Clone + Send + Sync,
    {
        let mut from = 0;
        let batches = std::iter::from_fn(move || {
            let (batch, next) = self.read().copy(from, BATCH)?;
            from = next;
            Some(batch)
        });
        batches.flatten()
    }
}

impl<K: CacheKey, T> Duel<K, T> {
    /// The shard of a key, and what the key is known by there.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "parts of a hash are meant")]
    fn shard(&self, key: &K) -> Option<(&Aligned<K, T>, u32)> {
        let hash = self.hasher.hash_one(key);
        let at = (hash >> 40) as usize & (self.shards.len() - 1);
        Some((self.shards.get(at)?, hash as u32))
    }

    /// Puts an entry in that takes more than the place of another; apart, so that what only replaces is short.
    #[inline(never)]
    fn make_room(
        &self,
        mut shard: RwLockWriteGuard<'_, Shard<K, T>>,
        there: Option<u32>,
        hash: u32,
        held: (K, T),
        weight: u32,
    ) {
        let mut gone = Gone::none();
        shard.insert(there, hash, held, weight, &mut gone);
        drop(shard);
        if gone.evicted > 0 {
            self.evicted.note(gone.evicted);
        }
    }
}

impl<K: CacheKey, T: Clone + Send + Sync + 'static> Engine<K, T> for Duel<K, T> {
    fn new(capacity: &Capacity) -> Self {
        let mut shards = 16 * available_parallelism().map_or(1, usize::from).next_power_of_two();
        while shards > 1 && capacity.entries / shards < LEAST {
            shards /= 2;
        }
        let limit = capacity.weight.div_ceil(shards as u64);
        let shard = |_| Aligned(RwLock::new(Shard::new(limit, capacity.entries.div_ceil(shards))));
        Self {
            shards: (0..shards).map(shard).collect(),
            hasher: DefaultHashBuilder::default(),
            evicted: capacity.evicted.clone(),
        }
    }

    #[inline]
    fn get(&self, key: &K) -> Option<T> {
        self.read(key, T::clone)
    }

    #[inline]
    fn read<R>(&self, key: &K, view: impl FnOnce(&T) -> R) -> Option<R> {
        let (shard, hash) = self.shard(key)?;
        let shard = shard.read();
        let slot = shard.find(hash, key)?;
        slot.note_use();
        slot.entry().map(view)
    }

    fn peek(&self, key: &K) -> Option<T> {
        let (shard, hash) = self.shard(key)?;
        shard.read().find(hash, key)?.entry().cloned()
    }

    fn insert(&self, key: K, entry: T, weight: u64) {
        let Some((shard, hash)) = self.shard(&key) else { return };
        let (mut shard, weight) = (shard.write(), in_four_bytes(weight));
        let there = shard.search(hash, &key);
        let Some(slot) = there.and_then(|at| shard.slot_of_weight(at, weight)) else {
            return self.make_room(shard, there, hash, (key, entry), weight);
        };
        let before = slot.replace((key, entry));
        drop(shard);
        drop(before);
    }

    fn remove(&self, key: &K) -> Option<T> {
        let (shard, hash) = self.shard(key)?;
        let gone = shard.write().remove(hash, key);
        gone.map(|(_, entry)| entry)
    }

    fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool {
        let Some((shard, hash)) = self.shard(key) else { return false };
        let mut shard = shard.write();
        if !shard.find(hash, key).and_then(|slot| slot.entry()).is_some_and(condition) {
            return false;
        }
        let gone = shard.remove(hash, key);
        drop(shard);
        gone.is_some()
    }

    fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write();
            let fresh = shard.emptied();
            let gone = std::mem::replace(&mut *shard, fresh);
            drop(shard);
            drop(gone);
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| shard.read().weight()).sum()
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_> {
        Box::new(self.shards.iter().flat_map(Aligned::entries))
    }
}

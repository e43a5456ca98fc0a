//! Records of keys that were good a moment ago.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::record::KeyRecord;
use super::text::KeyId;
use crate::Principal;

/// A record and who it stands for, kept for a while.
pub(super) struct Cached {
    pub(super) record: KeyRecord,
    pub(super) principal: Principal,
    /// In nanoseconds of the coarse clock.
    ends: u64,
    /// When its use was last noted, plus one; 0 is never.
    noted: AtomicU64,
}

impl Cached {
    pub(super) fn new(record: KeyRecord, now: u64, keep: Duration) -> Self {
        let (principal, ends) = (record.principal(), now.saturating_add(nanos(keep)));
        Self { record, principal, ends, noted: AtomicU64::new(0) }
    }
}

/// At most so many records, in two generations: when the younger is full, it becomes the older one, and that is forgotten.
/// Whoever is used meanwhile comes back into the younger.
pub(super) struct Cache {
    half: usize,
    keep: Duration,
    generations: Mutex<Generations>,
    /// Grows with each change that is made here, so that what was read before one is not kept after it.
    changes: AtomicU64,
}

#[derive(Default)]
struct Generations {
    young: HashMap<KeyId, Arc<Cached>>,
    old: HashMap<KeyId, Arc<Cached>>,
}

impl Cache {
    pub(super) fn new(most: usize, keep: Duration) -> Self {
        let changes = AtomicU64::new(0);
        Self { half: (most / 2).max(1), keep, generations: Mutex::default(), changes }
    }

    /// No work of another is done while it is held.
    fn generations(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: KeyId, now: u64) -> Option<Arc<Cached>> {
        let mut generations = self.generations();
        let found = generations.young.get(&id).map(Arc::clone);
        let found = found.filter(|cached| now < cached.ends);
        if found.is_some() {
            return found;
        }
        let found = generations.old.remove(&id).filter(|cached| now < cached.ends)?;
        put(&mut generations, self.half, Arc::clone(&found));
        Some(found)
    }

    /// To be taken before a record is read from the store.
    pub(super) fn stamp(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps a record that was read after `stamp` was taken, unless something was changed since.
    pub(super) fn keep(&self, record: KeyRecord, now: u64, stamp: u64) -> Arc<Cached> {
        let cached = Arc::new(Cached::new(record, now, self.keep));
        let mut generations = self.generations();
        if self.stamp() == stamp && !self.keep.is_zero() {
            put(&mut generations, self.half, Arc::clone(&cached));
        }
        cached
    }

    pub(super) fn forget(&self, id: KeyId) {
        let mut generations = self.generations();
        self.changes.fetch_add(1, Ordering::AcqRel);
        generations.young.remove(&id);
        generations.old.remove(&id);
    }
}

fn put(generations: &mut Generations, half: usize, cached: Arc<Cached>) {
    if generations.young.len() >= half && !generations.young.contains_key(&cached.record.id) {
        generations.old = std::mem::take(&mut generations.young);
    }
    generations.young.insert(cached.record.id, cached);
}

/// Times of last use that are not written yet: at most one for each key, at most `most` keys.
pub(super) struct Uses {
    every: u64,
    most: usize,
    noted: Mutex<HashMap<KeyId, SystemTime>>,
}

impl Uses {
    pub(super) fn new(every: Duration, most: usize) -> Self {
        Self { every: nanos(every), most, noted: Mutex::default() }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<KeyId, SystemTime>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a use, unless one was noted a short time ago.
    pub(super) fn note(&self, cached: &Cached, now: u64, wall: SystemTime) {
        let last = cached.noted.load(Ordering::Relaxed);
        if last != 0 && now.saturating_sub(last - 1) < self.every {
            return;
        }
        cached.noted.store(now.saturating_add(1), Ordering::Relaxed);
        self.put(cached.record.id, wall);
    }

    /// A use that has no room is not noted: the next batch makes room.
    pub(super) fn put(&self, id: KeyId, at: SystemTime) {
        let mut noted = self.noted();
        if noted.len() < self.most || noted.contains_key(&id) {
            let latest = noted.entry(id).or_insert(at);
            *latest = at.max(*latest);
        }
    }

    pub(super) fn take(&self) -> Vec<(KeyId, SystemTime)> {
        self.noted().drain().collect()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

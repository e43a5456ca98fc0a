//! The state of all keys, in memory: shards under a lock each, held for a decision.

mod decide;
mod entry;
mod held;
mod shard;
mod slot;
mod tables;
mod targets;

pub(crate) use self::decide::{Ask, Bans, Windows};
use self::entry::Entry;
use self::shard::{Rulebook, Shard};
use self::slot::MOST_LOGS;
pub(crate) use self::tables::Tables;
pub(crate) use self::targets::Identity;
use crate::algorithm::Nanos;
use crate::fingerprint::{Fingerprint, shard};
use crate::metrics::Metrics;
use crate::penalty::{PenaltyState, second};
use crate::plan::Plan;
use crate::sync::{Mutex, MutexGuard, lock};

/// Shards at most; more than processors, so that two threads rarely want the same.
const MOST_SHARDS: usize = 64;
/// Keys that are worth a shard.
const SHARD_KEYS: usize = 1_024;

/// On a cache line of its own, so that locks of neighbours are not on one.
#[derive(Debug)]
#[repr(align(64))]
struct Locked<E>(Mutex<Shard<E>>);

const _: () =
    assert!(size_of::<std::sync::Mutex<Shard<entry::Wide>>>() <= 64, "lock and shard are a cache line");

/// The state of all keys, in entries of one kind.
pub(crate) struct Store<E> {
    shards: Box<[Locked<E>]>,
    /// Keys that one shard may hold.
    most: usize,
}

impl<E: Entry> Store<E> {
    /// Room for `max_keys`, which is taken as keys come.
    pub(crate) fn new(max_keys: usize) -> Self {
        let shards = (max_keys / SHARD_KEYS).next_power_of_two().clamp(1, MOST_SHARDS);
        let shard = |_| Locked(Mutex::new(Shard::default()));
        // Each may have two logs.
        let most = (max_keys / shards).clamp(1, MOST_LOGS / 2);
        Self { shards: (0..shards).map(shard).collect(), most }
    }

    #[inline]
    fn index(&self, place: u64) -> usize {
        shard(place, self.shards.len())
    }

    #[inline]
    fn lock(&self, index: usize) -> Option<MutexGuard<'_, Shard<E>>> {
        self.shards.get(index).map(|shard| lock(&shard.0))
    }

    fn rulebook<'p>(&self, plan: &'p Plan) -> Rulebook<'p> {
        Rulebook { shapes: &plan.shapes, penalties: plan.penalties.as_ref(), most: self.most }
    }

    /// Changes what is held against a caller.
    pub(crate) fn penalise<T>(
        &self,
        plan: &Plan,
        print: Fingerprint,
        now: Nanos,
        change: impl FnOnce(Nanos, &mut PenaltyState) -> T,
    ) -> Option<T> {
        let mut shard = self.lock(self.index(print.place))?;
        let now = shard.at(now);
        Some(shard.enter(print, now, self.rulebook(plan), |entry, _| {
            let mut state = entry.penalty();
            let changed = change(now, &mut state);
            entry.set_penalty(state);
            changed
        }))
    }

    /// What is held against a caller.
    pub(crate) fn penalty(&self, print: Fingerprint, now: Nanos) -> (Nanos, PenaltyState) {
        let shard = self.lock(self.index(print.place));
        shard.map_or((now, PenaltyState::default()), |mut shard| {
            (shard.at(now), shard.with(print, |entry, _| entry.penalty()).unwrap_or_default())
        })
    }

    /// Tells the metrics what they were not told yet, and forgets some of what says nothing any more. Returns the keys that are left.
    pub(crate) fn tend(&self, plan: &Plan, metrics: &Metrics, now: Nanos) -> usize {
        let mut keys = 0;
        for index in 0..self.shards.len() {
            let Some(mut shard) = self.lock(index) else { continue };
            let now = shard.at(now);
            shard.sweep(now, SHARD_KEYS / 4, self.rulebook(plan));
            shard.tell(metrics, now);
            keys += shard.len();
        }
        metrics.keys.set(keys as f64);
        keys
    }

    pub(crate) fn len(&self) -> usize {
        (0..self.shards.len()).filter_map(|index| self.lock(index)).map(|shard| shard.len()).sum()
    }

    /// The memory of all shards, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let tables = (0..self.shards.len()).filter_map(|index| self.lock(index)).map(|shard| shard.bytes());
        tables.sum::<usize>() + self.shards.len() * size_of::<Locked<E>>()
    }

    /// Callers that are banned now. Looks at every entry.
    pub(crate) fn banned(&self, now: Nanos) -> usize {
        let second = second(now);
        (0..self.shards.len()).filter_map(|index| self.lock(index)).map(|shard| shard.banned(second)).sum()
    }
}

//! Single flight: at most one load of a key at a time, whoever asks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::Error;
use crate::engine::CacheKey;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering, RandomState, lock};
use crate::tags::Seen;

/// How a load ended: a value, the knowledge that there is none, or an error for all who waited.
pub(crate) type Outcome<V> = Result<Option<V>, Error>;

const SHARDS: usize = 16;

/// The loads under way. A load that was superseded is no longer here: it goes on for those who wait for it, and nobody else sees
/// what it brings.
pub(crate) struct Flights<K, V> {
    shards: [Mutex<HashMap<K, Flight<V>>>; SHARDS],
    hasher: RandomState,
    under_way: AtomicUsize,
    /// How many there may be.
    most: usize,
    next: AtomicUsize,
}

struct Flight<V> {
    number: usize,
    outcome: Landing<V>,
    tags: Seen,
    loads: bool,
}

/// Where those who wait for a load hear how it ends; made by the first of them, and most loads have none.
type Landing<V> = Arc<OnceLock<watch::Sender<Option<Outcome<V>>>>>;

fn listen<V>(landing: &Landing<V>) -> watch::Receiver<Option<Outcome<V>>> {
    landing.get_or_init(|| watch::Sender::new(None)).subscribe()
}

/// What a caller does about a value that is not there.
pub(crate) enum Joined<K: CacheKey, V> {
    /// It loads.
    Lead(Ticket<K, V>),
    /// It waits for another's load.
    Follow {
        outcome: watch::Receiver<Option<Outcome<V>>>,
        /// Whether it loads, and does not only look for what is kept elsewhere.
        loads: bool,
    },
    /// It is refused: as many loads as may be are under way.
    Full,
}

/// The right, and the duty, to load a value. Dropped, it is given back: those who wait are told to try for themselves, or, after
/// a panic, that there was one.
pub(crate) struct Ticket<K: CacheKey, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
    /// Where the key is.
    shard: usize,
    number: usize,
    outcome: Landing<V>,
    /// Whether it may still be on the table.
    flying: bool,
    /// What those who wait are told after a panic.
    panicked: Error,
    pub(crate) tags: Seen,
}

impl<K: CacheKey, V> Flights<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(HashMap::new())),
            hasher: RandomState::default(),
            under_way: AtomicUsize::new(0),
            most,
            next: AtomicUsize::new(0),
        }
    }

    /// How many loads are under way, those superseded included.
    pub(crate) fn len(&self) -> usize {
        self.under_way.load(Ordering::SeqCst)
    }

    /// Begins a load, or joins the one that is under way. A load whose tags were invalidated meanwhile is joined no more.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &K,
        tags: Seen,
        loads: bool,
        panicked: impl FnOnce() -> Error,
    ) -> Joined<K, V> {
        let at = self.place(key);
        let mut shard = self.lock(at);
        let mut entry = shard.entry(key.clone());
        if let Entry::Occupied(flight) = &mut entry
            && let flight = flight.get()
            && flight.tags.holds()
        {
            // On the table, and behind its lock: so it has not landed, and whoever lands it sees that somebody listens.
            return Joined::Follow { outcome: listen(&flight.outcome), loads: flight.loads };
        }
        let room = |under_way| (under_way < self.most).then_some(under_way + 1);
        if self.under_way.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_err() {
            return Joined::Full;
        }
        let outcome = Landing::default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        entry.insert_entry(Flight { number, outcome: Arc::clone(&outcome), tags: tags.clone(), loads });
        drop(shard);
        let (flights, key, panicked) = (Arc::clone(self), key.clone(), panicked());
        Joined::Lead(Ticket { flights, key, shard: at, number, outcome, flying: true, panicked, tags })
    }

    /// Whether a load of the key is under way.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        self.len() > 0 && self.shard(key).contains_key(key)
    }

    /// What is being loaded for the key is old already. Must come before the change itself is made known to the engine.
    pub(crate) fn supersede(&self, key: &K) {
        // A load that begins after this look begins after what supersedes it.
        if self.len() > 0 {
            self.shard(key).remove(key);
        }
    }

    /// The same for every key.
    pub(crate) fn supersede_all(&self) {
        if self.len() > 0 {
            self.shards.iter().for_each(|shard| lock(shard).clear());
        }
    }

    fn place(&self, key: &K) -> usize {
        usize::try_from(self.hasher.hash_one(key) >> 32).unwrap_or(0) % SHARDS
    }

    fn lock(&self, place: usize) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        #[allow(clippy::indexing_slicing, reason = "a remainder is less than the divisor")]
        lock(&self.shards[place])
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Flight<V>>> {
        self.lock(self.place(key))
    }
}

impl<K: CacheKey, V> Ticket<K, V> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    /// Hears how the load ends.
    pub(crate) fn listen(&self) -> watch::Receiver<Option<Outcome<V>>> {
        listen(&self.outcome)
    }

    /// Ends the load, and gives its outcome back. `keep` puts the outcome where later callers find it, and is called unless the load was
    /// superseded; so what supersedes it comes wholly before or wholly after.
    pub(crate) fn land(mut self, outcome: Outcome<V>, keep: impl FnOnce(&Outcome<V>)) -> Outcome<V>
    where
        V: Clone,
    {
        self.leave(|| keep(&outcome));
        if let Some(listeners) = self.outcome.get() {
            listeners.send_replace(Some(outcome.clone()));
        }
        outcome
    }

    /// Takes the flight off the table; `last` is called before, if it was still there.
    fn leave(&mut self, last: impl FnOnce()) {
        let mut shard = self.flights.lock(self.shard);
        match shard.remove_entry(&self.key) {
            Some((_, flight)) if flight.number == self.number => last(),
            // It was superseded, and another has begun since.
            Some((key, other)) => drop(shard.insert(key, other)),
            None => {}
        }
        self.flying = false;
    }
}

impl<K: CacheKey, V> Drop for Ticket<K, V> {
    fn drop(&mut self) {
        if self.flying {
            self.leave(|| {});
        }
        self.flights.under_way.fetch_sub(1, Ordering::SeqCst);
        if std::thread::panicking()
            && let Some(listeners) = self.outcome.get()
        {
            // No harm after a landing: those who waited have their outcome.
            listeners.send_if_modified(|outcome| {
                let open = outcome.is_none();
                if open {
                    *outcome = Some(Err(self.panicked.clone()));
                }
                open
            });
        }
    }
}

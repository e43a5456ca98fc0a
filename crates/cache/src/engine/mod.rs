//! Engines: what keeps entries and chooses which must go.
//!
//! A [`Cache`](crate::Cache) is the same with each of them, expiry included; they differ in what they keep when there is no
//! room for everything, in speed and in memory. See the crate's documentation for figures.

mod duel;
#[cfg(feature = "lru")]
mod lru;
#[cfg(feature = "moka")]
mod moka;
mod quick;

use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::duel::Duel;
#[cfg(feature = "lru")]
pub use self::lru::Lru;
#[cfg(feature = "moka")]
pub use self::moka::Moka;
pub use self::quick::QuickCache;
use crate::Error;
use crate::tally::{Count, Tally};

/// What a key can be.
pub trait CacheKey: Hash + Eq + Clone + Send + Sync + 'static {}
impl<K: Hash + Eq + Clone + Send + Sync + 'static> CacheKey for K {}

/// How large an engine is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Capacity {
    /// The greatest weight of all entries together.
    pub weight: u64,
    /// About how many entries that will be.
    pub entries: usize,
    /// Counts the entries that had to go to make room.
    pub evicted: Evicted,
}

impl Capacity {
    /// Room for `entries` of weight 1.
    #[must_use]
    pub fn of(entries: usize) -> Self {
        Self { weight: entries as u64, entries, evicted: Evicted::default() }
    }
}

/// Counts the entries that an engine put out to make room.
#[derive(Debug, Clone, Default)]
pub struct Evicted(pub(crate) Arc<Tally>);

impl Evicted {
    /// So many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.totals().of(Count::EvictedSize)
    }

    pub(crate) fn note(&self, entries: u64) {
        self.0.add(Count::EvictedSize, entries);
    }
}

/// Keeps entries, at most as much as it has capacity for.
///
/// Engines know nothing of time. The contract is in `contract`, behind the feature `test-util`. Neither hashing, comparing nor
/// dropping keys and values may call the engine.
pub trait Engine<K: CacheKey, T: Clone + Send + Sync + 'static>: Send + Sync + 'static {
    /// An empty engine.
    fn new(capacity: &Capacity) -> Self;

    /// The entry of a key, which counts as a use of it.
    fn get(&self, key: &K) -> Option<T>;

    /// What `view` makes of the entry of a key, which counts as a use of it. A lock may be held meanwhile.
    #[inline]
    fn read<R>(&self, key: &K, view: impl FnOnce(&T) -> R) -> Option<R> {
        self.get(key).map(|entry| view(&entry))
    }

    /// The entry of a key, which does not count as a use.
    fn peek(&self, key: &K) -> Option<T>;

    /// Puts an entry in, in the place of the key's earlier one. It may be put out again at once: if it is heavier than the
    /// whole capacity (or a shard's part of it), or worth less than what is there.
    ///
    /// `weight` is 1 when entries are counted, or bytes. 0 counts as 1, and what is more than fits into four bytes as so much.
    fn insert(&self, key: K, entry: T, weight: u64);

    /// Takes an entry out.
    fn remove(&self, key: &K) -> Option<T>;

    /// Takes an entry out if `condition` holds for it, in one step.
    fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool;

    /// Takes out everything that is there at the moment of the call.
    fn clear(&self);

    /// How many entries there are, roughly.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all entries weigh, roughly.
    fn weight(&self) -> u64;

    /// All entries, with no lock held between two of them. What comes or goes meanwhile may be left out.
    fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_>;
}

/// An entry beside its weight, for engines that ask it for that.
#[derive(Clone)]
struct Heavy<T> {
    entry: T,
    weight: u32,
}

impl<T> Heavy<T> {
    fn new(entry: T, weight: u64) -> Self {
        Self { entry, weight: in_four_bytes(weight) }
    }
}

/// A weight as engines keep it.
fn in_four_bytes(weight: u64) -> u32 {
    u32::try_from(weight.max(1)).unwrap_or(u32::MAX)
}

/// Which engine a cache runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineKind {
    /// Our own: bears scans and loops, fast, and the smallest.
    #[default]
    Duel,
    /// `quick_cache`: a descendant of CLOCK-Pro, bears scans.
    QuickCache,
    /// moka: W-TinyLFU. Feature `moka`.
    Moka,
    /// lru: least recently used, in shards. Feature `lru`.
    Lru,
}

impl EngineKind {
    /// Its name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duel => "duel",
            Self::QuickCache => "quick_cache",
            Self::Moka => "moka",
            Self::Lru => "lru",
        }
    }

    #[allow(dead_code, reason = "with all engines compiled in there is none to refuse")]
    fn not_compiled(self) -> Error {
        Error::EngineNotCompiled { engine: self.as_str(), feature: self.as_str() }
    }
}

/// An engine by configuration. A branch that always goes the same way costs less than a pointer to it.
pub(crate) enum AnyEngine<K: CacheKey, T: Clone + Send + Sync + 'static> {
    Duel(Duel<K, T>),
    Quick(QuickCache<K, T>),
    #[cfg(feature = "moka")]
    Moka(Moka<K, T>),
    #[cfg(feature = "lru")]
    Lru(Lru<K, T>),
}

macro_rules! each {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Self::Duel($engine) => $call,
            Self::Quick($engine) => $call,
            #[cfg(feature = "moka")]
            Self::Moka($engine) => $call,
            #[cfg(feature = "lru")]
            Self::Lru($engine) => $call,
        }
    };
}

impl<K: CacheKey, T: Clone + Send + Sync + 'static> AnyEngine<K, T> {
    #[allow(clippy::unnecessary_wraps, reason = "with all engines compiled in there is none to refuse")]
    pub(crate) fn open(kind: EngineKind, capacity: &Capacity) -> Result<Self, Error> {
        match kind {
            EngineKind::Duel => Ok(Self::Duel(Duel::new(capacity))),
            EngineKind::QuickCache => Ok(Self::Quick(QuickCache::new(capacity))),
            #[cfg(feature = "moka")]
            EngineKind::Moka => Ok(Self::Moka(Moka::new(capacity))),
            #[cfg(feature = "lru")]
            EngineKind::Lru => Ok(Self::Lru(Lru::new(capacity))),
            #[cfg(not(all(feature = "moka", feature = "lru")))]
            missing => Err(missing.not_compiled()),
        }
    }

    #[inline]
    pub(crate) fn read<R>(&self, key: &K, view: impl FnOnce(&T) -> R) -> Option<R> {
        if let Self::Duel(engine) = self {
            engine.read(key, view)
        } else {
            self.get_apart(key).map(|entry| view(&entry))
        }
    }

    /// Apart, so that what reads from the usual engine has room in the registers.
    #[inline(never)]
    fn get_apart(&self, key: &K) -> Option<T> {
        each!(self, engine => engine.get(key))
    }

    pub(crate) fn peek(&self, key: &K) -> Option<T> {
        each!(self, engine => engine.peek(key))
    }

    #[inline]
    pub(crate) fn insert(&self, key: K, entry: T, weight: u64) {
        if let Self::Duel(engine) = self {
            engine.insert(key, entry, weight);
        } else {
            self.insert_apart(key, entry, weight);
        }
    }

    #[inline(never)]
    fn insert_apart(&self, key: K, entry: T, weight: u64) {
        each!(self, engine => engine.insert(key, entry, weight));
    }

    pub(crate) fn remove(&self, key: &K) -> Option<T> {
        each!(self, engine => engine.remove(key))
    }

    pub(crate) fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool {
        each!(self, engine => engine.remove_if(key, condition))
    }

    pub(crate) fn clear(&self) {
        each!(self, engine => engine.clear());
    }

    pub(crate) fn len(&self) -> usize {
        each!(self, engine => engine.len())
    }

    pub(crate) fn weight(&self) -> u64 {
        each!(self, engine => engine.weight())
    }

    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_> {
        each!(self, engine => engine.iter())
    }
}

//! The cache that people use.

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use buttress_core::{Ctx, Key, Probe, Random, Vitality};

use crate::engine::{AnyEngine, CacheKey};
use crate::entry::{Entry, Extra};
use crate::flights::Flights;
use crate::freshness::{Freshness, judge};
use crate::lifetime::Rules;
use crate::metrics::Metrics;
use crate::stats::Window;
use crate::sync::lock;
use crate::tags::{Seen, Tags};
use crate::tally::{Count, Tally};
use crate::tick::Tick;
use crate::{Builder, CacheConfig, Error, Lifetime, Stats, Terms};

/// What a value can be. Each request gets a clone, so put large ones behind an `Arc`.
pub trait CacheValue: Clone + Send + Sync + 'static {}
impl<V: Clone + Send + Sync + 'static> CacheValue for V {}

/// A cache. Cheap to clone; clones are the same cache.
///
/// See the [crate's documentation](crate) for what it promises.
pub struct Cache<K: CacheKey, V: CacheValue>(pub(crate) Arc<Inner<K, V>>);

impl<K: CacheKey, V: CacheValue> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: CacheKey, V: CacheValue> std::fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// What a value weighs, in bytes, beside what the cache itself needs for an entry.
pub(crate) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> usize + Send + Sync>;

pub(crate) struct Inner<K: CacheKey, V: CacheValue> {
    pub(crate) engine: AnyEngine<K, Entry<V>>,
    pub(crate) ctx: Ctx,
    /// Entries of another one are gone.
    generation: AtomicU16,
    pub(crate) tally: Arc<Tally>,
    pub(crate) rules: Rules,
    pub(crate) random: Random,
    pub(crate) tags: Tags,
    pub(crate) flights: Arc<Flights<K, V>>,
    pub(crate) weigher: Option<Weigher<K, V>>,
    pub(crate) capacity: u64,
    pub(crate) metrics: Metrics,
    window: Mutex<Window>,
    /// Whether the background tasks run.
    pub(crate) tended: AtomicBool,
    pub(crate) config: CacheConfig,
    pub(crate) name: Arc<str>,
}

/// What is there for a key.
pub(crate) enum Look<V> {
    /// A value, or the knowledge that there is none.
    Fresh(Option<V>),
    /// A value that had better be loaded anew in the background.
    Aging(V),
    /// A value for the case that loading fails.
    Fallback(V),
    Missing,
}

impl<K: CacheKey, V: CacheValue> Cache<K, V> {
    /// Begins a cache with this name and the defaults of [`CacheConfig`].
    pub fn builder(name: impl Into<String>) -> Builder<K, V> {
        Builder::new(name.into())
    }

    /// The value of a key, unless it is past its time. One within the cache's `stale` time is served.
    ///
    /// Costs a look into the engine, a read of the coarse clock and a clone of the value.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &K) -> Option<V> {
        let seen = match self.0.glance(key) {
            Ok(value) => return Some(value),
            Err(seen) => seen,
        };
        match self.0.look_closer(key, seen) {
            Look::Fresh(value) => value,
            Look::Aging(value) => Some(value),
            Look::Fallback(_) | Look::Missing => None,
        }
    }

    /// Puts a value in, for as long as the cache says.
    pub fn insert(&self, key: K, value: V) {
        let inner = &*self.0;
        inner.flights.supersede(&key);
        let (now, generation) = (inner.now(), inner.generation());
        if let Some(fresh) = inner.rules.usual(now, &inner.random) {
            inner.put_entry(key, Entry::usual(value, fresh, generation));
        } else {
            let (lifetime, tags) = (Lifetime::default(), Seen::default());
            inner.put(key, Some(value), lifetime, tags, Duration::ZERO, generation);
        }
    }

    /// Puts a value in on terms of its own: a [`Lifetime`], or [`Terms`].
    ///
    /// # Errors
    ///
    /// [`Error::Tags`]: there are too many. The key has no value then.
    pub fn insert_with(&self, key: K, value: V, terms: impl Into<Terms>) -> Result<(), Error> {
        let (inner, terms) = (&*self.0, terms.into());
        inner.flights.supersede(&key);
        match inner.tags.see(&terms.tags) {
            Ok(seen) => {
                inner.put(key, Some(value), terms.lifetime, seen, Duration::ZERO, inner.generation());
                Ok(())
            }
            Err(refused) => {
                inner.engine.remove(&key);
                Err(Error::tags(&inner.name, refused))
            }
        }
    }

    /// Takes a value out, and says what it was if it could still be served. What is being loaded for the key is not kept.
    pub fn remove(&self, key: &K) -> Option<V> {
        let inner = &*self.0;
        inner.flights.supersede(key);
        let entry = inner.engine.remove(key)?;
        inner.tally.note(Count::EvictedRemoved);
        let served = inner.stands(&entry, inner.now()).is_ok_and(|freshness| freshness <= Freshness::Stale);
        entry.into_value().filter(|_| served)
    }

    /// Ends all entries with this tag, in constant time. What is being loaded with it is not kept.
    ///
    /// Their memory comes free as they are met, at the latest by the next sweep.
    pub fn invalidate(&self, tag: &Key) {
        self.0.tags.invalidate(tag);
    }

    /// Takes everything out. What is being loaded is not kept.
    pub fn clear(&self) {
        self.0.renew();
        self.0.engine.clear();
    }

    /// How many entries there are, those past their time that nobody has met included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.engine.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all entries weigh: bytes, or their number.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.0.engine.weight()
    }

    /// How it is configured.
    #[must_use]
    pub fn config(&self) -> &CacheConfig {
        &self.0.config
    }

    /// What it has done so far, and what is in it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = &*self.0;
        Stats {
            loading: inner.flights.len(),
            entries: inner.engine.len(),
            weight: inner.engine.weight(),
            tags: inner.tags.len(),
            ..Stats::counted(&inner.tally.totals())
        }
    }
}

impl<K: CacheKey, V: CacheValue> Inner<K, V> {
    pub(crate) fn new(
        engine: AnyEngine<K, Entry<V>>,
        (weigher, capacity): (Option<Weigher<K, V>>, u64),
        tally: Arc<Tally>,
        config: CacheConfig,
        ctx: &Ctx,
    ) -> Self {
        Self {
            engine,
            ctx: ctx.clone(),
            generation: AtomicU16::new(0),
            tally,
            rules: Rules::new(&config),
            random: Random::seeded(),
            tags: Tags::new(config.tags_per_entry, config.tags),
            flights: Arc::new(Flights::new(config.loads)),
            weigher,
            capacity,
            metrics: Metrics::new(&config.name),
            window: Mutex::new(Window::new(crate::tick::ticks(config.alert_window))),
            tended: AtomicBool::new(false),
            name: config.name.as_str().into(),
            config,
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> Tick {
        Tick::of(self.ctx.clock.coarse_nanos())
    }

    #[inline]
    pub(crate) fn generation(&self) -> u16 {
        self.generation.load(Ordering::Acquire)
    }

    /// Ends all entries and all loads under way, in constant time. Their memory comes free later.
    pub(crate) fn renew(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.flights.supersede_all();
    }

    /// A value about which there is nothing to decide, what nearly every request finds; otherwise what was seen, and when. A value that
    /// was found is counted.
    #[inline]
    fn glance(&self, key: &K) -> Result<V, Option<(Entry<V>, Tick)>> {
        let mut aside = None;
        let seen = &mut aside;
        let plain = self.engine.read(key, move |entry| {
            // Here and not before: the processor reads the clock while the entry comes from memory.
            let (generation, now) = (self.generation(), self.now());
            match entry {
                Entry::Value { value, plain, generation: own, .. }
                    if *own == generation && plain.is_after(now) =>
                {
                    Some(value.clone())
                }
                other => {
                    put_aside(other, now, seen);
                    None
                }
            }
        });
        match plain.flatten() {
            Some(value) => {
                self.tally.note(Count::Hit);
                Ok(value)
            }
            None => Err(aside),
        }
    }

    /// What is there for a key; the request is counted.
    #[inline]
    pub(crate) fn look(&self, key: &K) -> Look<V> {
        match self.glance(key) {
            Ok(value) => Look::Fresh(Some(value)),
            Err(seen) => self.look_closer(key, seen),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_closer(&self, key: &K, seen: Option<(Entry<V>, Tick)>) -> Look<V> {
        let Some((entry, now)) = seen else {
            self.tally.note(Count::Miss);
            return Look::Missing;
        };
        let freshness = match self.stands(&entry, now) {
            Ok(freshness) => freshness,
            Err(reason) => {
                self.put_out(key, now, reason);
                self.tally.note(Count::Miss);
                return Look::Missing;
            }
        };
        if let Some(extra) = entry.extra() {
            extra.use_at(now);
        }
        let (count, look) = match (freshness, entry.into_value()) {
            (Freshness::Fresh | Freshness::Early, None) => (Count::Negative, Look::Fresh(None)),
            (Freshness::Fresh, value) => (Count::Hit, Look::Fresh(value)),
            (Freshness::Early, Some(value)) => (Count::Hit, Look::Aging(value)),
            (Freshness::Stale, Some(value)) => (Count::Stale, Look::Aging(value)),
            (Freshness::Fallback, Some(value)) => (Count::Miss, Look::Fallback(value)),
            _ => (Count::Miss, Look::Missing),
        };
        self.tally.note(count);
        look
    }

    /// How an entry stands, or why it is gone.
    pub(crate) fn stands(&self, entry: &Entry<V>, now: Tick) -> Result<Freshness, Count> {
        let stamp = self.rules.stamp_of(entry);
        if stamp.generation != self.generation() {
            return Err(Count::EvictedInvalidated);
        }
        if let Some(extra) = entry.extra() {
            if !extra.tags.holds() {
                return Err(Count::EvictedInvalidated);
            }
            if extra.is_idle(now) {
                return Err(Count::EvictedIdle);
            }
        }
        let stale_until = self.rules.stale_until(&stamp);
        match judge(&stamp, stale_until, now, || 1.0 - self.random.fraction()) {
            Freshness::Expired => Err(Count::EvictedExpired),
            freshness => Ok(freshness),
        }
    }

    /// Takes an entry out that is gone, unless another has come in its place.
    pub(crate) fn put_out(&self, key: &K, now: Tick, reason: Count) {
        if self.engine.remove_if(key, |entry| self.stands(entry, now).is_err()) {
            self.tally.note(reason);
        }
    }

    /// Puts an entry into the engine. `cost` is what loading it took; `generation` is that in which its load began.
    pub(crate) fn put(
        &self,
        key: K,
        value: Option<V>,
        lifetime: Lifetime,
        tags: Seen,
        cost: Duration,
        generation: u16,
    ) {
        let now = self.now();
        let stamp = self.rules.stamp(lifetime, value.is_none(), cost, (now, generation), &self.random);
        let extra = Extra::of(self.rules.idle(lifetime), tags, now);
        self.put_entry(key, self.rules.entry(value, extra, stamp));
    }

    #[inline(always)] // Two call it, and what it costs to hand an entry on is a part of what it does.
    #[allow(clippy::inline_always)]
    pub(crate) fn put_entry(&self, key: K, entry: Entry<V>) {
        let weight = self.weigh(&key, entry.value());
        self.tally.note(Count::Insert);
        self.engine.insert(key, entry, weight);
    }

    fn weigh(&self, key: &K, value: Option<&V>) -> u64 {
        let Some(weigher) = &self.weigher else { return 1 };
        // The entry and its key in the engine, and the engine's own links and index.
        let own = size_of::<K>() + size_of::<Entry<V>>() + 24;
        let told = value.map_or(0, |value| weigher(key, value));
        own.saturating_add(told) as u64
    }

    /// Tells the metrics what was counted, and remembers it for the probe.
    pub(crate) fn tell(&self) {
        let totals = self.tally.totals();
        self.metrics.counted(&totals);
        self.metrics.level(self.engine.len(), self.engine.weight(), self.capacity, self.flights.len());
        lock(&self.window).note(self.now(), totals);
    }
}

/// Apart, so that what nearly every request does has room in the registers.
#[cold]
#[inline(never)]
fn put_aside<V: CacheValue>(entry: &Entry<V>, now: Tick, aside: &mut Option<(Entry<V>, Tick)>) {
    *aside = Some((entry.clone(), now));
}

impl<K: CacheKey, V: CacheValue> Probe for Cache<K, V> {
    fn name(&self) -> &str {
        &self.0.name
    }

    /// Warns when the hit ratio of the last while is under [`CacheConfig::alert_below`].
    async fn check(&self) -> Vitality {
        let CacheConfig { alert_below, alert_requests, .. } = self.0.config;
        let totals = self.0.tally.totals();
        let (requests, ratio) = lock(&self.0.window).ratio(&totals);
        if requests >= alert_requests && ratio < alert_below {
            let told = format!(
                "the hit ratio is {ratio:.3} of {requests} requests; it should be {alert_below} or more"
            );
            return Vitality::Warn(told);
        }
        Vitality::Pass
    }
}

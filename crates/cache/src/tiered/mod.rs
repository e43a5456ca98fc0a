//! Two tiers: what this node keeps, and what its fleet shares.

mod call;
mod change;
mod changing;
mod config;
mod listen;
mod news;
mod through;
mod trust;

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use buttress_core::{Classify, Clock, Outage, Probe, RejectionReason, Validate, Vitality};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::changing::Changing;
pub use self::config::TierConfig;
use self::news::Changed;
use self::trust::{Standing, Trust};
use crate::cache::{CacheValue, Look};
use crate::codec::Codec;
use crate::engine::CacheKey;
use crate::load::{Asked, Load};
use crate::metrics::TierMetrics;
use crate::sync::lock;
use crate::tier::Tier;
use crate::{Cache, Error, Found, Terms};

/// A cache over a [`Tier`] that all nodes of a fleet share.
///
/// ```
/// use buttress_cache::codec::Codec;
/// use buttress_cache::tier::MemoryTier;
/// use buttress_cache::{Cache, TierConfig, Tiered};
/// use buttress_core::{Ctx, Elapsed};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress_cache::Error> {
/// let ctx = Ctx::default();
/// let tier = MemoryTier::new(ctx.clock.clone()); // or a RedisTier
/// let local = Cache::<u64, String>::builder("users").build(&ctx)?;
/// let users = Tiered::over(local, tier, Codec::json("user", 1), TierConfig::default())?;
///
/// let name = users.get_or_load(&7, || async { Ok::<_, Elapsed>("Ada".to_owned()) }).await?;
/// assert_eq!(name, "Ada");
/// users.remove(&7).await?; // here, in the tier, and on every other node
/// # Ok(())
/// # }
/// ```
///
/// What is not here is looked for in the tier, and then loaded, by one caller of one node: the others of the fleet wait for it.
///
/// # Coherence
///
/// A change that is made through [`set`](Tiered::set), [`remove`](Tiered::remove) or [`invalidate`](Tiered::invalidate) is
/// published to all nodes. A node serves what it keeps while it knows that it has heard everything up to
/// [`staleness`](TierConfig::staleness) ago; and when it does not, only what it read itself no longer ago than that. So once a
/// change has returned, no node serves the value before it for longer than `staleness`, whatever is lost between them. What was
/// being loaded while it was changed is not kept, neither here nor in the tier.
///
/// That is as good as the tier's memory. A Redis whose master is replaced by a replica, or that is started again from its disk, may
/// have forgotten what it answered last, and have the value before. Each node tells its changes of the last ten seconds again when it
/// hears a server anew; until it has done so, that value may be served, and if the node died with the server until that ends. In a
/// cluster, news come to a node from the server that it hears, which has them from the others: while that server is cut off from them
/// and answers all the same, news may be missed.
///
/// # Tags
///
/// Each tag has a mark in the tier, a number that is stored with every value that has the tag. [`invalidate`](Tiered::invalidate)
/// takes the mark away, one command however many values there are: a value counts only with the marks that its tags have now. Reading a
/// value with tags from the tier takes a second round trip, and loading one two more. Marks are kept as long as the values, and
/// one that is lost is a miss.
///
/// # Without the tier
///
/// A tier that does not answer costs a call [`within`](TierConfig::within), until [`failures`](TierConfig::failures) in a row; then
/// it is left alone and tried now and again. Meanwhile values are loaded from where they come from, and kept for `staleness`.
/// Changes, those of a tag too, return an error then. What this node keeps of them is dropped at once; the tier and the other nodes
/// are told when it answers again, and until then who can reach it may be served the value before. A probe warns, and events
/// (`cache.tier_lost`, `cache.tier_back`; for news `cache.news_lost`, `cache.news_heard`) and metrics tell.
///
/// # Limits
///
/// A key is named in the tier by its JSON, of at most 512 bytes; with longer ones the tier is passed over (`HashedKey`, of the
/// feature `hashed-keys`, is short).
pub struct Tiered<K: CacheKey, V: CacheValue> {
    cache: Cache<K, V>,
    shared: Arc<Shared<V>>,
}

impl<K: CacheKey, V: CacheValue> Clone for Tiered<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<K: CacheKey, V: CacheValue> std::fmt::Debug for Tiered<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tiered").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// What a node has to do with the tier.
struct Shared<V> {
    tier: Arc<dyn Tier>,
    codec: Codec<V>,
    config: TierConfig,
    /// Who this node is, in its news.
    node: u64,
    /// Until when entries may be served without asking, by the coarse clock.
    trusted_until: AtomicU64,
    trust: Mutex<Trust>,
    outage: Outage,
    /// Changes that could not be told yet.
    pending: Mutex<HashSet<Changed>>,
    /// Changes that were told lately, and when: a Redis that fails over may have forgotten them.
    told: Mutex<VecDeque<(Instant, Changed)>>,
    changing: Changing,
    metrics: TierMetrics,
}

/// The longest name of a key.
const LONGEST_NAME: usize = 512;

/// The name of a key in the tier.
fn name_of<K: Serialize>(key: &K) -> Option<String> {
    serde_json::to_string(key).ok().filter(|name| name.len() <= LONGEST_NAME)
}

impl<K: CacheKey + Serialize + DeserializeOwned, V: CacheValue> Tiered<K, V> {
    /// Puts `local` over `tier`. What is in `local` already is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime: it hears the news of the others in a task of the cache's `Ctx::shutdown`.
    pub fn over(
        cache: Cache<K, V>,
        tier: impl Tier,
        codec: Codec<V>,
        config: TierConfig,
    ) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let inner = &cache.0;
        let shared = Arc::new(Shared {
            tier: Arc::new(tier),
            codec,
            node: buttress_core::unique_number(),
            trusted_until: AtomicU64::new(0),
            trust: Mutex::new(Trust::new(config.staleness, inner.ctx.clock.now())),
            outage: Outage::new(config.failures, config.open_for),
            pending: Mutex::default(),
            told: Mutex::default(),
            changing: Changing::default(),
            metrics: TierMetrics::new(&inner.name),
            config,
        });
        inner.renew();
        inner.tend();
        listen::begin(&cache.0, &shared);
        Ok(Self { cache, shared })
    }

    /// What this node keeps, for its [`stats`](Cache::stats). What is changed here is not made known to others.
    #[must_use]
    pub fn local(&self) -> &Cache<K, V> {
        &self.cache
    }

    /// The value of a key, from here or from the tier.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Tiered::get_or_load), less those of a loader. A tier that does not answer has nothing.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get(&self, key: &K) -> Result<Option<V>, Error> {
        match self.look(key) {
            Look::Fresh(value) => Ok(value),
            look @ Look::Aging(_) => {
                let (inner, shared, wanted) =
                    (Arc::clone(&self.cache.0), Arc::clone(&self.shared), key.clone());
                let load: Load<V> = Box::new(|_| {
                    Box::pin(async move { Ok(shared.fetch(&inner, &wanted, inner.ctx.clock.now()).await) })
                });
                self.cache.0.find(key, look, Terms::default(), Asked::Kept, load).await
            }
            look @ (Look::Missing | Look::Fallback(_)) => {
                let (inner, shared) = (&self.cache.0, &*self.shared);
                let found = inner.seek(key, |begun| shared.fetch(inner, key, begun)).await;
                match (found, look) {
                    (Err(_), Look::Fallback(value)) => Ok(Some(inner.fall_back(value))),
                    (found, _) => found,
                }
            }
        }
    }

    /// The value of a key, from here, from the tier, or from `load`; which is called once in the fleet, however many nodes ask.
    /// The rest is as with [`Cache::get_or_load`].
    ///
    /// # Errors
    ///
    /// As `Cache::get_or_load`. A tier that does not answer is none.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get_or_load<F, R, E>(&self, key: &K, load: F) -> Result<V, Error>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<V, E>> + Send + 'static,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        match self.look(key) {
            Look::Fresh(Some(value)) => Ok(value),
            look => {
                let load = self.cache.0.boxed(load);
                let found = self.find(key, look, Terms::default(), Asked::Value, load).await?;
                found.ok_or_else(|| Error::rejected(&self.cache.0.name, RejectionReason::ShuttingDown))
            }
        }
    }

    /// [`get_or_load`](Tiered::get_or_load) where there may be no value, as [`Cache::get_or_find`].
    ///
    /// # Errors
    ///
    /// As `Cache::get_or_find`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get_or_find<F, R, T, E>(
        &self,
        key: &K,
        terms: impl Into<Terms>,
        load: F,
    ) -> Result<Option<V>, Error>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Found<V>>,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        match self.look(key) {
            Look::Fresh(value) => Ok(value),
            look => {
                let load = self.cache.0.boxed(load);
                self.find(key, look, terms.into(), Asked::Anything, load).await
            }
        }
    }

    async fn find(
        &self,
        key: &K,
        look: Look<V>,
        terms: Terms,
        asked: Asked,
        load: Load<V>,
    ) -> Result<Option<V>, Error> {
        let (inner, shared, wanted) = (Arc::clone(&self.cache.0), Arc::clone(&self.shared), key.clone());
        let through = through::Wish { lifetime: terms.lifetime, tags: terms.tags.clone(), asked };
        let load: Load<V> = Box::new(move |why| {
            Box::pin(async move { shared.through(&inner, &wanted, through, why, load).await })
        });
        self.cache.0.find(key, look, terms, asked, load).await
    }

    /// What is here, if it may be believed.
    #[inline]
    fn look(&self, key: &K) -> Look<V> {
        let inner = &self.cache.0;
        if inner.ctx.clock.coarse_nanos() >= self.shared.trusted_until.load(Ordering::Acquire) {
            self.shared.stand(inner);
        }
        inner.look(key)
    }
}

impl<V: CacheValue> Shared<V> {
    /// Drops what is here, if it may not be believed any more.
    #[cold]
    fn stand<K: CacheKey>(&self, inner: &crate::cache::Inner<K, V>) {
        let mut trust = lock(&self.trust);
        // Under the lock, so that nobody who comes after finds what was to be dropped.
        match trust.stand(inner.ctx.clock.now()) {
            Standing::Trusted | Standing::Lapsed => {}
            Standing::Part => inner.flights.supersede_all(),
            Standing::Lapse => {
                inner.renew();
                self.believe(&trust, &*inner.ctx.clock);
                self.metrics.lapsed();
            }
        }
    }

    /// Tells the fast path until when it need not ask.
    fn believe(&self, trust: &Trust, clock: &dyn Clock) {
        let until = trust.until().map_or(0, |until| {
            let left = until.saturating_duration_since(clock.now());
            clock.coarse_nanos().saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX))
        });
        self.trusted_until.store(until, Ordering::Release);
    }
}

impl<K: CacheKey + Serialize + DeserializeOwned, V: CacheValue> Probe for Tiered<K, V> {
    fn name(&self) -> &str {
        &self.cache.0.name
    }

    /// Warns when the tier does not answer, or its news are not heard; else as the [`Cache`].
    async fn check(&self) -> Vitality {
        if self.shared.outage.is_on() {
            return Vitality::Warn(
                "the second tier does not answer; values are loaded from where they come from".to_owned(),
            );
        }
        let now = self.cache.0.ctx.clock.now();
        if lock(&self.shared.trust).is_trusted(now) {
            return Probe::check(&self.cache).await;
        }
        Vitality::Warn("news of other nodes are not heard; entries are kept for moments only".to_owned())
    }
}

//! Making a cache.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{ByteSize, Ctx, Validate, Violations};

use crate::cache::{CacheValue, Inner, Weigher};
use crate::engine::{AnyEngine, CacheKey, Capacity, EngineKind, Evicted};
use crate::tally::Tally;
use crate::{Cache, CacheConfig, Error};

/// Makes a cache: the most used settings as methods, all others by [`config`](Builder::config).
pub struct Builder<K: CacheKey, V: CacheValue> {
    config: CacheConfig,
    weigher: Option<Weigher<K, V>>,
}

impl<K: CacheKey, V: CacheValue> std::fmt::Debug for Builder<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<K: CacheKey, V: CacheValue> Builder<K, V> {
    pub(crate) fn new(name: String) -> Self {
        Self { config: CacheConfig { name, ..CacheConfig::default() }, weigher: None }
    }

    /// Takes a whole configuration, its name included.
    #[must_use]
    pub fn config(mut self, config: CacheConfig) -> Self {
        self.config = config;
        self
    }

    /// Room for so many entries.
    #[must_use]
    pub fn capacity(mut self, entries: usize) -> Self {
        self.config.capacity = entries;
        self
    }

    /// Room for so many bytes, as `weigher` counts them: what a key and its value own outside of themselves. What the cache
    /// needs for the entry itself is added. Called once for each entry.
    ///
    /// [`capacity`](Builder::capacity) says then about how many entries are expected.
    #[must_use]
    pub fn bytes(
        mut self,
        room: ByteSize,
        weigher: impl Fn(&K, &V) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.config.bytes = Some(room);
        self.weigher(weigher)
    }

    /// How [`CacheConfig::bytes`] counts.
    #[must_use]
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Self {
        self.weigher = Some(Box::new(weigher));
        self
    }

    /// How long an entry is fresh.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.config.ttl = Some(ttl);
        self
    }

    /// An entry that nobody asked for so long is gone.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.config.idle = Some(idle);
        self
    }

    /// For so long after its time a value is served while it is loaded anew in the background.
    #[must_use]
    pub fn stale(mut self, stale: Duration) -> Self {
        self.config.stale = stale;
        self
    }

    /// For so long after its time a value is served when loading it anew failed.
    #[must_use]
    pub fn fail_safe(mut self, fail_safe: Duration) -> Self {
        self.config.fail_safe = fail_safe;
        self
    }

    /// What keeps the entries.
    #[must_use]
    pub fn engine(mut self, engine: EngineKind) -> Self {
        self.config.engine = engine;
        self
    }

    /// The cache. Its background tasks are those of `ctx.shutdown`; outside a tokio runtime they begin with the first load.
    ///
    /// # Errors
    ///
    /// [`Error::Config`], [`Error::EngineNotCompiled`].
    pub fn build(self, ctx: &Ctx) -> Result<Cache<K, V>, Error> {
        let Self { config, weigher } = self;
        config.validate().map_err(Error::Config)?;
        let mut wrong = Violations::new();
        let shown = config.bytes.map_or_else(|| "none".to_owned(), |bytes| bytes.to_string());
        let remedy =
            "room in bytes and a weigher go together: `Builder::bytes`, or `Builder::weigher` and this field";
        wrong.require(config.bytes.is_some() == weigher.is_some(), "bytes", shown, remedy);
        wrong.into_result().map_err(Error::Config)?;
        let tally = Arc::new(Tally::default());
        let capacity = Capacity {
            weight: config.bytes.map_or(config.capacity as u64, ByteSize::bytes),
            entries: config.capacity,
            evicted: Evicted(Arc::clone(&tally)),
        };
        let engine = AnyEngine::open(config.engine, &capacity)?;
        let cache = Cache(Arc::new(Inner::new(engine, (weigher, capacity.weight), tally, config, ctx)));
        cache.0.tend();
        Ok(cache)
    }
}

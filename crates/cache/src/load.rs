//! Getting a value from where it comes from, once for all who ask.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use buttress_core::{BoxFuture, Classify, RejectionReason, timeout};

use crate::cache::{CacheValue, Inner, Look};
use crate::engine::CacheKey;
use crate::flights::{Joined, Outcome, Ticket};
use crate::freshness::Freshness;
use crate::tally::Count;
use crate::{Cache, Error, Found, Lifetime, Terms};

impl<K: CacheKey, V: CacheValue> Cache<K, V> {
    /// The value of a key; if there is none, `load` brings it.
    ///
    /// However many ask for a key at once, one of them loads. The load is a task of [`Ctx::shutdown`](buttress_core::Ctx): it goes
    /// on, and its value is kept, when those who wait for it are dropped. It has
    /// [`load_within`](crate::CacheConfig::load_within).
    ///
    /// A value in its `stale` time, or chosen to be loaded early, is returned at once and `load` runs in the background.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] with what `load` said, the same for all who waited; [`Error::TimedOut`]; [`Error::Panicked`];
    /// [`Error::Rejected`]. A value in its `fail_safe` time is returned instead of any of them.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn get_or_load<F, R, E>(&self, key: &K, load: F) -> impl Future<Output = Result<V, Error>> + Send
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<V, E>> + Send + 'static,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        self.get_or_load_with(key, Terms::default(), load)
    }

    /// [`get_or_load`](Cache::get_or_load), with a [`Lifetime`] or [`Terms`] for what is loaded.
    ///
    /// # Errors
    ///
    /// As `get_or_load`, and [`Error::Tags`] before anything is loaded.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn get_or_load_with<F, R, E>(
        &self,
        key: &K,
        terms: impl Into<Terms>,
        load: F,
    ) -> Result<V, Error>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<V, E>> + Send + 'static,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        // A request that is served costs no more than a `get`.
        match self.0.look(key) {
            Look::Fresh(Some(value)) => Ok(value),
            look => {
                let load = self.0.boxed(load);
                // Asked for a value, a load answers with a value.
                let found = self.0.find(key, look, terms.into(), Asked::Value, load).await?;
                found.ok_or_else(|| Error::rejected(&self.0.name, RejectionReason::ShuttingDown))
            }
        }
    }

    /// The value of a key, or the knowledge that there is none; if neither is known, `load` finds out.
    ///
    /// `load` returns an `Option`, or a [`Found`]. That there is none is remembered for the cache's `negative` time. The rest is as with
    /// [`get_or_load`](Cache::get_or_load).
    ///
    /// # Errors
    ///
    /// As `get_or_load_with`.
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
        match self.0.look(key) {
            Look::Fresh(value) => Ok(value),
            look => {
                let load = self.0.boxed(load);
                self.0.find(key, look, terms.into(), Asked::Anything, load).await
            }
        }
    }
}

/// A load, told why it is begun. What a caller's own load carries may be large, and is moved to the heap once; what is done with it is
/// compiled once for a cache.
pub(crate) type Load<V> = Box<dyn FnOnce(Why) -> BoxFuture<'static, Result<Found<V>, Error>> + Send>;

/// What the caller can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Value,
    Anything,
    /// As anything, but nothing is loaded for it: that there is nothing says nothing to others.
    #[cfg(feature = "codec")]
    Kept,
}

/// Why a load is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// There is nothing to serve.
    Missing,
    /// What there is can be served, and is to be replaced.
    Refresh,
}

impl Asked {
    pub(crate) fn is_answered_by<V>(self, value: Option<&V>) -> bool {
        self != Self::Value || value.is_some()
    }

    /// Whether what is asked for is loaded, if it is nowhere.
    fn loads(self) -> bool {
        matches!(self, Self::Value | Self::Anything)
    }
}

impl<K: CacheKey, V: CacheValue> Inner<K, V> {
    /// A caller's own load.
    pub(crate) fn boxed<F, R, T, E>(&self, load: F) -> Load<V>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Found<V>>,
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        let name = Arc::clone(&self.name);
        Box::new(move |_| {
            Box::pin(async move { load().await.map(Into::into).map_err(|error| Error::load(&name, error)) })
        })
    }

    /// What a key has, by way of a load.
    pub(crate) async fn find(
        self: &Arc<Self>,
        key: &K,
        look: Look<V>,
        terms: Terms,
        asked: Asked,
        load: Load<V>,
    ) -> Outcome<V> {
        self.tend();
        let fallback = match look {
            Look::Fresh(value) if asked.is_answered_by(value.as_ref()) => return Ok(value),
            Look::Aging(value) => {
                self.refresh(key, &terms, asked, load);
                return Ok(Some(value));
            }
            Look::Fallback(value) => Some(value),
            Look::Fresh(_) | Look::Missing => None,
        };
        let outcome = self.fly(key, &terms, asked, load).await;
        match (outcome, fallback) {
            (Err(_), Some(value)) => Ok(Some(self.fall_back(value))),
            (outcome, _) => outcome,
        }
    }

    /// What was there all the same.
    pub(crate) fn fall_back(&self, value: V) -> V {
        self.tally.note(Count::Stale);
        value
    }

    /// Loads, or waits for the load of another.
    async fn fly(self: &Arc<Self>, key: &K, terms: &Terms, asked: Asked, load: Load<V>) -> Outcome<V> {
        let mut load = Some(load);
        loop {
            let (mut outcome, loads) = match self.join(key, terms, asked)? {
                Joined::Lead(ticket) => {
                    if let Some(found) = self.landed(key, asked) {
                        return Ok(found.value);
                    }
                    let Some(load) = load.take() else {
                        // The runtime dropped the load: it is being shut down.
                        return Err(Error::rejected(&self.name, RejectionReason::ShuttingDown));
                    };
                    let outcome = ticket.listen();
                    self.begin(ticket, (terms.lifetime, Why::Missing), load);
                    (outcome, true)
                }
                Joined::Follow { outcome, loads } => {
                    self.tally.note(Count::Joined);
                    (outcome, loads)
                }
                Joined::Full => return Err(self.refused()),
            };
            // Whoever had the ticket gave it back when this fails, and another takes the lead.
            if let Ok(outcome) = outcome.wait_for(Option::is_some).await
                && let Some(outcome) = &*outcome
                && !matches!(outcome, Ok(None) if asked == Asked::Value || (asked.loads() && !loads))
            {
                return outcome.clone();
            }
        }
    }

    /// What a key has elsewhere, and what there is here if it has nothing. That is a look, and no load that has to go on without its
    /// caller: the next who waits looks again. `fetch` is told when it was asked, and keeps its own limit.
    #[cfg(feature = "codec")]
    pub(crate) async fn seek<R: Future<Output = Found<V>>>(
        self: &Arc<Self>,
        key: &K,
        fetch: impl Fn(Instant) -> R,
    ) -> Outcome<V> {
        self.tend();
        loop {
            match self.join(key, &Terms::default(), Asked::Kept)? {
                Joined::Lead(ticket) => {
                    if let Some(found) = self.landed(key, Asked::Kept) {
                        return Ok(found.value);
                    }
                    if self.ctx.shutdown.is_stopping() {
                        return Err(Error::rejected(&self.name, RejectionReason::ShuttingDown));
                    }
                    let (begun, generation) = (self.ctx.clock.now(), self.generation());
                    let found = fetch(begun).await;
                    return self.land(ticket, Lifetime::default(), (begun, generation), Ok(found));
                }
                Joined::Follow { mut outcome, .. } => {
                    self.tally.note(Count::Joined);
                    if let Ok(outcome) = outcome.wait_for(Option::is_some).await
                        && let Some(outcome) = &*outcome
                    {
                        return outcome.clone();
                    }
                }
                Joined::Full => return Err(self.refused()),
            }
        }
    }

    fn refused(&self) -> Error {
        self.tally.note(Count::LoadRefused);
        Error::rejected(&self.name, RejectionReason::Full)
    }

    fn join(&self, key: &K, terms: &Terms, asked: Asked) -> Result<Joined<K, V>, Error> {
        let seen = self.tags.see(&terms.tags).map_err(|refused| Error::tags(&self.name, refused))?;
        Ok(self.flights.join(key, seen, asked.loads(), || Error::Panicked { cache: Arc::clone(&self.name) }))
    }

    /// What another load brought between a caller's look and its ticket.
    fn landed(&self, key: &K, asked: Asked) -> Option<Found<V>> {
        let entry = self.engine.peek(key)?;
        let fresh = matches!(self.stands(&entry, self.now()), Ok(Freshness::Fresh | Freshness::Early));
        (fresh && asked.is_answered_by(entry.value())).then(|| entry.into_value().into())
    }

    /// Loads in the background what can still be served, unless that is being done.
    fn refresh(self: &Arc<Self>, key: &K, terms: &Terms, asked: Asked, load: Load<V>) {
        // Before the tags are looked at: with many callers and one load this is where most of them leave.
        if self.flights.is_under_way(key) || self.ctx.shutdown.is_draining() {
            return;
        }
        match self.join(key, terms, asked) {
            Ok(Joined::Lead(ticket)) => {
                let now = self.now();
                let there = self.engine.peek(key);
                if !there.is_some_and(|entry| self.rules.stamp_of(&entry).is_plainly_fresh(now)) {
                    self.tally.note(Count::Refresh);
                    self.begin(ticket, (terms.lifetime, Why::Refresh), load);
                }
            }
            Ok(Joined::Full) => drop(self.refused()),
            Ok(Joined::Follow { .. }) | Err(_) => {}
        }
    }

    fn begin(self: &Arc<Self>, ticket: Ticket<K, V>, terms: (Lifetime, Why), load: Load<V>) {
        let inner = Arc::clone(self);
        self.ctx.shutdown.spawn(async move { inner.load(ticket, terms, load).await });
    }

    /// One load, from its beginning to its end. A panic, or the end of the runtime, drops the ticket.
    async fn load(&self, ticket: Ticket<K, V>, (lifetime, why): (Lifetime, Why), load: Load<V>) {
        let (clock, within, generation) = (&*self.ctx.clock, self.config.load_within, self.generation());
        let begun = clock.now();
        let outcome = tokio::select! {
            biased;
            done = timeout(clock, within, async { load(why).await }) => match done {
                Ok(done) => done,
                Err(_) => Err(Error::TimedOut { cache: Arc::clone(&self.name), within }),
            },
            () = self.ctx.shutdown.stopped() => Err(Error::rejected(&self.name, RejectionReason::ShuttingDown)),
        };
        drop(self.land(ticket, lifetime, (begun, generation), outcome));
    }

    /// Keeps what a load brought, and tells those who wait for it.
    fn land(
        &self,
        ticket: Ticket<K, V>,
        lifetime: Lifetime,
        (begun, generation): (Instant, u16),
        outcome: Result<Found<V>, Error>,
    ) -> Outcome<V> {
        let cost = self.ctx.clock.now().saturating_duration_since(begun);
        self.metrics.loaded(cost);
        let (outcome, told, keep, cost, tags) = match outcome {
            Ok(Found { value, lifetime, keep, cost: told, tags }) => {
                (Ok(value), lifetime, keep, told.unwrap_or(cost), tags)
            }
            Err(error) => (Err(error), None, true, cost, None),
        };
        self.tally.note(match &outcome {
            Ok(Some(_)) => Count::Loaded,
            Ok(None) => Count::LoadedNothing,
            Err(_) => Count::LoadFailed,
        });
        let (key, tags) = (ticket.key().clone(), tags.unwrap_or_else(|| ticket.tags.clone()));
        ticket.land(outcome, |outcome| match outcome {
            Ok(value) if keep => {
                self.put(key, value.clone(), told.unwrap_or(lifetime), tags, cost, generation);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(target: "buttress::cache", cache = %self.name, %error, "a load failed");
                self.put_off(key);
            }
        })
    }

    /// After a load that failed: what can still be served counts as fresh for a while.
    fn put_off(&self, key: K) {
        let now = self.now();
        let Some(entry) = self.engine.peek(&key) else { return };
        if matches!(self.stands(&entry, now), Ok(Freshness::Stale | Freshness::Fallback)) {
            let stamp = self.rules.put_off(self.rules.stamp_of(&entry), now);
            let extra = entry.extra().cloned();
            self.put_entry(key, self.rules.entry(entry.into_value(), extra, stamp));
        }
    }
}

//! Calls to the tier: each with a limit, and none in an outage; and the changes that could not be told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use buttress_core::{Classify, Elapsed, ErrorClass, Event, Key, Outcome, chain};
use serde::de::DeserializeOwned;

use super::news::{self, Changed};
use super::{Shared, listen};
use crate::Error;
use crate::cache::{CacheValue, Inner};
use crate::engine::CacheKey;
use crate::metrics::TierOutcome;
use crate::sync::lock;
use crate::tier::TierError;

/// Changes told so long before a server was last known to be well are taken to be known to whoever replaces it: many times what a replica
/// lags behind, or what a disk may lack of an append-only file.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Why the tier had no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error("it failed lately, and is left alone for a moment")]
    LeftAlone,
    #[error(transparent)]
    Late(Elapsed),
    #[error(transparent)]
    Failed(TierError),
}

impl Classify for Unanswered {
    fn class(&self) -> ErrorClass {
        match self {
            Self::LeftAlone => ErrorClass::Unavailable,
            Self::Late(elapsed) => elapsed.class(),
            Self::Failed(error) => error.class(),
        }
    }
}

impl<V: CacheValue> Shared<V> {
    /// Calls the tier, for as long as a call may take.
    pub(super) async fn call<K: CacheKey, T>(
        &self,
        inner: &Inner<K, V>,
        work: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, Unanswered> {
        self.call_from(inner, inner.ctx.clock.now(), work).await
    }

    /// The same, for a call whose time began at `begun`, which the caller has read already.
    pub(super) async fn call_from<K: CacheKey, T>(
        &self,
        inner: &Inner<K, V>,
        begun: Instant,
        work: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, Unanswered> {
        let clock = &*inner.ctx.clock;
        let now = || Duration::from_nanos(clock.coarse_nanos());
        if !self.outage.admits(now()) {
            self.metrics.called(TierOutcome::Skipped);
            return Err(Unanswered::LeftAlone);
        }
        let within = self.config.within;
        let answer = tokio::select! {
            // An answer that is there in time is one.
            biased;
            answer = work => answer.map_err(Unanswered::Failed),
            () = clock.sleep_until(begun + within) => Err(Unanswered::Late(Elapsed(within))),
        };
        match &answer {
            Ok(_) => {
                if self.outage.succeeded() {
                    self.metrics.up(true);
                    tracing::info!(target: "buttress::cache", cache = %inner.name, "the second tier answers again");
                    emit(inner, "cache.tier_back", Outcome::Success, None);
                }
            }
            Err(error) => {
                self.metrics.called(TierOutcome::Failed);
                if self.outage.failed(now()) {
                    let told = chain(error);
                    self.metrics.up(false);
                    tracing::warn!(target: "buttress::cache", cache = %inner.name, error = told, "the second tier does not answer");
                    emit(inner, "cache.tier_lost", Outcome::Failure, Some(told));
                }
            }
        }
        answer
    }

    /// Puts a value into the tier and tells all nodes.
    pub(super) async fn publish_value<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        pending: Pending<'_, V>,
        (name, bytes, keep): (&str, &[u8], Option<Duration>),
    ) -> Result<(), Error> {
        let told = news::write(self.node, &Changed::Name(name.to_owned()));
        let written = self.call(inner, self.tier.write(name, bytes, keep, &told)).await;
        self.settle(inner, pending, written)
    }

    /// Tags with the marks that they have now, which are kept for so long at least.
    pub(super) async fn mark<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        tags: &[Key],
        keep: Option<Duration>,
    ) -> Result<Vec<(Key, u64)>, Unanswered> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let marks = self.call(inner, self.tier.mark(tags, keep)).await?;
        Ok(tags.iter().cloned().zip(marks).collect())
    }

    /// Takes out of the tier what changed, and tells all nodes.
    pub(super) async fn change<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        changed: Changed,
    ) -> Result<(), Error> {
        let pending = Pending::of(self, changed.clone());
        let done = self.tell(inner, &changed).await;
        self.settle(inner, pending, done)
    }

    async fn tell<K: CacheKey>(&self, inner: &Inner<K, V>, changed: &Changed) -> Result<(), Unanswered> {
        let told = news::write(self.node, changed);
        match changed {
            Changed::Name(name) => self.call(inner, self.tier.remove(name, &told)).await,
            Changed::Tag(tag) => self.call(inner, self.tier.unmark(tag, &told)).await,
        }
    }

    pub(super) fn settle<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        mut pending: Pending<'_, V>,
        done: Result<(), Unanswered>,
    ) -> Result<(), Error> {
        match done {
            Ok(()) => {
                if let Some((_, changed)) = pending.0.take() {
                    let mut told = lock(&self.told);
                    if told.len() >= self.config.pending {
                        told.pop_front();
                    }
                    told.push_back((inner.ctx.clock.now(), changed));
                }
                self.metrics.called(TierOutcome::Done);
                Ok(())
            }
            Err(error) => {
                let class = error.class();
                Err(Error::tier(&inner.name, error, class))
            }
        }
    }

    /// Tells what could not be told before. What fails again, or takes too long, waits for the next time.
    pub(super) async fn catch_up<K: CacheKey + DeserializeOwned>(&self, inner: &Inner<K, V>) {
        let until = inner.ctx.clock.now() + self.config.staleness / 4;
        while inner.ctx.clock.now() < until {
            let Some(changed) = lock(&self.pending).iter().next().cloned() else { return };
            if self.tell(inner, &changed).await.is_err() {
                return;
            }
            // This node, too, may have read it of the tier meanwhile.
            listen::apply(inner, &changed);
            lock(&self.pending).remove(&changed);
        }
    }

    /// What was told lately is to be told once more: the server that is heard now may be one that never knew of it.
    pub(super) fn tell_again(&self) {
        let told = lock(&self.told);
        let mut pending = lock(&self.pending);
        let room = self.config.pending.saturating_sub(pending.len());
        pending.extend(told.iter().rev().take(room).map(|(_, changed)| changed.clone()));
    }

    /// What was told long before `heard`, when the server was well, need not be told again.
    pub(super) fn forget_told(&self, heard: Instant) {
        let mut told = lock(&self.told);
        while told.front().is_some_and(|(at, _)| *at + TOLD_AGAIN < heard) {
            told.pop_front();
        }
    }
}

pub(super) fn emit<K: CacheKey, V: CacheValue>(
    inner: &Inner<K, V>,
    action: &'static str,
    outcome: Outcome,
    detail: Option<String>,
) {
    let event = Event::new(inner.ctx.clock.wall(), action, outcome).target(&*inner.name);
    inner.ctx.events.emit(match detail {
        Some(detail) => event.detail(detail),
        None => event,
    });
}

/// A change on its way. Unless it arrives it is told later; also if whoever made it is dropped meanwhile.
pub(super) struct Pending<'a, V>(Option<(&'a Shared<V>, Changed)>);

impl<'a, V> Pending<'a, V> {
    pub(super) fn of(shared: &'a Shared<V>, changed: Changed) -> Self {
        Self(Some((shared, changed)))
    }
}

impl<V> Drop for Pending<'_, V> {
    fn drop(&mut self) {
        if let Some((shared, changed)) = self.0.take() {
            let mut pending = lock(&shared.pending);
            if pending.len() < shared.config.pending {
                pending.insert(changed);
            }
        }
    }
}

/// Gives a lease back when whoever loads under it is dropped, fails or panics.
pub(super) struct Leased<K: CacheKey, V: CacheValue> {
    pub(super) shared: Arc<Shared<V>>,
    pub(super) inner: Arc<Inner<K, V>>,
    pub(super) name: String,
    pub(super) token: u64,
    pub(super) held: bool,
}

impl<K: CacheKey, V: CacheValue> Drop for Leased<K, V> {
    fn drop(&mut self) {
        // Without a runtime it ends with its time.
        if self.held && tokio::runtime::Handle::try_current().is_ok() {
            let (shared, inner) = (Arc::clone(&self.shared), Arc::clone(&self.inner));
            let (name, token) = (std::mem::take(&mut self.name), self.token);
            self.inner.ctx.shutdown.spawn(async move {
                // So does one that cannot be given back.
                let _ = shared.call(&inner, shared.tier.release(&name, token)).await;
            });
        }
    }
}

//! The way to a value: the tier, a lease, and only then where it comes from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::call::{Leased, Unanswered};
use super::{Shared, locked, name_of};
use crate::cache::{CacheValue, Inner};
use crate::codec::Record;
use crate::engine::CacheKey;
use crate::load::{Asked, Why};
use crate::metrics::TierOutcome;
use crate::tier::{Lease, Stored};
use crate::{Found, Lifetime};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) lifetime: Lifetime,
    /// Without the tier.
    pub(super) alone: bool,
    pub(super) asked: Asked,
}

/// The first wait for another node's load; each further one is half as long again, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LAST_WAIT: Duration = Duration::from_millis(100);

/// What a look into the tier found.
enum Seen<V> {
    Value {
        found: Found<V>,
        young: bool,
    },
    Nothing,
    /// Bytes that are no value: they are written over.
    Unreadable,
}

impl<V> Record<V> {
    /// For how long the tier keeps it.
    pub(super) fn keep(&self) -> Option<Duration> {
        self.fresh.map(|fresh| fresh + self.kept)
    }

    /// The lifetime that this record was given, for the node that wrote it.
    pub(super) fn lifetime(&self, asked: Lifetime) -> Lifetime {
        let span = self.fresh.map_or_else(Lifetime::unlimited, |fresh| Lifetime::of(fresh).exactly());
        Lifetime { ttl: span.ttl, exact: true, ..asked }
    }
}

/// A record of a value as it is written now.
pub(super) fn record<K: CacheKey, V: CacheValue>(
    inner: &Inner<K, V>,
    value: Option<V>,
    lifetime: Lifetime,
) -> Record<V> {
    let nothing = value.is_none();
    Record {
        value,
        written: inner.ctx.clock.wall(),
        fresh: inner.rules.span(lifetime, nothing, &inner.random),
        kept: inner.rules.kept(lifetime, nothing),
        cost: Duration::ZERO,
    }
}

impl<V: CacheValue> Shared<V> {
    /// The lifetime of what was read at `read`, as far as news can be relied on now.
    pub(super) fn limited<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        lifetime: Lifetime,
        read: Instant,
    ) -> Lifetime {
        let Some(most) = locked(&self.trust).at_most(read, inner.ctx.clock.now()) else { return lifetime };
        lifetime.at_most(most)
    }

    fn limit<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        found: Found<V>,
        asked: Lifetime,
        read: Instant,
    ) -> Found<V> {
        let lifetime = self.limited(inner, found.lifetime.unwrap_or(asked), read);
        found.lives(lifetime)
    }

    /// What the tier has, without a load.
    pub(super) async fn fetch<K: CacheKey + Serialize>(&self, inner: &Inner<K, V>, key: &K) -> Found<V> {
        let read = inner.ctx.clock.now();
        if let Some(name) = name_of(key)
            && let Ok(Seen::Value { found, .. }) = self.look_up(inner, &name).await
        {
            return self.limit(inner, found, Lifetime::default(), read);
        }
        Found::nothing().not_kept()
    }

    /// A value from the tier or, once for all nodes, from `load`.
    pub(super) async fn through<K, F, R, E>(
        self: Arc<Self>,
        inner: &Arc<Inner<K, V>>,
        key: &K,
        wish: Wish,
        why: Why,
        load: F,
    ) -> Result<Found<V>, E>
    where
        K: CacheKey + Serialize,
        F: FnOnce() -> R,
        R: Future<Output = Result<Found<V>, E>>,
    {
        let name = name_of(key).filter(|_| !wish.alone);
        let leased = match name {
            Some(name) => match self.reserve(inner, name, wish.asked, why).await {
                Ok(Reserved::Found(found, read)) => return Ok(self.limit(inner, found, wish.lifetime, read)),
                Ok(Reserved::Leased(leased)) => Some(leased),
                // Without the tier there is still the source.
                Err(_) => None,
            },
            None => None,
        };
        let Some(leased) = leased else {
            let read = inner.ctx.clock.now();
            let found = load().await?;
            return Ok(self.limit(inner, found, wish.lifetime, read));
        };
        self.load_under(inner, leased, wish.lifetime, load).await
    }

    /// Loads, keeps the lease meanwhile, and puts what was found into the tier unless it was changed meanwhile.
    async fn load_under<K, F, R, E>(
        &self,
        inner: &Arc<Inner<K, V>>,
        mut leased: Leased<K, V>,
        lifetime: Lifetime,
        load: F,
    ) -> Result<Found<V>, E>
    where
        K: CacheKey,
        F: FnOnce() -> R,
        R: Future<Output = Result<Found<V>, E>>,
    {
        let (begun, clock) = (inner.ctx.clock.now(), &*inner.ctx.clock);
        let (length, token) = (self.config.lease, leased.token);
        let lost = async {
            loop {
                clock.sleep(length / 3).await;
                let extended = self.call(inner, self.tier.extend(&leased.name, token, length)).await;
                if matches!(extended, Ok(false)) {
                    break;
                }
            }
        };
        let mut loading = std::pin::pin!(load());
        let found = tokio::select! {
            biased;
            found = &mut loading => found,
            // It goes on for those who wait for it; whether it is kept is decided below.
            () = lost => loading.await,
        }?;
        let lifetime = found.lifetime.unwrap_or(lifetime);
        let record = Record {
            cost: clock.now().saturating_duration_since(begun),
            ..record(inner, found.value.clone(), lifetime)
        };
        if !found.keep {
            return Ok(found);
        }
        let Ok(bytes) = self.codec.encode(leased.name.as_bytes(), &record) else {
            // Too large for the tier, perhaps; not for this node.
            return Ok(self.limit(inner, found, lifetime, begun));
        };
        let filled = self.call(inner, self.tier.fill(&leased.name, token, &bytes, record.keep())).await;
        leased.held = filled.is_err();
        let found = found.lives(record.lifetime(lifetime));
        match filled {
            Ok(false) => Ok(found.not_kept()),
            Ok(true) => {
                self.metrics.called(TierOutcome::Done);
                Ok(self.limit(inner, found, lifetime, begun))
            }
            Err(_) => Ok(self.limit(inner, found, lifetime, begun)),
        }
    }

    /// The tier's value, or the right to load: whichever comes first.
    async fn reserve<K: CacheKey>(
        self: &Arc<Self>,
        inner: &Arc<Inner<K, V>>,
        name: String,
        asked: Asked,
        why: Why,
    ) -> Result<Reserved<K, V>, Unanswered> {
        let (clock, token) = (&*inner.ctx.clock, buttress_core::unique_number());
        let mut wait = FIRST_WAIT;
        let mut anew = false;
        loop {
            let read = clock.now();
            let old = match self.look_up(inner, &name).await? {
                Seen::Value { found, young } if asked.is_answered_by(found.value.as_ref()) => {
                    // Who refreshes wants more than what there was.
                    if why == Why::Missing || young {
                        return Ok(Reserved::Found(found, read));
                    }
                    Some(found)
                }
                Seen::Nothing => None,
                Seen::Value { .. } | Seen::Unreadable => {
                    anew = true;
                    None
                }
            };
            loop {
                let length = self.config.lease;
                let anew = anew || old.is_some();
                match self.call(inner, self.tier.lease(&name, token, length, anew)).await? {
                    Lease::Given => {
                        let (shared, inner) = (Arc::clone(self), Arc::clone(inner));
                        return Ok(Reserved::Leased(Leased { shared, inner, name, token, held: true }));
                    }
                    Lease::Needless => break,
                    Lease::Taken => {}
                }
                if let Some(old) = old {
                    // Somebody else brings the new one.
                    return Ok(Reserved::Found(old, read));
                }
                // Not all at once.
                clock.sleep(wait.mul_f64(0.5 + inner.random.fraction() / 2.0)).await;
                wait = (wait * 3 / 2).min(LAST_WAIT);
                if anew {
                    // What another node wrote over the unreadable is only found by looking.
                    break;
                }
            }
        }
    }

    async fn look_up<K: CacheKey>(&self, inner: &Inner<K, V>, name: &str) -> Result<Seen<V>, Unanswered> {
        let Some(Stored { bytes, left }) = self.call(inner, self.tier.get(name)).await? else {
            self.metrics.called(TierOutcome::Miss);
            return Ok(Seen::Nothing);
        };
        let record = match self.codec.decode(name.as_bytes(), &bytes) {
            Ok(record) => record,
            Err(error) => {
                self.metrics.called(TierOutcome::Unreadable);
                tracing::debug!(target: "buttress::cache", cache = %inner.name, %error, "a value of the second tier does not read");
                return Ok(Seen::Unreadable);
            }
        };
        // The tier's own clock says how old it is: nodes need not agree about the time.
        let lifetime = match (record.fresh, left) {
            (Some(fresh), Some(left)) => {
                let left = left.min(fresh + record.kept).saturating_sub(record.kept);
                if left.is_zero() {
                    self.metrics.called(TierOutcome::Miss);
                    return Ok(Seen::Unreadable);
                }
                let lifetime = Lifetime::of(left).exactly();
                (if record.kept.is_zero() { lifetime.strictly() } else { lifetime }, left > fresh / 2)
            }
            // Somebody took its end away; it has one all the same.
            (Some(fresh), None) => (Lifetime::of(fresh).exactly().strictly(), false),
            (None, _) => (Lifetime::unlimited(), true),
        };
        self.metrics.called(TierOutcome::Hit);
        let (lifetime, young) = lifetime;
        let found = Found { cost: Some(record.cost), ..Found::from(record.value).lives(lifetime) };
        Ok(Seen::Value { found, young })
    }
}

enum Reserved<K: CacheKey, V: CacheValue> {
    /// A value, and when it was asked for.
    Found(Found<V>, Instant),
    Leased(Leased<K, V>),
}

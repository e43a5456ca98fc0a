//! The way to a value: the tier, a lease, and only then where it comes from.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use buttress_core::Key;
use serde::Serialize;

use super::call::{Leased, Unanswered};
use super::{Shared, name_of};
use crate::cache::{CacheValue, Inner};
use crate::codec::Record;
use crate::engine::CacheKey;
use crate::load::{Asked, Load, Why};
use crate::metrics::TierOutcome;
use crate::sync::lock;
use crate::tier::{Lease, Stored};
use crate::{Error, Found, Lifetime};

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) lifetime: Lifetime,
    pub(super) tags: Vec<Key>,
    pub(super) asked: Asked,
}

/// The first wait for another node's load; each further one is half as long again, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LAST_WAIT: Duration = Duration::from_millis(100);

/// What bytes begin with, by which they are told from others: of a frame, the header and the checksum of the rest.
type Beginning = Vec<u8>;
const BEGINNING: usize = 64;

/// What a look into the tier found.
enum Seen<V> {
    Value {
        found: Found<V>,
        young: bool,
        begin: Beginning,
    },
    Nothing,
    /// Bytes that are no value, or one whose tag was invalidated: they are written over.
    Unusable(Beginning),
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
        tags: Vec::new(),
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
        // As the fast path asks: most often nothing limits it.
        if inner.ctx.clock.coarse_nanos() < self.trusted_until.load(Ordering::Acquire) {
            return lifetime;
        }
        let Some(most) = lock(&self.trust).at_most(read, inner.ctx.clock.now()) else { return lifetime };
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
    pub(super) async fn fetch<K: CacheKey + Serialize>(
        &self,
        inner: &Inner<K, V>,
        key: &K,
        read: Instant,
    ) -> Found<V> {
        if let Some(name) = name_of(key)
            && let Ok(Seen::Value { found, .. }) = self.look_up(inner, &name, read).await
        {
            let found = self.limit(inner, found, Lifetime::default(), read);
            return self.unless_changing(&name, found);
        }
        Found::nothing().not_kept()
    }

    /// A value from the tier or, once for all nodes, from `load`.
    pub(super) async fn through<K: CacheKey + Serialize>(
        self: Arc<Self>,
        inner: &Arc<Inner<K, V>>,
        key: &K,
        wish: Wish,
        why: Why,
        load: Load<V>,
    ) -> Result<Found<V>, Error> {
        let leased = match name_of(key) {
            Some(name) => match self.reserve(inner, name, wish.asked, why).await {
                Ok(Reserved::Found(found, read)) => return Ok(self.limit(inner, found, wish.lifetime, read)),
                Ok(Reserved::Leased(leased)) => {
                    // They have to outlive the load; what they have to live with it is not known yet.
                    let keep = inner.config.load_within + self.config.lease;
                    let marked = self.mark(inner, &wish.tags, Some(keep)).await;
                    marked.ok().map(|tags| (leased, tags))
                }
                // Without the tier there is still the source.
                Err(_) => None,
            },
            None => None,
        };
        let Some((leased, tags)) = leased else {
            let read = inner.ctx.clock.now();
            let found = load(why).await?;
            return Ok(self.limit(inner, found, wish.lifetime, read));
        };
        self.load_under(inner, (leased, tags), wish, load(why)).await
    }

    /// Loads, keeps the lease meanwhile, and puts what was found into the tier unless it was changed meanwhile.
    async fn load_under<K: CacheKey>(
        &self,
        inner: &Arc<Inner<K, V>>,
        (mut leased, tags): (Leased<K, V>, Vec<(Key, u64)>),
        wish: Wish,
        loading: impl Future<Output = Result<Found<V>, Error>>,
    ) -> Result<Found<V>, Error> {
        let begun = inner.ctx.clock.now();
        let found = self.keep_lease(inner, &leased, loading).await?;
        if !found.keep {
            return Ok(found);
        }
        let lifetime = found.lifetime.unwrap_or(wish.lifetime);
        let cost = inner.ctx.clock.now().saturating_duration_since(begun);
        let record = Record { cost, tags, ..record(inner, found.value.clone(), lifetime) };
        let found = found.lives(record.lifetime(lifetime));
        match self.fill(inner, &mut leased, &record, &wish.tags).await {
            Some(false) => Ok(found.not_kept()),
            Some(true) | None => Ok(self.limit(inner, found, lifetime, begun)),
        }
    }

    /// Waits for a load, and keeps its lease meanwhile.
    async fn keep_lease<K: CacheKey, T>(
        &self,
        inner: &Inner<K, V>,
        leased: &Leased<K, V>,
        loading: impl Future<Output = T>,
    ) -> T {
        let length = self.config.lease;
        let lost = async {
            loop {
                inner.ctx.clock.sleep(length / 3).await;
                let extended = self.call(inner, self.tier.extend(&leased.name, leased.token, length)).await;
                if matches!(extended, Ok(false)) {
                    break;
                }
            }
        };
        let mut loading = std::pin::pin!(loading);
        tokio::select! {
            biased;
            loaded = &mut loading => loaded,
            // It goes on for those who wait for it; whether it is kept is decided when it is done.
            () = lost => loading.await,
        }
    }

    /// Puts a record into the tier. `Some(false)`: it was changed, or a tag of it invalidated, since its load began; `None`: it is not for
    /// the tier, or that does not answer.
    async fn fill<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        leased: &mut Leased<K, V>,
        record: &Record<V>,
        tags: &[Key],
    ) -> Option<bool> {
        let (name, keep) = (leased.name.as_str(), record.keep());
        // Too large for the tier, perhaps; not for this node.
        let bytes = self.codec.encode(name.as_bytes(), record).ok()?;
        if self.mark(inner, tags, keep).await.ok()? != record.tags {
            return Some(false);
        }
        let filled = self.call(inner, self.tier.fill(name, leased.token, &bytes, keep)).await;
        leased.held = filled.is_err();
        if matches!(filled, Ok(true)) {
            self.metrics.called(TierOutcome::Done);
        }
        filled.ok()
    }

    /// What this node is changing itself is not kept by it: it may be the value before.
    fn unless_changing(&self, name: &str, found: Found<V>) -> Found<V> {
        if self.changing.contains(name) { found.not_kept() } else { found }
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
        loop {
            let read = clock.now();
            let (old, over) = match self.look_up(inner, &name, read).await? {
                Seen::Value { found, young, begin } if asked.is_answered_by(found.value.as_ref()) => {
                    // Who refreshes wants more than what there was.
                    if why == Why::Missing || young {
                        return Ok(Reserved::Found(self.unless_changing(&name, found), read));
                    }
                    (Some(found), Some(begin))
                }
                Seen::Nothing => (None, None),
                Seen::Value { begin, .. } | Seen::Unusable(begin) => (None, Some(begin)),
            };
            loop {
                let lease = self.tier.lease(&name, token, self.config.lease, over.as_deref());
                match self.call(inner, lease).await? {
                    Lease::Given => {
                        let (shared, inner) = (Arc::clone(self), Arc::clone(inner));
                        return Ok(Reserved::Leased(Leased { shared, inner, name, token, held: true }));
                    }
                    Lease::Needless => break,
                    Lease::Taken => {}
                }
                if let Some(old) = old {
                    // Somebody else brings the new one.
                    return Ok(Reserved::Found(self.unless_changing(&name, old), read));
                }
                // Not all at once.
                clock.sleep(wait.mul_f64(0.5 + inner.random.fraction() / 2.0)).await;
                wait = (wait * 3 / 2).min(LAST_WAIT);
            }
        }
    }

    async fn look_up<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        name: &str,
        begun: Instant,
    ) -> Result<Seen<V>, Unanswered> {
        let stored = self.call_from(inner, begun, self.tier.get(name)).await?;
        let Some(Stored { mut bytes, left }) = stored else {
            self.metrics.called(TierOutcome::Miss);
            return Ok(Seen::Nothing);
        };
        let record = match self.codec.decode(name.as_bytes(), &bytes) {
            Ok(record) => record,
            Err(error) => {
                self.metrics.called(TierOutcome::Unreadable);
                tracing::debug!(target: "buttress::cache", cache = %inner.name, %error, "a value of the second tier does not read");
                bytes.truncate(BEGINNING);
                return Ok(Seen::Unusable(bytes));
            }
        };
        bytes.truncate(BEGINNING);
        // The tier's own clock says how old it is: nodes need not agree about the time.
        let lifetime = match (record.fresh, left) {
            (Some(fresh), Some(left)) => {
                let left = left.min(fresh + record.kept).saturating_sub(record.kept);
                if left.is_zero() {
                    self.metrics.called(TierOutcome::Miss);
                    return Ok(Seen::Unusable(bytes));
                }
                let lifetime = Lifetime::of(left).exactly();
                (if record.kept.is_zero() { lifetime.strictly() } else { lifetime }, left > fresh / 2)
            }
            // Somebody took its end away; it has one all the same.
            (Some(fresh), None) => (Lifetime::of(fresh).exactly().strictly(), false),
            (None, _) => (Lifetime::unlimited(), true),
        };
        let (tags, marks): (Vec<_>, Vec<_>) = record.tags.into_iter().unzip();
        // Before the marks are asked for: of an invalidation after that, news will come.
        let seen = inner.tags.see(&tags).ok();
        if !self.holds(inner, &tags, marks.into_iter()).await? {
            self.metrics.called(TierOutcome::Miss);
            return Ok(Seen::Unusable(bytes));
        }
        self.metrics.called(TierOutcome::Hit);
        let (lifetime, young) = lifetime;
        // More tags than this node has room for: not kept.
        let (cost, keep) = (Some(record.cost), seen.is_some());
        let found = Found { cost, keep, tags: seen, ..Found::from(record.value).lives(lifetime) };
        Ok(Seen::Value { found, young, begin: bytes })
    }

    /// Whether tags still have the marks that they had.
    async fn holds<K: CacheKey>(
        &self,
        inner: &Inner<K, V>,
        tags: &[Key],
        marks: impl Iterator<Item = u64>,
    ) -> Result<bool, Unanswered> {
        // What has none costs no call.
        Ok(tags.is_empty() || self.call(inner, self.tier.marks(tags)).await?.into_iter().eq(marks.map(Some)))
    }
}

enum Reserved<K: CacheKey, V: CacheValue> {
    /// A value, and when it was asked for.
    Found(Found<V>, Instant),
    Leased(Leased<K, V>),
}

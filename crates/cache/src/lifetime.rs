//! How long entries live.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::Random;

use crate::CacheConfig;
use crate::dice;
use crate::entry::{Entry, Extra};
use crate::freshness::{SPAN, Stamp};
#[cfg(feature = "codec")]
use crate::tick::duration;
use crate::tick::{Tick, ticks};

/// How long one entry lives, where that differs from what the cache says.
///
/// ```
/// use buttress_cache::Lifetime;
/// use std::time::Duration;
///
/// let token = Lifetime::of(Duration::from_secs(3600)).idle(Duration::from_secs(300));
/// # let _ = (token, Lifetime::unlimited());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub(crate) ttl: Option<Span>,
    pub(crate) idle: Option<Duration>,
    pub(crate) exact: bool,
    /// Neither stale nor as a fallback is it served after its time.
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    For(Duration),
    Unlimited,
}

impl Lifetime {
    /// Fresh for `ttl`, of which the cache's jitter is taken off. More than 180 days count as 180 days.
    #[must_use]
    pub fn of(ttl: Duration) -> Self {
        Self { ttl: Some(Span::For(ttl)), ..Self::default() }
    }

    /// Until there is no room for it, or it is removed.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { ttl: Some(Span::Unlimited), ..Self::default() }
    }

    /// Gone also when nobody asked for it for so long.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Not served after its time, whatever the cache says of stale values and of fallbacks.
    #[must_use]
    pub fn strictly(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The same, or ended after `most` if that comes earlier.
    #[cfg(feature = "codec")]
    pub(crate) fn at_most(self, most: Duration) -> Self {
        let most = match self.ttl {
            Some(Span::For(ttl)) => ttl.min(most),
            _ => most,
        };
        Self { ttl: Some(Span::For(most)), exact: true, strict: true, ..self }
    }

    /// Without jitter: for values whose end is known, like that of a token.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.exact = true;
        self
    }
}

/// What a cache says about lifetimes.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    ttl: Option<Duration>,
    jitter: f64,
    /// The same in ticks.
    usual: Option<(u32, u32)>,
    idle: Option<Duration>,
    negative: Duration,
    stale: u32,
    kept: u32,
    retry: u32,
    early: f64,
}

impl Rules {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        Self {
            ttl: config.ttl,
            jitter: config.jitter,
            usual: config.ttl.map(|ttl| (ticks(ttl), ticks(ttl.mul_f64(config.jitter)))),
            idle: config.idle,
            negative: config.negative,
            stale: ticks(config.stale),
            kept: ticks(config.stale.max(config.fail_safe)),
            retry: ticks(config.retry),
            early: config.early,
        }
    }

    /// How long an entry will be fresh, its jitter taken off; `None`: for ever.
    pub(crate) fn span(&self, lifetime: Lifetime, nothing: bool, random: &Random) -> Option<Duration> {
        let ttl = match lifetime.ttl {
            Some(Span::Unlimited) if !nothing => None,
            Some(Span::For(ttl)) => Some(ttl),
            _ => self.ttl,
        };
        // What is not there may come to be without anybody telling the cache.
        let ttl = if nothing { Some(ttl.map_or(self.negative, |ttl| ttl.min(self.negative))) } else { ttl };
        let ttl = ttl?.min(Tick::LONGEST);
        // Off, never on: a lifetime is what the data bears.
        Some(if lifetime.exact { ttl } else { ttl.mul_f64(1.0 - self.jitter * random.fraction()) })
    }

    /// For how long after its time an entry may be served.
    #[cfg(feature = "codec")]
    pub(crate) fn kept(&self, lifetime: Lifetime, nothing: bool) -> Duration {
        if nothing || lifetime.strict { Duration::ZERO } else { duration(self.kept) }
    }

    /// Until when a value is fresh that is put in `now` on no terms of its own. Nothing where the cache's rules ask for more than that.
    ///
    /// So nearly all are put in, for a few nanoseconds.
    #[inline]
    pub(crate) fn usual(&self, now: Tick, random: &Random) -> Option<Tick> {
        if self.idle.is_some() {
            return None;
        }
        Some(match self.usual {
            Some((whole, spread)) => now.plus(whole - dice::below(spread, random)),
            None => Tick::NEVER,
        })
    }

    /// The times of an entry that is written `now`. `cost` is what loading it took.
    pub(crate) fn stamp(
        &self,
        lifetime: Lifetime,
        nothing: bool,
        cost: Duration,
        (now, generation): (Tick, u16),
        random: &Random,
    ) -> Stamp {
        let Some(ttl) = self.span(lifetime, nothing, random) else {
            return Stamp { fresh: Tick::NEVER, expires: Tick::NEVER, early: 0, generation };
        };
        let fresh = now.after(ttl);
        let expires = if nothing || lifetime.strict { fresh } else { fresh.plus(self.kept) };
        Stamp { fresh, expires, early: if nothing { 0 } else { self.early(cost, ttl) }, generation }
    }

    /// How long before the end of its freshness an entry may be loaded early: for half of its life at most.
    fn early(&self, cost: Duration, ttl: Duration) -> u16 {
        if self.early <= 0.0 || cost.is_zero() {
            return 0;
        }
        let span = cost.min(ttl).mul_f64(self.early.min(100.0) * f64::from(SPAN)).min(ttl / 2);
        u16::try_from(ticks(span)).unwrap_or(u16::MAX)
    }

    pub(crate) fn entry<V>(&self, value: Option<V>, extra: Option<Arc<Extra>>, stamp: Stamp) -> Entry<V> {
        Entry::new(value, extra, stamp, self.kept)
    }

    pub(crate) fn stamp_of<V>(&self, entry: &Entry<V>) -> Stamp {
        entry.stamp(self.kept)
    }

    /// The times of an entry whose load failed: it counts as fresh for a while, so that not every caller tries again.
    pub(crate) fn put_off(&self, stamp: Stamp, now: Tick) -> Stamp {
        Stamp { fresh: now.plus(self.retry).min(stamp.expires), early: 0, ..stamp }
    }

    pub(crate) fn stale_until(&self, stamp: &Stamp) -> Tick {
        stamp.fresh.plus(self.stale).min(stamp.expires)
    }

    /// After how long without a use an entry is gone.
    pub(crate) fn idle(&self, lifetime: Lifetime) -> Option<u32> {
        // An entry of no ticks could never be read.
        lifetime.idle.or(self.idle).map(|idle| ticks(idle).max(1))
    }
}

#[cfg(feature = "codec")]
impl Stamp {
    /// The time for which it may be served.
    pub(crate) fn served_for(&self, now: Tick) -> Option<Duration> {
        (self.expires != Tick::NEVER).then(|| duration(self.expires.since(now)))
    }

    /// The time for which it will be fresh.
    pub(crate) fn fresh_for(&self, now: Tick) -> Option<Duration> {
        (self.fresh != Tick::NEVER).then(|| duration(self.fresh.since(now)))
    }
}

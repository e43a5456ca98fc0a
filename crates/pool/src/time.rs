//! Times of one pool: nanoseconds since it was made, which are half the size of an `Instant` and cheap to reckon with.

use std::time::{Duration, Instant};

/// A moment, or [`Time::NEVER`]. Lasts for 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(u64);

impl Time {
    #[cfg(test)]
    pub(crate) const ZERO: Self = Self(0);
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// `now`, of a pool that was made at `start`.
    pub(crate) fn of(now: Instant, start: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(start)))
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// The time since the pool was made.
    pub(crate) fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The time since `earlier`, or none.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds.
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// When this is on the clock; `None` for what never comes.
    pub(crate) fn instant(self, start: Instant) -> Option<Instant> {
        start.checked_add(Duration::from_nanos(self.0)).filter(|_| self != Self::NEVER)
    }
}

/// A duration in nanoseconds, as far as they fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

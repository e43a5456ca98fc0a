//! Times of one policy: nanoseconds since it was made, which fit into an atomic.

use std::time::{Duration, Instant};

/// A moment. Lasts for 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    /// `now`, of a policy that was made at `start`.
    pub(crate) fn of(now: Instant, start: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(start)))
    }

    pub(crate) fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(nanos(wait)))
    }

    /// The time since `earlier`, or none.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds, as far as they fit.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

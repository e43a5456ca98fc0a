//! Whether the server is asked: not as long as it did not answer, apart from one who tries now and then.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::algorithm::Nanos;

/// Calls in a row that fail until none is made.
const FAILURES: u32 = 3;

/// A circuit breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    failures: AtomicU32,
    /// When the next may try; zero where all may.
    open_until: AtomicU64,
    pause: Nanos,
}

/// What a call has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

impl Breaker {
    pub(super) fn new(pause: Duration) -> Self {
        let pause = Nanos::try_from(pause.as_nanos()).unwrap_or(Nanos::MAX / 4);
        Self { failures: AtomicU32::new(0), open_until: AtomicU64::new(0), pause }
    }

    /// Whether to ask. While the circuit is open, one each `pause` is told so.
    pub(super) fn admits(&self, now: Nanos) -> bool {
        let until = self.open_until.load(Ordering::Acquire);
        if until == 0 {
            return true;
        }
        let next = now.saturating_add(self.pause);
        now >= until
            && self.open_until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn succeeded(&self) -> Change {
        // Most often nothing has to be written.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.open_until.load(Ordering::Acquire) == 0 || self.open_until.swap(0, Ordering::AcqRel) == 0 {
            return Change::None;
        }
        Change::Closed
    }

    pub(super) fn failed(&self, now: Nanos) -> Change {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES {
            return Change::None;
        }
        let before = self.open_until.swap(now.saturating_add(self.pause), Ordering::AcqRel);
        if before == 0 { Change::Opened } else { Change::None }
    }

    /// How long until the next may try.
    pub(super) fn retry_after(&self, now: Nanos) -> Duration {
        Duration::from_nanos(self.open_until.load(Ordering::Acquire).saturating_sub(now).min(self.pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_some_failures_and_lets_one_try() {
        let breaker = Breaker::new(Duration::from_nanos(100));
        assert_eq!(breaker.failed(1_000), Change::None);
        assert_eq!(breaker.succeeded(), Change::None);
        let changes: Vec<_> = (0..4).map(|_| breaker.failed(1_000)).collect();
        assert_eq!(changes, [Change::None, Change::None, Change::Opened, Change::None]);
        assert!(!breaker.admits(1_099));
        assert_eq!(breaker.retry_after(1_060), Duration::from_nanos(40));
        assert!(breaker.admits(1_100), "one may try");
        assert!(!breaker.admits(1_100), "the others may not");
        assert_eq!(breaker.failed(1_110), Change::None);
        assert!(breaker.admits(1_210));
        assert_eq!(breaker.succeeded(), Change::Closed);
        assert!(breaker.admits(1_211) && breaker.admits(1_211));
    }
}

//! When to try again to create an object, and when to stop trying for a while.

use std::time::Duration;

use crate::time::Time;
use buttress_core::Random;

/// What a failure to create asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterFailure {
    /// Try again after so long.
    Retry(Duration),
    /// Do not; the circuit is open.
    Open,
}

/// How failures are answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BreakerRules {
    pub(crate) failures: u32,
    pub(crate) retry_first: Duration,
    pub(crate) retry_most: Duration,
    pub(crate) open_for: Duration,
}

/// Counts failures in a row. Closed: every creation may be tried. Open: none, until a time. Then half open: one at a
/// time, whose outcome decides.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open_until: Option<Time>,
}

impl Breaker {
    pub(crate) fn fail(&mut self, now: Time, rules: &BreakerRules, random: &Random) -> AfterFailure {
        // Others may have opened it while this one was under way.
        if self.is_open(now) {
            return AfterFailure::Open;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= rules.failures {
            self.open_until = Some(now.after(rules.open_for));
            return AfterFailure::Open;
        }
        let doubled = rules.retry_first.saturating_mul(1 << (self.failures - 1).min(20));
        // Between half and all of it, so that many pools do not knock at once.
        AfterFailure::Retry(doubled.min(rules.retry_most).mul_f64(0.5 + 0.5 * random.fraction()))
    }

    /// Returns whether this closed it.
    pub(crate) fn succeed(&mut self) -> bool {
        self.failures = 0;
        self.open_until.take().is_some()
    }

    pub(crate) fn is_open(&self, now: Time) -> bool {
        self.open_until.is_some_and(|until| now < until)
    }

    pub(crate) fn is_half_open(&self, now: Time) -> bool {
        self.open_until.is_some_and(|until| now >= until)
    }

    /// How long it stays open; nothing if it is not.
    pub(crate) fn left(&self, now: Time) -> Duration {
        self.open_until.map_or(Duration::ZERO, |until| until.since(now))
    }
}

//! The generic cell rate algorithm (ITU-T I.371): one time says it all.

use std::time::Duration;

use super::{Divider, NEVER, Nanos, Rule, Verdict, window};

/// A rate with a burst: whoever has asked for nothing in a while may ask for `burst` at once, and then for one each
/// `window / quota`.
///
/// The state is one time, at which all that was admitted would have been spread at the even rate. In any span of time `t`
/// at most `burst + t * quota / window` is admitted: with `burst = quota`, up to twice the quota in one window after
/// a pause. Where `quota` does not divide the window in whole nanoseconds, the interval is rounded up, so that the rate is lower by
/// less than one part in (window in nanoseconds / quota).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gcra {
    /// The time that one costs.
    interval: Divider,
    /// How far the state may be ahead of the time: what the burst costs. Zero admits nothing.
    tolerance: Nanos,
}

/// What [`Gcra`] remembers: when all that was admitted is worked off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GcraState {
    pub(crate) idle_at: Nanos,
}

impl Gcra {
    /// `quota` in each `window` on average, `burst` at once. A `quota` or `burst` of zero admits nothing.
    #[must_use]
    pub fn new(quota: u32, per: Duration, burst: u32) -> Self {
        let interval = window(per).div_ceil(u64::from(quota.max(1)));
        let tolerance = if quota == 0 { 0 } else { interval.saturating_mul(u64::from(burst)).min(NEVER / 4) };
        Self { interval: Divider::new(interval), tolerance }
    }

    /// How much of the tolerance is used up.
    #[inline]
    fn ahead(&self, now: Nanos, state: GcraState) -> Nanos {
        let ahead = state.idle_at.saturating_sub(now);
        // Twice the tolerance is reached only when the clock was set back by more than the tolerance.
        if ahead > self.tolerance * 2 { self.tolerance } else { ahead }
    }

    #[inline]
    pub(crate) fn cost(&self, cost: u32) -> Nanos {
        self.interval.by().saturating_mul(u64::from(cost))
    }

    /// The verdict where `ahead` of the tolerance is used up.
    #[inline]
    pub(crate) fn verdict(&self, ahead: Nanos, cost: u32) -> Verdict {
        let price = self.cost(cost);
        let after = ahead.saturating_add(price);
        let allowed = after <= self.tolerance;
        let (used, retry_after) = if allowed {
            (after, 0)
        } else {
            (ahead, if price > self.tolerance { NEVER } else { after - self.tolerance })
        };
        let left = self.interval.quotient(self.tolerance.saturating_sub(used));
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        Verdict { allowed, remaining, retry_after, reset_after: used }
    }

    pub(crate) fn tolerance(&self) -> Nanos {
        self.tolerance
    }
}

impl Rule for Gcra {
    type State = GcraState;

    #[inline]
    fn settle(&self, now: Nanos, state: &mut GcraState) {
        if state.idle_at.saturating_sub(now) > self.tolerance * 2 {
            state.idle_at = now.saturating_add(self.tolerance);
        }
    }

    #[inline]
    fn peek(&self, now: Nanos, state: &GcraState, cost: u32) -> Verdict {
        self.verdict(self.ahead(now, *state), cost)
    }

    #[inline]
    fn take(&self, now: Nanos, state: &mut GcraState, cost: u32) {
        state.idle_at = now.saturating_add(self.ahead(now, *state)).saturating_add(self.cost(cost));
    }

    #[inline]
    fn decide(&self, now: Nanos, state: &mut GcraState, cost: u32) -> Verdict {
        self.settle(now, state);
        let verdict = self.verdict(self.ahead(now, *state), cost);
        if verdict.allowed {
            // What is used up then is what there is to work off.
            state.idle_at = now.saturating_add(verdict.reset_after);
        }
        verdict
    }

    fn refund(&self, now: Nanos, state: &mut GcraState, cost: u32) {
        let ahead = self.ahead(now, *state).saturating_sub(self.cost(cost));
        state.idle_at = now.saturating_add(ahead);
    }
}

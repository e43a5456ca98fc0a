//! A bucket of tokens that fills at an even rate.

use std::time::Duration;

use super::{Gcra, Nanos, Rule, Verdict};

/// A bucket of `capacity` tokens into which `quota` flow in each `window`; a request takes its cost out of it.
///
/// It admits what [`Gcra`] with the same rate and a burst of `capacity` admits, and is bounded as it is. It remembers the
/// level and when it was looked at, where GCRA remembers one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    flow: Gcra,
}

/// What [`TokenBucket`] remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BucketState {
    /// What is missing until the bucket is full, as the time in which that flows in.
    pub(crate) missing: Nanos,
    /// When that was so.
    pub(crate) at: Nanos,
}

impl TokenBucket {
    /// `quota` tokens flow in each `window`, `capacity` are in a full bucket. Zero of either admits nothing.
    #[must_use]
    pub fn new(quota: u32, window: Duration, capacity: u32) -> Self {
        Self { flow: Gcra::new(quota, window, capacity) }
    }

    /// The state at `now`.
    #[inline]
    fn flowed(&self, now: Nanos, state: BucketState) -> BucketState {
        match now.checked_sub(state.at) {
            Some(passed) => BucketState { missing: state.missing.saturating_sub(passed), at: now },
            // Set back by more than the bucket takes to fill: not waited out, and taken for empty.
            None if state.at - now > self.flow.tolerance() => {
                BucketState { missing: self.flow.tolerance(), at: now }
            }
            None => state,
        }
    }
}

impl Rule for TokenBucket {
    type State = BucketState;

    #[inline]
    fn settle(&self, now: Nanos, state: &mut BucketState) {
        *state = self.flowed(now, *state);
    }

    #[inline]
    fn peek(&self, now: Nanos, state: &BucketState, cost: u32) -> Verdict {
        let state = self.flowed(now, *state);
        let mut verdict = self.flow.verdict(state.missing, cost);
        let lag = state.at - now.min(state.at);
        if verdict.retry_after > 0 {
            verdict.retry_after = verdict.retry_after.saturating_add(lag);
        }
        verdict.reset_after = verdict.reset_after.saturating_add(lag);
        verdict
    }

    #[inline]
    fn take(&self, now: Nanos, state: &mut BucketState, cost: u32) {
        let flowed = self.flowed(now, *state);
        *state = BucketState { missing: flowed.missing.saturating_add(self.flow.cost(cost)), ..flowed };
    }

    fn refund(&self, now: Nanos, state: &mut BucketState, cost: u32) {
        let flowed = self.flowed(now, *state);
        *state = BucketState { missing: flowed.missing.saturating_sub(self.flow.cost(cost)), ..flowed };
    }
}

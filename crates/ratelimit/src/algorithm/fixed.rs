//! A quota for each window of the calendar.

use std::time::Duration;

use super::{Divider, NEVER, Nanos, Rule, Verdict, left, window};

/// `quota` in each of the windows that follow one another from the epoch on: each minute, each hour of UTC.
///
/// Cheap and easy to explain, and what a lease of tokens is counted against. Around the edge of two windows up to twice the quota
/// is admitted within one window's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedWindow {
    quota: u32,
    window: Divider,
}

/// What [`FixedWindow`] remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FixedState {
    pub(crate) start: Nanos,
    pub(crate) used: u32,
}

impl FixedWindow {
    /// `quota` in each `window`. A `quota` of zero admits nothing.
    #[must_use]
    pub fn new(quota: u32, per: Duration) -> Self {
        Self { quota, window: Divider::new(window(per)) }
    }

    /// The state at `now`, and how much time of its window has passed.
    #[inline]
    fn turned(&self, now: Nanos, state: FixedState) -> (FixedState, Nanos) {
        let length = self.window.by();
        match now.checked_sub(state.start) {
            Some(passed) if passed < length => (state, passed),
            Some(_) => {
                let passed = self.window.remainder(now);
                (FixedState { start: now - passed, used: 0 }, passed)
            }
            None if state.start - now <= length => (state, 0),
            None => {
                // The next window counts as used up, and not this one, which may end at once.
                let next = (now - self.window.remainder(now)).saturating_add(length);
                (FixedState { start: next, used: self.quota }, 0)
            }
        }
    }
}

impl Rule for FixedWindow {
    type State = FixedState;

    #[inline]
    fn settle(&self, now: Nanos, state: &mut FixedState) {
        *state = self.turned(now, *state).0;
    }

    #[inline]
    fn peek(&self, now: Nanos, state: &FixedState, cost: u32) -> Verdict {
        let (state, passed) = self.turned(now, *state);
        let used = u64::from(state.used) + u64::from(cost);
        let allowed = used <= u64::from(self.quota);
        let used = if allowed { used } else { u64::from(state.used) };
        // A clock that was set back has to come to the window first.
        let next = (self.window.by() - passed).saturating_add(state.start.saturating_sub(now));
        let retry_after = match allowed {
            true => 0,
            false if cost > self.quota => NEVER,
            false => next,
        };
        let reset_after = if used == 0 { 0 } else { next };
        Verdict { allowed, remaining: left(self.quota, used), retry_after, reset_after }
    }

    #[inline]
    fn take(&self, now: Nanos, state: &mut FixedState, cost: u32) {
        let (turned, _) = self.turned(now, *state);
        *state = FixedState { used: turned.used.saturating_add(cost), ..turned };
    }

    fn refund(&self, now: Nanos, state: &mut FixedState, cost: u32) {
        let (turned, _) = self.turned(now, *state);
        *state = FixedState { used: turned.used.saturating_sub(cost), ..turned };
    }
}

//! A sliding window estimated from two fixed ones.

use std::time::Duration;

use super::{Divider, NEVER, Nanos, Rule, Verdict, left, window};

/// `quota` in any window, as estimated from two counts: those of this window of the calendar, and those of the one before, of
/// which so much counts as a window that ends now still covers.
///
/// # How exact it is
///
/// The estimate is right when requests of the previous window came evenly. With `e` of the window passed, and `previous` requests
/// in the one before, it is at most `previous * e / window` too low (all of them came at its end) and `previous * (window - e) /
/// window` too high (all at its beginning). So:
///
/// - in a window of the calendar, never more than `quota` is admitted;
/// - in any window at all, less than twice `quota`, and `quota` where requests come evenly;
/// - over `k` windows, at most `(k + 1) * quota`.
///
/// The estimate is rounded up, so rounding never admits anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingCounter {
    quota: u32,
    window: Divider,
    /// The window is weighed in steps of `1 << shift` nanoseconds, less than 2^31 of them, so that a count times steps fits.
    shift: u32,
    steps: Divider,
}

/// What [`SlidingCounter`] remembers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CounterState {
    pub(crate) start: Nanos,
    pub(crate) previous: u32,
    pub(crate) current: u32,
}

/// A state brought to a time.
struct Turned {
    state: CounterState,
    /// How much of the window has passed.
    passed: Nanos,
    /// How much of the previous window counts.
    weighed: u64,
    /// How far the clock is behind the window.
    lag: Nanos,
}

impl SlidingCounter {
    /// `quota` in any `window`. A `quota` of zero admits nothing.
    #[must_use]
    pub fn new(quota: u32, per: Duration) -> Self {
        let window = window(per);
        let shift = (u64::BITS - window.leading_zeros()).saturating_sub(31);
        Self { quota, window: Divider::new(window), shift, steps: Divider::new(window >> shift) }
    }

    #[inline]
    fn turned(&self, now: Nanos, state: CounterState) -> Turned {
        let length = self.window.by();
        let lag = state.start.saturating_sub(now);
        let (state, passed, lag) = match now.checked_sub(state.start) {
            Some(passed) if passed < length => (state, passed, 0),
            None if lag <= length => (state, 0, lag),
            _ => self.turn(now, state),
        };
        Turned { weighed: self.weigh(state.previous, passed), state, passed, lag }
    }

    /// A window has passed, or the clock was set back by more than one.
    fn turn(&self, now: Nanos, state: CounterState) -> (CounterState, Nanos, Nanos) {
        let passed = self.window.remainder(now);
        let start = now - passed;
        let turned = if start < state.start {
            CounterState { start, previous: 0, current: self.quota }
        } else if start - state.start == self.window.by() {
            CounterState { start, previous: state.current, current: 0 }
        } else {
            CounterState { start, previous: 0, current: 0 }
        };
        (turned, passed, 0)
    }

    /// How much of `previous` a window covers that ends `passed` into this one; rounded up.
    #[inline]
    fn weigh(&self, previous: u32, passed: Nanos) -> u64 {
        if previous == 0 {
            return 0;
        }
        let rest = self.window.by() - passed;
        let steps = ((rest + (1 << self.shift) - 1) >> self.shift).min(self.steps.by());
        self.steps.quotient(u64::from(previous) * steps + (self.steps.by() - 1))
    }

    /// From which time of a window on, at most `room` of `count` in the window before counts.
    fn fades(&self, count: u32, room: u64) -> Nanos {
        let steps = (room * self.steps.by()).checked_div(u64::from(count)).unwrap_or(NEVER);
        if steps >= self.steps.by() { 0 } else { self.window.by() - (steps << self.shift) }
    }

    #[cold]
    fn retry_after(&self, turned: &Turned, cost: u32) -> Nanos {
        let Some(room) = self.quota.checked_sub(cost) else { return NEVER };
        let state = turned.state;
        let wait = match room.checked_sub(state.current) {
            Some(room) => self.fades(state.previous, u64::from(room)).saturating_sub(turned.passed),
            None => self.window.by() - turned.passed + self.fades(state.current, u64::from(room)),
        };
        wait.saturating_add(turned.lag)
    }
}

impl Rule for SlidingCounter {
    type State = CounterState;

    #[inline]
    fn settle(&self, now: Nanos, state: &mut CounterState) {
        // Most often the window is still the same.
        if now.wrapping_sub(state.start) >= self.window.by() {
            *state = self.turned(now, *state).state;
        }
    }

    #[inline]
    fn peek(&self, now: Nanos, state: &CounterState, cost: u32) -> Verdict {
        let turned = self.turned(now, *state);
        let used = turned.weighed + u64::from(turned.state.current);
        let allowed = used + u64::from(cost) <= u64::from(self.quota);
        let taken = if allowed { cost } else { 0 };
        let windows = if turned.state.current > 0 || taken > 0 {
            2 * self.window.by()
        } else if turned.state.previous > 0 {
            self.window.by()
        } else {
            turned.passed
        };
        Verdict {
            allowed,
            remaining: left(self.quota, used + u64::from(taken)),
            retry_after: if allowed { 0 } else { self.retry_after(&turned, cost) },
            reset_after: (windows - turned.passed).saturating_add(turned.lag),
        }
    }

    #[inline]
    fn take(&self, now: Nanos, state: &mut CounterState, cost: u32) {
        self.settle(now, state);
        state.current = state.current.saturating_add(cost);
    }

    fn refund(&self, now: Nanos, state: &mut CounterState, cost: u32) {
        let turned = self.turned(now, *state).state;
        // What does not belong to this window belongs to the one before.
        let earlier = cost.saturating_sub(turned.current);
        *state = CounterState {
            current: turned.current.saturating_sub(cost),
            previous: turned.previous.saturating_sub(earlier),
            ..turned
        };
    }
}

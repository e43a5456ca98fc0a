//! The decisions: functions of a time, a state and a rule. They read no clock and do no I/O, and reckon in whole numbers.
//!
//! | algorithm | what it limits | memory | a burst at a window's edge |
//! |---|---|---|---|
//! | [`SlidingCounter`] | estimated requests in any window | 16 bytes | less than twice the quota, see there |
//! | [`SlidingLog`] | requests in any window, exactly | 16 bytes for each time in the window | none |
//! | [`Gcra`] | a rate, with a burst | 8 bytes | the burst |
//! | [`TokenBucket`] | the same, told as a bucket | 16 bytes | the burst |
//! | [`FixedWindow`] | requests in each window of the calendar | 16 bytes | twice the quota |
//!
//! # Time
//!
//! Times are nanoseconds since the epoch of whatever clock the caller goes by, up to the year 2554. The state of every
//! algorithm starts as its `Default`, with the whole quota to be had.
//!
//! A clock may be set back. A step back of up to one window (for [`Gcra`] and [`TokenBucket`], one burst) is waited out:
//! no time passes until the clock is back where it was, so nothing is admitted twice. After a larger one the quota counts as used
//! up at this moment, and comes back as usual; with [`FixedWindow`] in the window after the next edge.

mod counter;
mod divide;
mod fixed;
mod gcra;
mod log;
#[cfg(test)]
mod tests;
mod token_bucket;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::counter::{CounterState, SlidingCounter};
pub(crate) use self::divide::Divider;
pub use self::fixed::{FixedState, FixedWindow};
pub use self::gcra::{Gcra, GcraState};
pub use self::log::{LogState, SlidingLog};
pub use self::token_bucket::{BucketState, TokenBucket};

/// A time in nanoseconds since an epoch, or a number of nanoseconds.
pub type Nanos = u64;

/// What is not going to happen by waiting.
pub(crate) const NEVER: Nanos = Nanos::MAX;

/// The longest window that is reckoned with: 400 days.
pub(crate) const LONGEST_WINDOW: Nanos = 400 * 86_400 * 1_000_000_000;

/// How requests are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Algorithm {
    /// [`SlidingCounter`].
    #[default]
    SlidingCounter,
    /// [`SlidingLog`].
    SlidingLog,
    /// [`Gcra`].
    Gcra,
    /// [`TokenBucket`].
    TokenBucket,
    /// [`FixedWindow`].
    FixedWindow,
}

impl Algorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::SlidingCounter, Self::SlidingLog, Self::Gcra, Self::TokenBucket, Self::FixedWindow];

    /// Its name in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SlidingCounter => "sliding_counter",
            Self::SlidingLog => "sliding_log",
            Self::Gcra => "gcra",
            Self::TokenBucket => "token_bucket",
            Self::FixedWindow => "fixed_window",
        }
    }
}

/// What a rule says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the request is admitted.
    pub allowed: bool,
    /// What may be asked for at this moment, after this request.
    pub remaining: u32,
    pub(crate) retry_after: Nanos,
    pub(crate) reset_after: Nanos,
}

impl Verdict {
    /// When the same request is admitted, if nothing else is until then: zero if it is now, nothing if it never will be because it costs
    /// more than the rule ever admits at once.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after != NEVER).then(|| Duration::from_nanos(self.retry_after))
    }

    /// When the whole quota can be had again, if nothing is asked for until then.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_after)
    }
}

/// A decision as a function of time and state.
pub trait Rule {
    /// What is remembered of the past. Its `Default` remembers nothing.
    type State: Default;

    /// Forgets what no longer counts, and what a clock that was since set back has made of the state. Cheap; without it a
    /// state that is only looked at would stay as it is.
    fn settle(&self, now: Nanos, state: &mut Self::State);

    /// What [`decide`](Rule::decide) would answer, without consuming anything.
    fn peek(&self, now: Nanos, state: &Self::State, cost: u32) -> Verdict;

    /// Consumes `cost`, which [`peek`](Rule::peek) has just admitted at this time.
    fn take(&self, now: Nanos, state: &mut Self::State, cost: u32);

    /// Gives back `cost` that was consumed and not used. Never makes more of it than the quota.
    fn refund(&self, now: Nanos, state: &mut Self::State, cost: u32);

    /// Admits a request of `cost` and consumes it, or refuses it and leaves the state as it is.
    #[inline]
    fn decide(&self, now: Nanos, state: &mut Self::State, cost: u32) -> Verdict {
        self.settle(now, state);
        let verdict = self.peek(now, state, cost);
        if verdict.allowed {
            self.take(now, state, cost);
        }
        verdict
    }
}

/// A window that can be reckoned with.
fn window(window: Duration) -> Nanos {
    Nanos::try_from(window.as_nanos()).unwrap_or(NEVER).clamp(1, LONGEST_WINDOW)
}

/// What is left of `quota`, as it is told.
fn left(quota: u32, used: u64) -> u32 {
    u32::try_from(u64::from(quota).saturating_sub(used)).unwrap_or(u32::MAX)
}

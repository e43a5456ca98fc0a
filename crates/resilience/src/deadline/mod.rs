//! The moment by which an answer is worth nothing any more, handed down from caller to callee.
//!
//! ```
//! use buttress_core::{Clock, SystemClock};
//! use buttress_resilience::{Deadline, deadline};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let clock = SystemClock;
//! let hour = Deadline::within(&clock, Duration::from_hours(1));
//! let minute = Deadline::within(&clock, Duration::from_mins(1));
//! deadline::scope(minute, async {
//!     // A child cannot outlive its parent.
//!     deadline::scope(hour, async {
//!         assert_eq!(Deadline::current(), Some(minute));
//!     })
//!     .await;
//! })
//! .await;
//! assert_eq!(Deadline::current(), None);
//! # }
//! ```
//!
//! Between processes it travels as the time that is left, in a [header]: clocks of two machines need not agree.

pub mod header;

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use buttress_core::{Clock, Elapsed};

tokio::task_local! {
    static CURRENT: Deadline;
}

/// A moment on the monotonic clock. The lesser of two deadlines is the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(Instant);

/// Longer than any call, and short enough to be reckoned with.
const FAR: Duration = Duration::from_hours(24 * 366);

impl Deadline {
    /// At this moment of [`Clock::now`].
    #[must_use]
    pub fn at(moment: Instant) -> Self {
        Self(moment)
    }

    /// So long from now, a year at most.
    #[must_use]
    pub fn within(clock: &dyn Clock, limit: Duration) -> Self {
        let now = clock.now();
        Self(now.checked_add(limit.min(FAR)).unwrap_or(now))
    }

    /// The deadline of the task's innermost [`scope`].
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|deadline| *deadline).ok()
    }

    /// The earlier of this and the task's own.
    #[must_use]
    pub fn or_current(self) -> Self {
        Self::current().map_or(self, |current| current.min(self))
    }

    /// As a moment of [`Clock::now`].
    #[must_use]
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left; none once it has passed.
    #[must_use]
    pub fn remaining(self, clock: &dyn Clock) -> Duration {
        self.0.saturating_duration_since(clock.now())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self, clock: &dyn Clock) -> bool {
        clock.now() >= self.0
    }
}

/// Does `work` with `deadline` as [`Deadline::current`], or with the task's own if that is earlier.
///
/// This tells and does not enforce: whoever waits within looks at it. [`enforce`] also ends the work.
pub async fn scope<F: Future>(deadline: Deadline, work: F) -> F::Output {
    CURRENT.scope(deadline.or_current(), work).await
}

/// The same for work that is done at once.
#[cfg(feature = "tower")]
pub(crate) fn within<T>(deadline: Deadline, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(deadline.or_current(), work)
}

/// Takes along the deadline of the task that calls this: for work that is spawned and still belongs to the request.
///
/// ```
/// # use buttress_resilience::deadline;
/// # async fn example() {
/// let task = tokio::spawn(deadline::inherit(async { /* sees the request's deadline */ }));
/// # }
/// ```
pub fn inherit<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let deadline = Deadline::current();
    async move {
        match deadline {
            Some(deadline) => scope(deadline, work).await,
            None => work.await,
        }
    }
}

/// Does `work` as [`scope`] does, and gives it up when the deadline comes. Work whose deadline has passed is not begun.
///
/// # Errors
///
/// [`Elapsed`], with the time that was left at the beginning; `work` was dropped then, which cancels it.
pub async fn enforce<F: Future>(
    clock: &dyn Clock,
    deadline: Deadline,
    work: F,
) -> Result<F::Output, Elapsed> {
    let deadline = deadline.or_current();
    let left = deadline.remaining(clock);
    if left.is_zero() {
        return Err(Elapsed(left));
    }
    enforced(clock, deadline, work).await.ok_or(Elapsed(left))
}

/// The same for a deadline that is known to be the earliest and not to have passed. A timer is set only for work that is
/// not ready at once.
pub(crate) async fn enforced<F: Future>(clock: &dyn Clock, deadline: Deadline, work: F) -> Option<F::Output> {
    until(clock, deadline.0, CURRENT.scope(deadline, work)).await
}

/// What `work` answers by the task's own deadline, if it has one.
pub(crate) async fn keep<F: Future>(clock: &dyn Clock, work: F) -> Result<F::Output, Elapsed> {
    match Deadline::current() {
        None => Ok(work.await),
        Some(deadline) => {
            let left = deadline.remaining(clock);
            until(clock, deadline.0, work).await.ok_or(Elapsed(left))
        }
    }
}

/// What `work` answers by `moment`. An answer that is ready at that moment is an answer.
pub(crate) async fn until<F: Future>(clock: &dyn Clock, moment: Instant, work: F) -> Option<F::Output> {
    let mut work = pin!(work);
    let mut alarm = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(value) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        alarm.get_or_insert_with(|| clock.sleep_until(moment)).as_mut().poll(cx).map(|()| None)
    })
    .await
}

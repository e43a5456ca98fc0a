//! Time as a dependency: production reads the machine's clocks, tests move time by hand.

use std::future::Future;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Elapsed;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The only way in which buttress reads or waits for time.
///
/// Durations are measured on [`now`](Clock::now), which never goes back; [`wall`](Clock::wall) is for
/// timestamps that people or other machines read, and may jump.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The monotonic time.
    fn now(&self) -> Instant;

    /// The monotonic time as of the system's last tick, in nanoseconds since a moment of the clock's own choice: a few
    /// milliseconds behind [`now`](Clock::now) and never ahead of it, for a tenth of its cost. For expiry and rates, which are
    /// checked on every call and are no more exact than that.
    fn coarse_nanos(&self) -> u64;

    /// The time of day.
    fn wall(&self) -> SystemTime;

    /// Completes once [`now`](Clock::now) has reached `deadline`.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;

    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }
}

/// The machine's own clocks, and tokio's timer for waiting.
///
/// [`sleep_until`](Clock::sleep_until) must be polled inside a tokio runtime with its timer enabled.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system clock, ready to be put in a [`Ctx`](crate::Ctx).
    #[must_use]
    pub const fn shared() -> SharedClock {
        SharedClock(Source::System)
    }
}

/// A [`Clock`] that many owners share. Its methods are those of the clock it dereferences to.
///
/// That of the system is read without an indirect call: caches and limiters read it on every call, which takes not much longer itself.
#[derive(Debug, Clone)]
pub struct SharedClock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Other(Arc<dyn Clock>),
}

impl SharedClock {
    /// Any other clock than the [system's](SystemClock::shared).
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self(Source::Other(Arc::new(clock)))
    }

    /// As [`Clock::now`].
    #[must_use]
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => SystemClock.now(),
            Source::Other(clock) => clock.now(),
        }
    }

    /// As [`Clock::coarse_nanos`].
    #[must_use]
    #[inline]
    pub fn coarse_nanos(&self) -> u64 {
        match &self.0 {
            Source::System => SystemClock.coarse_nanos(),
            Source::Other(clock) => clock.coarse_nanos(),
        }
    }
}

impl Deref for SharedClock {
    type Target = dyn Clock;

    fn deref(&self) -> &dyn Clock {
        match &self.0 {
            Source::System => &SystemClock,
            Source::Other(clock) => &**clock,
        }
    }
}

// The one place where the machine's clocks are read.
#[allow(clippy::disallowed_methods)]
impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[inline]
    fn coarse_nanos(&self) -> u64 {
        coarse::nanos()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(deadline.into()))
    }
}

/// Linux keeps the time of its last tick (1 to 10 ms, mostly 4) where a program reads it without asking the hardware.
#[cfg(target_os = "linux")]
mod coarse {
    use rustix::time::{ClockId, clock_gettime};

    #[inline]
    pub(super) fn nanos() -> u64 {
        let time = clock_gettime(ClockId::MonotonicCoarse);
        // Neither is ever below zero, and 584 years fit.
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }
}

/// Elsewhere the exact time must do.
#[cfg(not(target_os = "linux"))]
mod coarse {
    use std::sync::OnceLock;
    use std::time::Instant;

    #[allow(clippy::disallowed_methods, reason = "a part of the system clock")]
    pub(super) fn nanos() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        let passed = START.get_or_init(Instant::now).elapsed();
        u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Waits for `work`, at most until `limit` has passed on `clock`.
///
/// # Errors
///
/// [`Elapsed`] when the limit came first; `work` is dropped then, which cancels it.
pub async fn timeout<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let mut work = pin!(work);
    let mut alarm = clock.sleep(limit);
    std::future::poll_fn(|cx| {
        // The work goes first: a result that is ready at the deadline is a result.
        if let std::task::Poll::Ready(value) = work.as_mut().poll(cx) {
            return std::task::Poll::Ready(Ok(value));
        }
        alarm.as_mut().poll(cx).map(|()| Err(Elapsed(limit)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarse_time_goes_as_fast_as_the_time_and_a_little_behind() {
        let clock = SystemClock;
        let (began, first) = (clock.now(), clock.coarse_nanos());
        let mut last = first;
        while last - first < 30_000_000 {
            let coarse = clock.coarse_nanos();
            assert!(coarse >= last);
            last = coarse;
        }
        // What it was behind at first, a tick at most, may have been made up.
        let behind = Duration::from_millis(11);
        assert!(Duration::from_nanos(last - first) <= clock.now() - began + behind);
    }
}

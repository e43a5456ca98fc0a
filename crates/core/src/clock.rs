//! Time as a dependency: production reads the machine's clocks, tests move time by hand.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::error::Elapsed;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A [`Clock`] that many owners share.
pub type SharedClock = Arc<dyn Clock>;

/// The only way in which buttress reads or waits for time.
///
/// Durations are measured on [`now`](Clock::now), which never goes back; [`wall`](Clock::wall) is for
/// timestamps that people or other machines read, and may jump.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The monotonic time.
    fn now(&self) -> Instant;

    /// The monotonic time as of the system's last tick: a few milliseconds behind [`now`](Clock::now) and never ahead of it,
    /// for a fraction of its cost. For expiry and rates, which are checked on every call and are no more exact than that.
    fn coarse(&self) -> Instant {
        self.now()
    }

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
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

// The one place where the machine's clocks are read.
#[allow(clippy::disallowed_methods)]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[cfg(target_os = "linux")]
    fn coarse(&self) -> Instant {
        coarse::now()
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
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use rustix::time::{ClockId, clock_gettime};

    #[allow(clippy::disallowed_methods, reason = "a part of the system clock")]
    pub(super) fn now() -> Instant {
        // `Instant` tells no number, so the two clocks are tied together once, where both read the same hardware.
        static START: OnceLock<(Instant, Duration)> = OnceLock::new();
        let (start, monotonic) = *START.get_or_init(|| (Instant::now(), read(ClockId::Monotonic)));
        start + read(ClockId::MonotonicCoarse).saturating_sub(monotonic)
    }

    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
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
    fn the_coarse_time_is_behind_the_time_and_goes_on() {
        let clock = SystemClock;
        let first = clock.coarse();
        let mut last = first;
        while last.duration_since(first) < Duration::from_millis(30) {
            let coarse = clock.coarse();
            assert!(coarse >= last);
            assert!(coarse <= clock.now());
            last = coarse;
        }
    }
}

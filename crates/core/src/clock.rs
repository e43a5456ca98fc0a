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

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until(deadline.into()))
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

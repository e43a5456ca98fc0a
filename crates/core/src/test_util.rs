//! Time that moves by hand, and a sink that remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use crate::clock::{BoxFuture, Clock, SharedClock};
use crate::event::{Event, Sink};

/// A clock whose time moves only by [`advance`](TestClock::advance). Clones share the time.
///
/// ```
/// use buttress_core::{Clock, TestClock};
/// use std::time::Duration;
///
/// let clock = TestClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now() - start, Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone)]
pub struct TestClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    start: Instant,
    now: Instant,
    wall: SystemTime,
    sleepers: Vec<Waker>,
}

impl TestClock {
    /// A clock that stands at 2026-01-01 00:00:00 UTC.
    // The monotonic start has to come from somewhere; only differences to it are ever seen.
    #[allow(clippy::disallowed_methods, clippy::new_without_default)]
    #[must_use]
    pub fn new() -> Self {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_hours(490_896);
        let start = Instant::now();
        Self { state: Arc::new(Mutex::new(State { start, now: start, wall, sleepers: Vec::new() })) }
    }

    /// This clock as a component wants it.
    #[must_use]
    pub fn shared(&self) -> SharedClock {
        SharedClock::new(self.clone())
    }

    /// Moves both times forward and wakes whoever sleeps.
    pub fn advance(&self, by: Duration) {
        let sleepers = {
            let mut state = self.state();
            state.now += by;
            state.wall += by;
            std::mem::take(&mut state.sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// Sets the time of day, as an administrator or NTP does; the monotonic time stays.
    pub fn set_wall(&self, wall: SystemTime) {
        self.state().wall = wall;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        self.state().now
    }

    fn coarse_nanos(&self) -> u64 {
        let state = self.state();
        u64::try_from((state.now - state.start).as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall(&self) -> SystemTime {
        self.state().wall
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let mut state = clock.state();
            if state.now >= deadline {
                return Poll::Ready(());
            }
            if !state.sleepers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.sleepers.push(cx.waker().clone());
            }
            Poll::Pending
        }))
    }
}

/// A [`Sink`] that keeps every event for a test to look at. Clones share the log.
#[derive(Debug, Clone, Default)]
pub struct EventLog(Arc<Mutex<Vec<Event>>>);

impl EventLog {
    /// All events so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for EventLog {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

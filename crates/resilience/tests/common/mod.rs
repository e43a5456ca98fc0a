//! What several tests need.
#![allow(dead_code, unreachable_pub, clippy::panic)] // no test needs all of it

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events, TestClock};

/// An error of any class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub ErrorClass, pub Option<Duration>);

impl Classify for Wrong {
    fn class(&self) -> ErrorClass {
        self.0
    }

    fn retry_after(&self) -> Option<Duration> {
        self.1
    }
}

pub const DOWN: Wrong = Wrong(ErrorClass::Unavailable, None);

/// A clock to be moved, and a log of what was told.
pub struct Stage {
    pub clock: TestClock,
    pub log: EventLog,
    pub ctx: Ctx,
}

pub fn stage() -> Stage {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    Stage { clock, log, ctx }
}

impl Stage {
    /// Moves time in small steps, as time does.
    pub async fn pass(&self, time: Duration) {
        for _ in 0..20 {
            self.clock.advance(time / 20);
            settle().await;
        }
    }

    /// The details of events of one kind.
    pub fn told(&self, action: &str) -> Vec<String> {
        let events = self.log.events();
        events.into_iter().filter(|event| event.action == action).filter_map(|event| event.detail).collect()
    }
}

/// Lets all tasks go as far as they can.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

pub fn polled<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Awaits `future` while time passes in steps.
pub async fn driven<F: Future>(clock: &TestClock, step: Duration, future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = polled(future.as_mut()) {
            return value;
        }
        clock.advance(step);
        tokio::task::yield_now().await;
    }
    panic!("a future that does not end");
}

/// What a future answers that must have ended.
pub fn ended<F: Future + ?Sized>(mut future: Pin<Box<F>>) -> F::Output {
    match polled(future.as_mut()) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it has not ended"),
    }
}

//! The desk under loom: every order in which threads can take its locks.
//!
//! The core of the crate is compiled here a second time, on loom's locks instead of std's.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(dead_code, unreachable_pub)] // The core is larger than what these tests use.

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
#[path = "../src/desk.rs"]
mod desk;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/retry.rs"]
mod retry;
#[path = "../src/state.rs"]
mod state;
#[path = "../src/status.rs"]
mod status;
#[path = "../src/tally.rs"]
mod tally;
#[path = "../src/time.rs"]
mod time;
#[path = "../src/verdict.rs"]
mod verdict;
#[path = "../src/waiters.rs"]
mod waiters;

use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use loom::future::block_on;
use loom::thread;

use desk::{Desk, InLine, Shell};
use retry::RetryRules;
use state::{Rules, State};
use time::Time;
use verdict::{Ask, Effects};
use waiters::Priority;

/// A pool of numbers, created at once where they are asked for.
struct Pool {
    desk: Desk<u32>,
    now: Time,
}

impl Shell<u32> for Pool {
    fn desk(&self) -> &Desk<u32> {
        &self.desk
    }

    fn now(&self) -> Time {
        self.now
    }

    fn is_attended(&self) -> bool {
        true
    }

    fn act(&self, effects: Effects<u32>) {
        if let Some(waker) = effects.wake {
            waker.wake();
        }
        let Some(more) = effects.more else { return };
        more.wake.into_iter().for_each(Waker::wake);
        for _ in more.closed {
            let mut effects = Effects::default();
            self.desk.lock().put_away(self.now, &mut effects);
            self.act(effects);
        }
        for _ in 0..more.create {
            let mut effects = Effects::default();
            self.desk.lock().created(7, self.now, &mut effects);
            self.act(effects);
        }
    }
}

impl Pool {
    fn of(max: usize) -> Arc<Self> {
        let rules = Rules {
            max,
            min_idle: 0,
            overflow: 0,
            waiters: 8,
            idle: None,
            max_age: None,
            max_uses: 0,
            unchecked: None,
            check_every: None,
            leak_after: None,
            failures: 1,
            open_for: Duration::ZERO,
            retry: RetryRules { first: Duration::ZERO, most: Duration::ZERO },
        };
        #[allow(clippy::disallowed_methods)] // A moment like any other.
        let start = Instant::now();
        Arc::new(Self { desk: Desk::new(State::new(rules, 1)), now: Time::of(start, start) })
    }

    fn take(&self) -> InLine<'_, u32, Self> {
        let ask = Ask {
            now: self.now,
            since: self.now,
            deadline: Time::NEVER,
            priority: Priority::Normal,
            wait: true,
            first: false,
            by: Location::caller(),
        };
        InLine::new(self, ask)
    }

    fn give_back(&self, slot: usize) {
        let mut effects = Effects::default();
        self.desk.lock().give_back(slot, 7, self.now, &mut effects);
        self.act(effects);
    }

    fn use_once(&self) {
        let lent = block_on(self.take()).unwrap();
        self.give_back(lent.slot);
    }

    /// Asks, and goes away before or after being served.
    fn ask_and_leave(&self) {
        let mut future = pin!(self.take());
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let std::task::Poll::Ready(Ok(lent)) = polled {
            self.give_back(lent.slot);
        }
    }

    fn assert_at_rest(&self) {
        let status = self.desk.lock().status(self.now);
        assert_eq!((status.in_use, status.waiting, status.creating), (0, 0, 0));
        assert_eq!(status.size, status.idle);
    }
}

#[test]
fn two_callers_and_one_object() {
    loom::model(|| {
        let pool = Pool::of(1);
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.use_once()
        });
        pool.use_once();
        other.join().unwrap();
        pool.assert_at_rest();
        assert_eq!(pool.desk.lock().status(pool.now).size, 1);
    });
}

#[test]
fn one_who_leaves_while_being_served_keeps_nothing() {
    loom::model(|| {
        let pool = Pool::of(1);
        let held = block_on(pool.take()).unwrap();
        let leaving = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.ask_and_leave()
        });
        let waiting = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.use_once()
        });
        pool.give_back(held.slot);
        leaving.join().unwrap();
        waiting.join().unwrap();
        pool.assert_at_rest();
    });
}

#[test]
fn a_lost_object_is_replaced_for_whoever_waits() {
    loom::model(|| {
        let pool = Pool::of(1);
        let held = block_on(pool.take()).unwrap();
        let waiting = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.use_once()
        });
        let mut effects = Effects::default();
        pool.desk.lock().lost(held.slot, status::Closed::Broken, pool.now, &mut effects);
        pool.act(effects);
        waiting.join().unwrap();
        pool.assert_at_rest();
    });
}

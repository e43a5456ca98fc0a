//! A callee that is overloaded for a while, and whether it comes back: the metastable failure (Bronson and others,
//! "Metastable Failures in Distributed Systems", `HotOS` 2021), on a clock that the test moves.
//!
//! The callee answers 100 calls a second, one after the other, out of a queue for 150. Its clients wait for a second each,
//! and the callee works on for those who have gone. So when the queue is full all work is in vain, and it stays full as
//! long as more than 100 attempts come a second: with 70 calls a second, from 1.43 attempts a call on.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, TestClock, timeout};

use crate::{BudgetConfig, Failure, Part, Policy, ResilienceConfig, Retry, RetryConfig};
use buttress_core::Random;

const STEP: Duration = Duration::from_millis(10);
/// Calls and answers for each second.
const NORMAL: u32 = 70;
const OVERLOAD: u32 = 300;
const QUEUE: usize = 150;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Busy(ErrorClass);

impl Classify for Busy {
    fn class(&self) -> ErrorClass {
        self.0
    }
}

/// One answer each step.
#[derive(Default)]
struct Callee {
    queue: RefCell<VecDeque<Rc<Cell<bool>>>>,
    attempts: Cell<u32>,
}

impl Callee {
    fn work(&self) {
        if let Some(answered) = self.queue.borrow_mut().pop_front() {
            answered.set(true);
        }
    }

    async fn call(&self) -> Result<(), Busy> {
        self.attempts.set(self.attempts.get() + 1);
        let answered = Rc::new(Cell::new(false));
        if self.queue.borrow().len() >= QUEUE {
            return Err(Busy(ErrorClass::Overloaded));
        }
        self.queue.borrow_mut().push_back(Rc::clone(&answered));
        std::future::poll_fn(|_| if answered.get() { Poll::Ready(Ok(())) } else { Poll::Pending }).await
    }
}

/// How a client calls.
trait Client {
    async fn call(&self, callee: &Callee) -> bool;
}

/// With retries and a limit on each attempt, and nothing else.
struct Retrying(Retry, TestClock);

impl Client for Retrying {
    async fn call(&self, callee: &Callee) -> bool {
        let Self(retry, clock) = self;
        let attempt = |_| async {
            let limited = timeout(clock, Duration::from_secs(1), callee.call()).await;
            limited.unwrap_or(Err(Busy(ErrorClass::Timeout)))
        };
        retry.run(attempt).await.is_ok()
    }
}

impl Client for Policy {
    async fn call(&self, callee: &Callee) -> bool {
        let result: Result<(), Failure<Busy>> = self.run(|_| callee.call()).await;
        result.is_ok()
    }
}

/// One second of a run.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    /// Calls that were made in it.
    calls: u32,
    /// Of these, those that were answered.
    answered: u32,
    /// What the callee saw in it.
    attempts: u32,
}

impl Second {
    fn goodput(self) -> f64 {
        f64::from(self.answered) / f64::from(self.calls)
    }
}

type Calling<'c> = Pin<Box<dyn Future<Output = bool> + 'c>>;

/// 10 seconds of normal load, 30 of overload, 60 of normal load.
fn run(clock: &TestClock, client: &impl Client) -> Vec<Second> {
    let callee = Callee::default();
    let mut seconds = vec![Second::default(); 100];
    let mut calls: Vec<(usize, Calling<'_>)> = Vec::new();
    let mut due = 0;
    for step in 0..100 * seconds.len() {
        let second = step / 100;
        due += if (10..40).contains(&second) { OVERLOAD } else { NORMAL };
        while due >= 100 {
            due -= 100;
            calls.push((second, Box::pin(client.call(&callee))));
            seconds[second].calls += 1;
        }
        callee.work();
        calls.retain_mut(|(made, call)| match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => true,
            Poll::Ready(answered) => {
                seconds[*made].answered += u32::from(answered);
                false
            }
        });
        seconds[second].attempts += callee.attempts.take();
        clock.advance(STEP);
    }
    seconds
}

fn retrying(budget: BudgetConfig) -> Vec<Second> {
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let config = RetryConfig { attempts: 3, budget, ..RetryConfig::default() };
    let retry = Retry::with_random("callee", &config, &ctx, Random::new(42)).unwrap().idempotent();
    run(&clock, &Retrying(retry, clock.clone()))
}

/// Seconds after the overload from which on at least 95 of 100 calls are answered.
fn recovered(seconds: &[Second]) -> Option<usize> {
    // Those of the last seconds have not all ended.
    let after = &seconds[40..95];
    let bad = after.iter().rposition(|second| second.goodput() < 0.95);
    Some(bad.map_or(0, |bad| bad + 1)).filter(|from| *from < after.len())
}

#[test]
fn retries_out_of_a_budget_let_the_callee_recover_and_naive_ones_do_not() {
    let budget = retrying(BudgetConfig::default());
    let within = recovered(&budget);
    assert!(within.is_some_and(|within| within <= 10), "{within:?}: {budget:?}");
    // 300 calls a second, a tenth more, the least rate, and what was saved up.
    let attempts: u32 = budget[10..40].iter().map(|second| second.attempts).sum();
    assert!(f64::from(attempts) <= 9000.0 * 1.1 + 300.0 + 101.0, "{attempts}");

    let naive = retrying(BudgetConfig { share: 1.0, least: 1_000_000, burst: 1_000_000 });
    assert!(
        naive[..9].iter().all(|second| second.goodput() > 0.99),
        "it is the overload that brings it down"
    );
    assert_eq!(recovered(&naive), None);
    let last: f64 = naive[85..95].iter().map(|second| second.goodput()).sum();
    assert!(last < 1.0, "it would come back by itself: {last}");

    let none = retrying(BudgetConfig { share: 0.0, least: 0, burst: 1 });
    assert!(recovered(&none).is_some_and(|within| within <= 10), "no retries are no trouble, and no help");
}

#[test]
fn a_run_is_the_same_each_time() {
    let attempts =
        || retrying(BudgetConfig::default()).iter().map(|second| second.attempts).collect::<Vec<_>>();
    assert_eq!(attempts(), attempts());
}

#[test]
fn a_whole_policy_lets_the_callee_recover() {
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let config = ResilienceConfig {
        timeout: Duration::from_secs(1),
        parts: vec![Part::Retry, Part::Breaker],
        ..ResilienceConfig::default()
    };
    let seconds = run(&clock, &Policy::new(&config, &ctx).unwrap().idempotent());
    let within = recovered(&seconds);
    assert!(within.is_some_and(|within| within <= 15), "{within:?}: {seconds:?}");
}

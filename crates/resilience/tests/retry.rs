//! Retries: their schedule, their deadline, their budget.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use buttress_core::{Clock, ErrorClass};
use buttress_resilience::{BudgetConfig, Deadline, Retry, RetryBudget, RetryConfig, Verdict, deadline};
use common::{DOWN, Stage, Wrong, driven, polled, stage};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn retry(stage: &Stage, configure: impl FnOnce(&mut RetryConfig)) -> Retry {
    let mut config = RetryConfig::default();
    config.attempts = 5;
    configure(&mut config);
    Retry::new("callee", &config, &stage.ctx).unwrap().idempotent()
}

#[tokio::test]
async fn waits_grow_and_are_random_below_their_ceiling() {
    let mut all = Vec::new();
    for _ in 0..20 {
        let stage = stage();
        let retry = retry(&stage, |config| config.most = 300 * MS);
        let times = RefCell::new(Vec::new());
        let call = retry.run(|attempt| {
            times.borrow_mut().push(stage.clock.now());
            assert_eq!(attempt.number as usize, times.borrow().len());
            async { Err::<(), _>(DOWN) }
        });
        assert_eq!(driven(&stage.clock, MS, call).await, Err(DOWN));
        let times = times.into_inner();
        let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(waits.len(), 4);
        for (wait, most) in waits.iter().zip([100, 200, 300, 300]) {
            assert!(*wait <= MS * (most + 2), "{waits:?}");
        }
        all.extend(waits);
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() > 40, "they are hardly random: {all:?}");
}

#[tokio::test]
async fn what_may_be_done_once_is_tried_again_only_if_it_was_refused() {
    let stage = stage();
    let once = Retry::new("callee", &RetryConfig::default(), &stage.ctx).unwrap();
    for (retry, class, attempts) in [
        (once.clone(), ErrorClass::Unavailable, 1),
        (once.clone(), ErrorClass::Overloaded, 3),
        (once.idempotent(), ErrorClass::Unavailable, 3),
        (once.idempotent(), ErrorClass::Invalid, 1),
    ] {
        let made = Cell::new(0);
        let call = retry.run(|_| {
            made.set(made.get() + 1);
            async move { Err::<(), _>(Wrong(class, None)) }
        });
        driven(&stage.clock, MS, call).await.unwrap_err();
        assert_eq!(made.get(), attempts, "{class}");
    }
}

#[tokio::test]
async fn a_closure_may_know_better_than_the_error() {
    let stage = stage();
    let made = Cell::new(0);
    let retry = retry(&stage, |_| {});
    let judge = |error: &&str| {
        Verdict::class(if *error == "gone" { ErrorClass::NotFound } else { ErrorClass::Timeout })
    };
    let call = retry.run_judged(judge, |attempt| {
        made.set(attempt.number);
        async move { Err::<(), _>(if attempt.number < 3 { "late" } else { "gone" }) }
    });
    assert_eq!(driven(&stage.clock, MS, call).await, Err("gone"));
    assert_eq!(made.get(), 3);
}

#[tokio::test]
async fn it_waits_for_as_long_as_the_callee_asks_within_bounds() {
    for (asked, attempts) in [(5 * SECOND, 2), (30 * SECOND, 2), (31 * SECOND, 1)] {
        let stage = stage();
        let retry = retry(&stage, |config| config.attempts = 2);
        let start = stage.clock.now();
        let made = RefCell::new(Vec::new());
        let call = retry.run(|_| {
            made.borrow_mut().push(stage.clock.now() - start);
            async move { Err::<(), _>(Wrong(ErrorClass::Throttled, Some(asked))) }
        });
        driven(&stage.clock, MS, call).await.unwrap_err();
        let made = made.into_inner();
        assert_eq!(made.len(), attempts, "{asked:?}");
        assert!(made.get(1).is_none_or(|at| *at >= asked && *at <= asked + 102 * MS), "{made:?}");
    }
}

#[tokio::test]
async fn it_never_waits_past_the_deadline() {
    for seed in 0..30 {
        let stage = stage();
        let retry = retry(&stage, |config| {
            config.attempts = 100;
            config.first = SECOND;
        });
        let deadline = Deadline::within(&stage.clock, Duration::from_millis(500 + 100 * seed));
        let ended = deadline::scope(deadline, async {
            let call = retry.run(|attempt| {
                assert_eq!(attempt.deadline, Some(deadline));
                async { Err::<(), _>(DOWN) }
            });
            driven(&stage.clock, MS, call).await.unwrap_err();
            stage.clock.now()
        });
        assert!(ended.await <= deadline.instant());
    }
}

#[tokio::test]
async fn an_empty_budget_ends_retries_and_says_so_once() {
    let stage = stage();
    let retry = retry(&stage, |config| {
        config.attempts = 2;
        config.budget.burst = 3;
        config.budget.least = 0;
        config.budget.share = 0.1;
    });
    let mut made = 0;
    for _ in 0..43 {
        let attempts = Cell::new(0);
        let call = retry.run(|_| {
            attempts.set(attempts.get() + 1);
            async { Err::<(), _>(DOWN) }
        });
        driven(&stage.clock, MS, call).await.unwrap_err();
        made += attempts.get();
    }
    assert_eq!(made - 43, 3 + 4, "three that were saved, and a tenth of the calls since the first retry");
    let told = stage.told("retry_budget.change");
    assert_eq!(told[0], "used up; failures are not retried");
    assert!(told.len() <= 2 * 4 + 1, "{told:?}");
}

#[tokio::test]
async fn clients_share_a_budget() {
    let stage = stage();
    let mut config = BudgetConfig::default();
    (config.burst, config.least) = (5, 0);
    let budget = RetryBudget::new(&config, &stage.ctx).unwrap();
    let one = retry(&stage, |_| {}).with_budget(budget.clone());
    let other = retry(&stage, |_| {}).with_budget(budget.clone());
    for retry in [one, other] {
        driven(&stage.clock, MS, retry.run(|_| async { Err::<(), _>(DOWN) })).await.unwrap_err();
    }
    assert_eq!(budget.retries(), 0);
}

#[tokio::test]
async fn the_least_rate_is_paid_as_time_passes() {
    let stage = stage();
    let mut config = BudgetConfig::default();
    (config.burst, config.least, config.share) = (100, 10, 0.0);
    let budget = RetryBudget::new(&config, &stage.ctx).unwrap();
    (0..100).for_each(|_| assert!(budget.withdraw()));
    assert!(!budget.withdraw());
    stage.clock.advance(SECOND / 10);
    assert!(budget.withdraw() && !budget.withdraw());
    stage.clock.advance(1000 * SECOND);
    assert_eq!(budget.retries(), 100, "no more than the burst is saved up");
}

#[tokio::test]
async fn a_wait_may_be_dropped() {
    let stage = stage();
    let retry = retry(&stage, |_| {});
    let before = retry.budget().retries();
    let mut call = Box::pin(retry.run(|_| async { Err::<(), _>(DOWN) }));
    assert!(polled(call.as_mut()).is_pending());
    drop(call);
    assert_eq!(retry.budget().retries(), before - 1);
}

/// What a client does to a budget.
#[derive(Debug, Clone, Copy)]
enum Step {
    Call,
    Retry,
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Call),
        4 => Just(Step::Retry),
        1 => (0_u64..2000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn retries_never_exceed_the_budget(steps in steps(), share in 0_u32..=10, least in 0_u32..50, burst in 1_u32..20) {
        let stage = stage();
        let mut config = BudgetConfig::default();
        (config.share, config.least, config.burst) = (f64::from(share) / 10.0, least, burst);
        let budget = RetryBudget::new(&config, &stage.ctx).unwrap();
        let (mut calls, mut time) = (0.0, 0.0);
        let mut made = Vec::new();
        for step in steps {
            match step {
                Step::Call => { budget.deposit(); calls += 1.0; }
                Step::Pass(ms) => { stage.clock.advance(MS * u32::try_from(ms).unwrap()); time += ms as f64 / 1000.0; }
                Step::Retry => if budget.withdraw() { made.push((calls, time)); },
            }
        }
        // In any stretch, from one retry to another.
        for (first, start) in made.iter().enumerate() {
            for (last, end) in made.iter().enumerate().skip(first) {
                let granted = f64::from(burst) + config.share * (end.0 - start.0) + f64::from(least) * (end.1 - start.1);
                prop_assert!((last - first + 1) as f64 <= granted + 1.001, "{} > {}", last - first + 1, granted);
            }
        }
    }
}

#[test]
fn retries_never_exceed_the_budget_whatever_the_threads_do() {
    let stage = stage();
    let mut config = BudgetConfig::default();
    (config.share, config.least, config.burst) = (0.1, 0, 50);
    let budget = RetryBudget::new(&config, &stage.ctx).unwrap();
    let retries: usize = std::thread::scope(|scope| {
        let work = || {
            scope.spawn(|| {
                (0..10_000)
                    .filter(|_| {
                        budget.deposit();
                        budget.withdraw()
                    })
                    .count()
            })
        };
        let threads: Vec<_> = (0..4).map(|_| work()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(retries <= 50 + 4_000, "{retries}");
    assert!(retries >= 4_000, "{retries}: what was paid in can be taken out");
}

//! A whole policy: its order, its deadlines, and what a dropped call leaves behind.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use buttress_core::{Classify, Clock, ErrorClass, RejectionReason, TestClock, Validate};
use buttress_resilience::{
    BreakerState, Deadline, Failure, Hedge, HedgeConfig, Part, Policy, Priority, ResilienceConfig, Retry,
    RetryConfig, Verdict, deadline,
};
use common::{DOWN, Stage, Wrong, driven, ended, polled, settle, stage};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn policy(stage: &Stage, configure: impl FnOnce(&mut ResilienceConfig)) -> Policy {
    let mut config = ResilienceConfig::default();
    config.timeout = SECOND;
    configure(&mut config);
    Policy::new(&config, &stage.ctx).unwrap()
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    let stage = stage();
    let policy = policy(&stage, |_| {});
    let answer = policy.run(|attempt| async move {
        assert_eq!(Deadline::current(), attempt.deadline);
        Ok::<_, Wrong>(attempt.number)
    });
    assert_eq!(answer.await, Ok(1));
    let wrong = policy.run(|_| async { Err::<(), _>(DOWN) }).await.unwrap_err();
    assert_eq!((wrong.class(), wrong.call()), (ErrorClass::Unavailable, Some(&DOWN)));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_cancelled_and_tried_again() {
    let stage = stage();
    let policy = policy(&stage, |_| {}).idempotent();
    let start = stage.clock.now();
    let call = policy.run(|attempt| {
        let clock = stage.clock.clone();
        async move {
            let left = attempt.deadline.unwrap().remaining(&clock);
            assert!(left + 2 * MS > SECOND && left <= SECOND, "each attempt has a limit of its own");
            if attempt.number < 3 {
                std::future::pending::<()>().await;
            }
            Ok::<_, Wrong>(attempt.number)
        }
    });
    assert_eq!(driven(&stage.clock, MS, call).await, Ok(3));
    assert!(stage.clock.now() - start >= 2 * SECOND);
}

#[tokio::test]
async fn the_deadline_holds_for_the_whole_and_the_callers_own_is_kept() {
    for (own, limit) in [(3 * SECOND, None), (60 * SECOND, Some(3 * SECOND))] {
        let stage = stage();
        let policy = policy(&stage, |config| {
            config.deadline = own;
            config.retry.attempts = 100;
        });
        let policy = policy.idempotent();
        let start = stage.clock.now();
        let work = driven(&stage.clock, MS, policy.run(|_| std::future::pending::<Result<(), Wrong>>()));
        let failure = match limit {
            None => work.await.unwrap_err(),
            Some(limit) => {
                let deadline = Deadline::within(&stage.clock, limit);
                // The scope is the task's own, as a server has it around a request.
                deadline::scope(deadline, work).await.unwrap_err()
            }
        };
        assert!(matches!(failure, Failure::TimedOut(_)), "{failure:?}");
        let took = stage.clock.now() - start;
        assert!(took >= 2 * SECOND && took <= 3 * SECOND + MS, "{took:?}");
    }
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_made() {
    let stage = stage();
    let policy = policy(&stage, |_| {});
    let deadline = Deadline::at(stage.clock.now());
    let call = policy.run(|_| async { unreachable!("called too late") as Result<(), Wrong> });
    let failure = deadline::scope(deadline, call).await.unwrap_err();
    assert_eq!(failure, Failure::TimedOut(buttress_core::Elapsed(Duration::ZERO)));
}

#[tokio::test]
async fn an_open_circuit_is_not_waited_for() {
    let stage = stage();
    let policy = policy(&stage, |config| {
        (config.breaker.least, config.retry.attempts) = (6, 3);
    })
    .idempotent();
    let calls = AtomicU32::new(0);
    let call = || {
        policy.run(|_| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(DOWN) }
        })
    };
    for _ in 0..2 {
        assert_eq!(driven(&stage.clock, MS, call()).await, Err(Failure::Call(DOWN)));
    }
    assert_eq!(policy.breaker().unwrap().state(), BreakerState::Open);
    let refused = call().await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Unavailable);
    assert!(refused.retry_after().is_some());
    assert_eq!(calls.load(Ordering::Relaxed), 6);
}

#[tokio::test]
async fn what_is_refused_for_want_of_room_does_not_count_against_the_callee() {
    let stage = stage();
    let policy = policy(&stage, |config| {
        (config.bulkhead.limit, config.bulkhead.waiters) = (1, 0);
        config.breaker.least = 1;
    });
    let mut held = Box::pin(policy.run(|_| std::future::pending::<Result<(), Wrong>>()));
    assert!(polled(held.as_mut()).is_pending());
    for _ in 0..50 {
        let refused = policy.priority(Priority::High).run(|_| async { Ok::<_, Wrong>(()) }).await;
        let Err(Failure::Rejected(rejection)) = refused else { panic!("{refused:?}") };
        assert_eq!(rejection.reason(), RejectionReason::Full);
    }
    assert_eq!(policy.breaker().unwrap().counts(), (0, 0, 0));
}

#[tokio::test]
async fn a_timeout_counts_against_the_callee() {
    let stage = stage();
    let policy = policy(&stage, |config| {
        config.parts = vec![Part::Breaker];
        config.breaker.least = 3;
    });
    for _ in 0..3 {
        let call = policy.run(|_| std::future::pending::<Result<(), Wrong>>());
        driven(&stage.clock, 100 * MS, call).await.unwrap_err();
    }
    assert_eq!(policy.breaker().unwrap().state(), BreakerState::Open);
}

#[tokio::test]
async fn a_wait_in_line_does_not_make_a_call_slow() {
    let stage = stage();
    let policy = policy(&stage, |config| {
        config.bulkhead.limit = 1;
        config.bulkhead.wait = 10 * SECOND;
        config.breaker.slow_after = Some(SECOND / 2);
    });
    let mut held = Box::pin(policy.run(|_| std::future::pending::<Result<(), Wrong>>()));
    assert!(polled(held.as_mut()).is_pending());
    let mut waits = Box::pin(policy.run(|_| async { Ok::<_, Wrong>(()) }));
    assert!(polled(waits.as_mut()).is_pending());
    stage.clock.advance(SECOND * 3 / 4);
    drop(held);
    ended(waits).unwrap();
    assert_eq!(policy.breaker().unwrap().counts(), (1, 0, 0));
}

#[tokio::test]
async fn callers_who_come_at_their_last_moment_do_not_open_the_circuit() {
    let stage = stage();
    let policy = policy(&stage, |config| {
        config.parts = vec![Part::Breaker];
        config.breaker.least = 1;
    });
    for (left, state) in [(SECOND / 11, BreakerState::Closed), (SECOND / 10, BreakerState::Open)] {
        let deadline = Deadline::within(&stage.clock, left);
        let call = policy.run(|_| std::future::pending::<Result<(), Wrong>>());
        let mut call = Box::pin(deadline::scope(deadline, call));
        assert!(polled(call.as_mut()).is_pending());
        stage.clock.advance(left);
        assert!(matches!(ended(call), Err(Failure::TimedOut(limit)) if limit.0 == left));
        assert_eq!(policy.breaker().unwrap().state(), state);
    }
}

#[tokio::test]
async fn a_fallback_answers_for_what_failed() {
    let stage = stage();
    let policy = policy(&stage, |_| {});
    let cached = policy.run_or_else(
        |_| async { Err::<u32, _>(DOWN) },
        |failure| async move {
            assert_eq!(failure, Failure::Call(DOWN));
            Ok::<_, Wrong>(41)
        },
    );
    assert_eq!(cached.await, Ok(41));
}

#[tokio::test]
async fn foreign_errors_are_judged_by_a_closure() {
    let stage = stage();
    let policy = policy(&stage, |_| {}).idempotent();
    let made = Cell::new(0);
    let judge = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionReset => Verdict::class(ErrorClass::Unavailable),
        _ => Verdict::class(ErrorClass::Internal),
    };
    let call = policy.run_judged(judge, |attempt| {
        made.set(attempt.number);
        async { Err::<(), _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset)) }
    });
    driven(&stage.clock, MS, call).await.unwrap_err();
    assert_eq!(made.get(), 3);
}

#[tokio::test]
async fn a_call_may_be_dropped_at_any_await() {
    let mut came_to_an_end = 0;
    for polls in 0..40 {
        let stage = stage();
        let policy = policy(&stage, |config| {
            config.parts.push(Part::Hedge);
            config.hedge.delay = 2 * MS;
            (config.bulkhead.limit, config.breaker.least) = (2, 100);
        })
        .idempotent();
        // It waits in line at first.
        let mut held: Vec<_> =
            (0..2).map(|_| Box::pin(policy.run(|_| std::future::pending::<Result<(), Wrong>>()))).collect();
        for call in &mut held {
            assert!(polled(call.as_mut()).is_pending());
        }
        let clock = stage.clock.clone();
        let mut call = Box::pin(policy.run(|attempt| {
            let clock: TestClock = clock.clone();
            async move {
                clock.sleep(5 * MS).await;
                if attempt.number < 3 { Err(DOWN) } else { Ok(()) }
            }
        }));
        for poll in 0..polls {
            if polled(call.as_mut()).is_ready() {
                came_to_an_end += 1;
                break;
            }
            if poll == 2 {
                held.clear();
            }
            // The waits between attempts are random and up to 200 ms.
            stage.clock.advance(if poll < 10 { MS } else { 20 * MS });
        }
        drop((call, held));
        let bulkhead = policy.bulkhead().unwrap();
        assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0), "after {polls} polls");
    }
    assert!(came_to_an_end > 0, "some came to their end");
}

#[tokio::test]
async fn a_slow_call_is_hedged_and_the_loser_is_cancelled() {
    let stage = stage();
    let mut config = RetryConfig::default();
    config.budget.least = 0;
    let retry = Retry::new("callee", &config, &stage.ctx).unwrap();
    let hedge = Hedge::new("callee", &HedgeConfig::default(), retry.budget().clone(), &stage.ctx).unwrap();
    let before = retry.budget().retries();
    let dropped = std::sync::Arc::new(());
    let call = hedge.run(|number| {
        let (clock, guard) = (stage.clock.clone(), dropped.clone());
        async move {
            clock.sleep(if number == 1 { 10 * SECOND } else { SECOND }).await;
            drop(guard);
            Ok::<_, Wrong>(number)
        }
    });
    let start = stage.clock.now();
    assert_eq!(driven(&stage.clock, MS, call).await, Ok(2));
    assert!(stage.clock.now() - start <= SECOND + 110 * MS);
    assert_eq!(std::sync::Arc::strong_count(&dropped), 1, "the slower one is gone");
    assert_eq!(retry.budget().retries(), before - 1);
}

#[tokio::test]
async fn a_hedge_waits_for_the_other_call_when_one_fails() {
    let stage = stage();
    let retry = Retry::new("callee", &RetryConfig::default(), &stage.ctx).unwrap();
    let hedge = Hedge::new("callee", &HedgeConfig::default(), retry.budget().clone(), &stage.ctx).unwrap();
    for (fails_first, answer) in [(1, Ok(2)), (2, Ok(1))] {
        let call = hedge.run(|number| {
            let clock = stage.clock.clone();
            async move {
                clock.sleep(SECOND + if number == fails_first { Duration::ZERO } else { SECOND }).await;
                if number == fails_first { Err(DOWN) } else { Ok(number) }
            }
        });
        assert_eq!(driven(&stage.clock, MS, call).await, answer);
    }
    let fast = hedge.run(|_| async { Err::<(), _>(DOWN) });
    assert_eq!(fast.await, Err(DOWN), "what fails at once is not asked a second time");
}

#[tokio::test]
async fn a_hedge_learns_how_long_calls_take_and_keeps_to_the_budget() {
    let stage = stage();
    let mut config = RetryConfig::default();
    (config.budget.burst, config.budget.least) = (10, 0);
    let retry = Retry::new("callee", &config, &stage.ctx).unwrap();
    let hedge = Hedge::new("callee", &HedgeConfig::default(), retry.budget().clone(), &stage.ctx).unwrap();
    let hedges = AtomicU32::new(0);
    for number in 0..400_u32 {
        let time = if number.is_multiple_of(50) { 50 * MS } else { 10 * MS };
        let call = hedge.run(|leg| {
            hedges.fetch_add(leg - 1, Ordering::Relaxed);
            let clock = stage.clock.clone();
            async move {
                clock.sleep(time).await;
                Ok::<_, Wrong>(())
            }
        });
        driven(&stage.clock, MS, call).await.unwrap();
    }
    assert!(hedge.delay() >= 10 * MS && hedge.delay() <= 14 * MS, "{:?}", hedge.delay());
    assert!((1..=50).contains(&hedges.load(Ordering::Relaxed)), "{hedges:?}");
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_hedged() {
    let stage = stage();
    let policy = policy(&stage, |config| config.parts.push(Part::Hedge));
    for (policy, made) in [(policy.clone(), 1), (policy.idempotent(), 2)] {
        let calls = AtomicU32::new(0);
        let mut call = Box::pin(policy.run(|attempt| {
            assert_eq!(attempt.hedge, calls.fetch_add(1, Ordering::Relaxed) > 0);
            std::future::pending::<Result<(), Wrong>>()
        }));
        assert!(polled(call.as_mut()).is_pending());
        stage.clock.advance(200 * MS);
        assert!(polled(call.as_mut()).is_pending());
        settle().await;
        assert_eq!(calls.load(Ordering::Relaxed), made);
    }
}

#[test]
fn a_configuration_says_all_that_is_wrong_with_it() {
    let text = r#"{"name": "search", "timeout": "40s", "parts": ["breaker"], "bulkhead": {"low_share": 0.5, "normal_share": 0.4}}"#;
    let config: ResilienceConfig = serde_json::from_str(text).unwrap();
    let violations = config.validate().unwrap_err();
    let fields: Vec<_> = violations.as_slice().iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, ["timeout", "bulkhead.low_share"]);
    assert!(serde_json::from_str::<ResilienceConfig>(r#"{"retries": 3}"#).is_err());
    let usual = ResilienceConfig::default();
    usual.validate().unwrap();
    let text = serde_json::to_string(&usual).unwrap();
    assert_eq!(serde_json::from_str::<ResilienceConfig>(&text).unwrap(), usual);
}

#[test]
fn the_configuration_of_the_readme_is_one() {
    let readme = include_str!("../README.md");
    let text = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config: ResilienceConfig = toml::from_str(text).unwrap();
    config.validate().unwrap();
    assert_eq!((config.name.as_str(), config.breaker.slow_after), ("search", Some(2 * SECOND)));
}

#[test]
fn the_future_may_move_between_threads() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    let stage = stage();
    let policy = policy(&stage, |_| {});
    drop(sent(policy.run(|_| async { Ok::<_, Wrong>(()) })));
}

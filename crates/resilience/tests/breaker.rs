//! The circuit breaker as its callers see it, on a clock that tests move.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, Probe, RejectionReason, Vitality};
use buttress_resilience::{Breaker, BreakerConfig, BreakerState, Error, Failure, Verdict, WindowConfig};
use common::{DOWN, Stage, Wrong, driven, polled, stage};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(stage: &Stage, configure: impl FnOnce(&mut BreakerConfig)) -> Breaker {
    let mut config = BreakerConfig::default();
    config.window = WindowConfig::Calls(10);
    config.least = 5;
    (config.open_first, config.open_most) = (5 * SECOND, 60 * SECOND);
    configure(&mut config);
    Breaker::new("callee", &config, &stage.ctx).unwrap()
}

async fn fail(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        let _ = breaker.run(async { Err::<(), _>(DOWN) }).await;
    }
}

async fn succeed(breaker: &Breaker, times: usize) {
    for _ in 0..times {
        breaker.run(async { Ok::<_, Wrong>(()) }).await.unwrap();
    }
}

#[tokio::test]
async fn it_opens_refuses_probes_and_closes() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.probes = 2);
    succeed(&breaker, 4).await;
    fail(&breaker, 3).await;
    assert_eq!((breaker.state(), breaker.counts()), (BreakerState::Closed, (7, 3, 0)));
    fail(&breaker, 1).await;
    assert_eq!(breaker.state(), BreakerState::Open);

    let refused =
        breaker.run(async { unreachable!("called through an open circuit") as Result<(), Wrong> }).await;
    let Err(Failure::Rejected(rejection)) = refused else { panic!("{refused:?}") };
    assert_eq!(rejection.reason(), RejectionReason::CircuitOpen);
    let wait = rejection.retry_after().unwrap();
    assert!(wait >= 4 * SECOND && wait <= 5 * SECOND, "{wait:?}");

    stage.clock.advance(wait);
    succeed(&breaker, 1).await;
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    succeed(&breaker, 1).await;
    assert_eq!((breaker.state(), breaker.counts()), (BreakerState::Closed, (0, 0, 0)));

    let told = stage.told("breaker.change");
    assert_eq!(told.len(), 3);
    assert!(told[0].starts_with("closed -> open; of 8 calls 4 failed, 0 slow; tries again in "), "{told:?}");
    assert_eq!(told[1..], ["open -> half_open", "half_open -> closed"]);
}

#[tokio::test]
async fn each_opening_in_a_row_lasts_longer_up_to_the_most() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.open_most = 30 * SECOND);
    fail(&breaker, 5).await;
    for most in [5, 10, 20, 30, 30] {
        let wait = breaker.admit().err().unwrap().retry_after().unwrap();
        let most = most * SECOND;
        assert!(wait <= most && wait >= most.mul_f64(0.8), "{wait:?} of {most:?}");
        stage.clock.advance(wait);
        fail(&breaker, 1).await;
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}

#[tokio::test]
async fn it_stays_open_for_as_long_as_the_callee_asks() {
    let stage = stage();
    let breaker = breaker(&stage, |_| {});
    let busy = Wrong(ErrorClass::Overloaded, Some(25 * SECOND));
    for _ in 0..5 {
        let _ = breaker.run(async { Err::<(), _>(busy) }).await;
    }
    assert_eq!(breaker.admit().err().unwrap().retry_after(), Some(25 * SECOND));
}

#[tokio::test]
async fn what_says_nothing_of_the_callee_does_not_open_it() {
    let stage = stage();
    let breaker = breaker(&stage, |_| {});
    for class in [ErrorClass::Invalid, ErrorClass::NotFound, ErrorClass::Throttled, ErrorClass::Cancelled] {
        for _ in 0..20 {
            let _ = breaker.run(async { Err::<(), _>(Wrong(class, None)) }).await;
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "{class}");
    }
    let judge = |_: &Wrong| Verdict::class(ErrorClass::Timeout);
    for _ in 0..20 {
        let _ = breaker.run_judged(judge, async { Err::<(), _>(Wrong(ErrorClass::Invalid, None)) }).await;
    }
    assert_eq!(breaker.state(), BreakerState::Open, "the closure knows better");
}

#[tokio::test]
async fn slow_calls_open_it_too() {
    let stage = stage();
    let breaker = breaker(&stage, |config| {
        config.slow_after = Some(SECOND);
        config.slow_rate = 0.4;
    });
    for (time, calls) in [(Duration::from_millis(900), 6), (SECOND, 4)] {
        for _ in 0..calls {
            assert_eq!(breaker.state(), BreakerState::Closed);
            let permit = breaker.admit().unwrap();
            stage.clock.advance(time);
            permit.succeeded();
        }
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn a_window_of_time_forgets() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.window = WindowConfig::Time(10 * SECOND));
    fail(&breaker, 4).await;
    stage.clock.advance(5 * SECOND);
    succeed(&breaker, 1).await;
    assert_eq!(breaker.counts(), (5, 4, 0));
    stage.clock.advance(5 * SECOND);
    assert_eq!(breaker.counts(), (1, 0, 0));
    fail(&breaker, 3).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    fail(&breaker, 1).await;
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn exactly_so_many_probes_pass_and_one_that_goes_away_gives_its_place_back() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.probes = 3);
    fail(&breaker, 5).await;
    stage.clock.advance(5 * SECOND);
    let mut probes: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    assert!(probes.iter().all(buttress_resilience::Permit::is_probe));
    assert!(breaker.admit().is_err());
    drop(probes.pop());
    probes.push(breaker.admit().unwrap());
    assert!(breaker.admit().is_err());
    // A call that is dropped while it waits is a probe that goes away.
    drop(probes.pop());
    let mut call = Box::pin(breaker.run(std::future::pending::<Result<(), Wrong>>()));
    assert!(polled(call.as_mut()).is_pending());
    assert!(breaker.admit().is_err());
    drop(call);
    probes.push(breaker.admit().unwrap());
    for probe in probes {
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        probe.succeeded();
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn probes_that_never_end_do_not_keep_it_half_open() {
    let stage = stage();
    let breaker = breaker(&stage, |_| {});
    fail(&breaker, 5).await;
    stage.clock.advance(5 * SECOND);
    let stuck: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
    stage.clock.advance(59 * SECOND);
    assert!(breaker.admit().is_err());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    stage.clock.advance(SECOND);
    assert!(breaker.admit().is_err());
    assert_eq!(breaker.state(), BreakerState::Open);
    // They come too late to count.
    stuck.into_iter().for_each(buttress_resilience::Permit::succeeded);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn it_can_be_forced_and_begins_anew() {
    let stage = stage();
    let breaker = breaker(&stage, |_| {});
    breaker.force_open();
    assert_eq!(breaker.admit().err().unwrap().retry_after(), None);
    assert!(!breaker.open_for(SECOND), "forced is forced");
    breaker.force_closed();
    fail(&breaker, 50).await;
    assert_eq!(breaker.state(), BreakerState::ForcedClosed);
    breaker.reset();
    assert_eq!((breaker.state(), breaker.counts()), (BreakerState::Closed, (0, 0, 0)));
    assert!(breaker.open_for(7 * SECOND));
    assert_eq!(breaker.admit().err().unwrap().retry_after(), Some(7 * SECOND));
}

#[tokio::test]
async fn a_probe_of_health_warns_while_calls_are_refused() {
    let stage = stage();
    let breaker = breaker(&stage, |_| {});
    assert_eq!((breaker.name(), breaker.check().await), ("callee", Vitality::Pass));
    fail(&breaker, 5).await;
    assert_eq!(breaker.check().await, Vitality::Warn("the circuit is open".to_owned()));
}

#[tokio::test]
async fn the_outcome_of_a_call_from_before_a_change_does_not_count() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.probes = 1);
    let early = breaker.admit().unwrap();
    fail(&breaker, 5).await;
    stage.clock.advance(5 * SECOND);
    early.failed(Verdict::of(&DOWN));
    succeed(&breaker, 1).await;
    assert_eq!(breaker.counts(), (0, 0, 0));
}

#[test]
fn a_wrong_configuration_names_what_is_wrong() {
    let mut config = BreakerConfig::default();
    (config.least, config.probes, config.failure_rate) = (101, 0, f64::NAN);
    let error = Breaker::new("no blanks", &config, &Ctx::default()).unwrap_err();
    let Error::Config(violations) = &error else { panic!("{error}") };
    let fields: Vec<_> = violations.as_slice().iter().map(|violation| &*violation.field).collect();
    assert_eq!(fields, ["name", "breaker.least", "breaker.failure_rate", "breaker.probes"]);
    let config: BreakerConfig =
        serde_json::from_str(r#"{"window": {"time": "30s"}, "slow_after": "2s", "slow_rate": 0.3}"#).unwrap();
    assert_eq!(config.window, WindowConfig::Time(30 * SECOND));
    Breaker::new("callee", &config, &Ctx::default()).unwrap();
}

/// A window of calls, kept the simple way.
#[derive(Default)]
struct Model {
    calls: Vec<bool>,
}

impl Model {
    /// Whether it opens.
    fn note(&mut self, failed: bool, length: usize, least: usize, rate: f64) -> bool {
        self.calls.push(failed);
        let window = &self.calls[self.calls.len().saturating_sub(length)..];
        let share = window.iter().filter(|failed| **failed).count() as f64 / window.len() as f64;
        failed && window.len() >= least && share >= rate
    }
}

proptest! {
    #[test]
    fn it_opens_when_a_simple_model_does(
        calls in prop::collection::vec(prop::bool::weighted(0.4), 1..300),
        length in 1_u32..50, least in 1_u32..50, rate in 1_u32..=20,
    ) {
        let stage = stage();
        let least = least.min(length);
        let rate = f64::from(rate) / 20.0;
        let breaker = breaker(&stage, |config| {
            config.window = WindowConfig::Calls(length);
            (config.least, config.failure_rate) = (least, rate);
        });
        let mut model = Model::default();
        for failed in calls {
            let permit = breaker.admit().unwrap();
            if failed { permit.failed(Verdict::of(&DOWN)) } else { permit.succeeded() }
            if model.note(failed, length as usize, least as usize, rate) {
                prop_assert_eq!(breaker.state(), BreakerState::Open);
                break;
            }
            prop_assert_eq!(breaker.state(), BreakerState::Closed);
        }
    }

    #[test]
    fn a_callee_that_fails_for_good_is_left_alone_within_so_many_calls(
        before in 0_usize..200, length in 1_u32..100, rate in 1_u32..=20
    ) {
        let stage = stage();
        let breaker = breaker(&stage, |config| {
            config.window = WindowConfig::Calls(length);
            (config.least, config.failure_rate) = (1.max(length / 2), f64::from(rate) / 20.0);
        });
        (0..before).for_each(|_| breaker.admit().unwrap().succeeded());
        let calls = (0..length).take_while(|_| match breaker.admit() {
            Ok(permit) => { permit.failed(Verdict::of(&DOWN)); true }
            Err(_) => false,
        }).count();
        prop_assert!(calls <= length as usize);
        prop_assert_eq!(breaker.state(), BreakerState::Open);
    }
}

/// What happens to a window of time.
#[derive(Debug, Clone, Copy)]
enum Step {
    Call(bool),
    Pass(u32),
}

proptest! {
    #[test]
    fn a_window_of_time_holds_what_a_simple_model_holds(
        steps in prop::collection::vec(
            prop_oneof![3 => prop::bool::ANY.prop_map(Step::Call), 2 => (0_u32..4_000).prop_map(Step::Pass)], 1..200)
    ) {
        let stage = stage();
        let breaker = breaker(&stage, |config| {
            config.window = WindowConfig::Time(10 * SECOND);
            config.least = 1_000_000;
        });
        // Seconds in which calls ended, and whether they failed.
        let (mut now, mut ended) = (0, Vec::new());
        for step in steps {
            match step {
                Step::Pass(ms) => {
                    now += ms;
                    stage.clock.advance(Duration::from_millis(u64::from(ms)));
                }
                Step::Call(failed) => {
                    let permit = breaker.admit().unwrap();
                    if failed { permit.failed(Verdict::of(&DOWN)) } else { permit.succeeded() }
                    ended.push((now / 1000, failed));
                }
            }
            let known = ended.iter().filter(|(second, _)| second + 10 > now / 1000);
            let failed = known.clone().filter(|(_, failed)| *failed).count() as u64;
            prop_assert_eq!(breaker.counts(), (known.count() as u64, failed, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_fail_together_open_it_once() {
    let stage = stage();
    let breaker = breaker(&stage, |config| config.window = WindowConfig::Calls(100));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let breaker = breaker.clone();
            tokio::spawn(async move { fail(&breaker, 1000).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(stage.told("breaker.change").len(), 1);
}

#[tokio::test]
async fn a_call_may_be_dropped_at_any_await() {
    for polls in 0..5 {
        let stage = stage();
        let breaker = breaker(&stage, |config| config.probes = 1);
        fail(&breaker, 5).await;
        stage.clock.advance(5 * SECOND);
        let mut call = Box::pin(breaker.run(async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            Ok::<_, Wrong>(())
        }));
        let ended = (0..polls).any(|_| polled(call.as_mut()).is_ready());
        drop(call);
        assert_eq!(breaker.state() == BreakerState::Closed, ended);
        driven(&stage.clock, SECOND, breaker.run(async { Ok::<_, Wrong>(()) })).await.unwrap();
    }
}

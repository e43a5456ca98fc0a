//! Coalescing and batching: one call for many callers, each of whom may go away.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::needless_for_each)] // one line a crowd

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use buttress_core::{Clock, RejectionReason, TestClock};
use buttress_resilience::{Batch, BatchConfig, Coalesce, CoalesceConfig, Deadline, Failure, deadline};
use common::{DOWN, Stage, Wrong, ended, polled, settle, stage};

const SECOND: Duration = Duration::from_secs(1);

/// Counts calls made, under way and ended.
#[derive(Clone, Default)]
struct Calls(Arc<[AtomicUsize; 2]>);

struct UnderWay(Calls);

impl Calls {
    fn begin(&self) -> UnderWay {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        self.0[1].fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    fn made(&self) -> usize {
        self.0[0].load(Ordering::Relaxed)
    }

    fn under_way(&self) -> usize {
        self.0[1].load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0[1].fetch_sub(1, Ordering::Relaxed);
    }
}

fn coalesce(stage: &Stage, configure: impl FnOnce(&mut CoalesceConfig)) -> Coalesce<u32, usize, Wrong> {
    let mut config = CoalesceConfig::default();
    configure(&mut config);
    Coalesce::new("callee", &config, &stage.ctx).unwrap()
}

async fn slowly(clock: TestClock, calls: Calls, result: Result<(), Wrong>) -> Result<usize, Wrong> {
    let _under_way = calls.begin();
    let number = calls.made();
    clock.sleep(SECOND).await;
    result.map(|()| number)
}

#[tokio::test]
async fn a_thousand_callers_make_one_call() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |_| {});
    for round in 1..=2 {
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let (coalesce, clock, calls) = (coalesce.clone(), stage.clock.clone(), calls.clone());
                tokio::spawn(async move { coalesce.run(7, || slowly(clock, calls, Ok(()))).await })
            })
            .collect();
        settle().await;
        assert_eq!((calls.made(), coalesce.under_way()), (round, 1));
        stage.pass(SECOND).await;
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(round));
        }
        assert_eq!(coalesce.under_way(), 0);
    }
    let other = coalesce.run(8, || async { Err(DOWN) }).await;
    assert_eq!(other, Err(Failure::Call(DOWN)));
}

#[tokio::test]
async fn the_first_caller_may_go_and_the_last_takes_the_call_along() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |_| {});
    let call = || Box::pin(coalesce.run(7, || slowly(stage.clock.clone(), calls.clone(), Ok(()))));
    let (mut first, mut second) = (call(), call());
    assert!(polled(first.as_mut()).is_pending() && polled(second.as_mut()).is_pending());
    settle().await;
    drop(first);
    stage.pass(SECOND).await;
    assert_eq!(ended(second), Ok(1));

    let mut alone = call();
    assert!(polled(alone.as_mut()).is_pending());
    settle().await;
    assert_eq!(calls.under_way(), 1);
    drop(alone);
    settle().await;
    assert_eq!((calls.under_way(), coalesce.under_way(), calls.made()), (0, 0, 2));
    assert_eq!(stage.ctx.shutdown.tasks(), 0);
}

#[tokio::test]
async fn one_who_comes_as_the_last_goes_keeps_the_call_alive() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |_| {});
    let call = || Box::pin(coalesce.run(7, || slowly(stage.clock.clone(), calls.clone(), Ok(()))));
    let mut first = call();
    assert!(polled(first.as_mut()).is_pending());
    settle().await;
    drop(first);
    let mut second = call();
    assert!(polled(second.as_mut()).is_pending());
    settle().await;
    stage.pass(SECOND).await;
    assert_eq!((ended(second), calls.made()), (Ok(1), 1));
}

#[tokio::test]
async fn each_caller_keeps_its_deadline_and_the_call_its_limit() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |config| config.limit = 2 * SECOND);
    let deadline = Deadline::within(&stage.clock, SECOND / 2);
    let pending = || std::future::pending::<Result<usize, Wrong>>();
    let mut hasty = Box::pin(deadline::scope(deadline, coalesce.run(7, pending)));
    let mut patient = Box::pin(coalesce.run(7, || slowly(stage.clock.clone(), calls.clone(), Ok(()))));
    assert!(polled(hasty.as_mut()).is_pending() && polled(patient.as_mut()).is_pending());
    stage.pass(SECOND).await;
    assert!(matches!(ended(hasty), Err(Failure::TimedOut(limit)) if limit.0 == SECOND / 2));
    assert!(polled(patient.as_mut()).is_pending());
    stage.pass(SECOND * 2).await;
    assert!(matches!(ended(patient), Err(Failure::TimedOut(limit)) if limit.0 == 2 * SECOND));
    assert_eq!((calls.made(), coalesce.under_way()), (0, 0));
}

#[tokio::test]
async fn a_panic_is_the_end_of_one_call_and_of_nothing_else() {
    let stage = stage();
    let coalesce = coalesce(&stage, |_| {});
    let lost = coalesce.run(7, || async { panic!("as it happens") });
    assert_eq!(lost.await, Err(Failure::Lost));
    assert_eq!(coalesce.run(7, || async { Ok(1) }).await, Ok(1));
}

#[tokio::test]
async fn beyond_so_many_keys_each_calls_for_itself() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |config| config.keys = 1);
    let call = |key| Box::pin(coalesce.run(key, || slowly(stage.clock.clone(), calls.clone(), Ok(()))));
    let mut all = vec![call(1), call(2), call(2), call(1)];
    all.iter_mut().for_each(|one| assert!(polled(one.as_mut()).is_pending()));
    settle().await;
    assert_eq!((calls.made(), coalesce.under_way()), (3, 1));
    stage.pass(SECOND).await;
    for one in all {
        ended(one).unwrap();
    }
}

#[tokio::test]
async fn a_stop_ends_what_is_under_way() {
    let (stage, calls) = (stage(), Calls::default());
    let coalesce = coalesce(&stage, |_| {});
    let batch = batch(&stage, &calls, |_| {});
    let mut one = Box::pin(coalesce.run(7, || slowly(stage.clock.clone(), calls.clone(), Ok(()))));
    let mut other = Box::pin(batch.run(1));
    assert!(polled(one.as_mut()).is_pending() && polled(other.as_mut()).is_pending());
    settle().await;
    stage.ctx.shutdown.stop();
    stage.ctx.shutdown.finished().await;
    assert_eq!((ended(one), ended(other)), (Err(Failure::Lost), Err(Failure::Lost)));
}

/// Doubles even numbers after a second, and finds fault with 13; fails altogether with 99, and loses an answer with 77.
fn batch(stage: &Stage, calls: &Calls, configure: impl FnOnce(&mut BatchConfig)) -> Batch<u32, u32, Wrong> {
    let mut config = BatchConfig::default();
    (config.size, config.wait, config.items) = (3, SECOND, 10);
    configure(&mut config);
    let (clock, calls) = (stage.clock.clone(), calls.clone());
    Batch::new("callee", &config, &stage.ctx, move |items: Vec<u32>| {
        let (clock, calls) = (clock.clone(), calls.clone());
        async move {
            let _under_way = calls.begin();
            clock.sleep(SECOND).await;
            if items.contains(&99) {
                return Err(DOWN);
            }
            let answer = |item: &u32| if *item == 13 { Err(DOWN) } else { Ok(2 * item) };
            Ok(items.iter().filter(|item| **item != 77).map(answer).collect())
        }
    })
    .unwrap()
}

#[tokio::test]
async fn a_batch_goes_out_when_it_is_full_or_has_waited() {
    let (stage, calls) = (stage(), Calls::default());
    let batch = batch(&stage, &calls, |_| {});
    let mut all: Vec<_> = (0..4).map(|item| Box::pin(batch.run(item))).collect();
    all.iter_mut().for_each(|one| assert!(polled(one.as_mut()).is_pending()));
    settle().await;
    assert_eq!(calls.made(), 1, "the full one");
    stage.pass(SECOND).await;
    assert_eq!(calls.made(), 2, "and the other");
    let last = all.pop().unwrap();
    for (item, one) in all.into_iter().enumerate() {
        assert_eq!(ended(one), Ok(2 * u32::try_from(item).unwrap()));
    }
    stage.pass(SECOND).await;
    assert_eq!(ended(last), Ok(6));
}

#[tokio::test]
async fn one_bad_item_fails_no_other_and_a_call_that_fails_fails_all() {
    let (stage, calls) = (stage(), Calls::default());
    let batch = batch(&stage, &calls, |_| {});
    for (items, answers) in [
        ([1, 13, 2], [Ok(2), Err(Failure::Call(DOWN)), Ok(4)]),
        ([1, 99, 2], [Err(Failure::Call(DOWN)), Err(Failure::Call(DOWN)), Err(Failure::Call(DOWN))]),
        ([1, 77, 2], [Err(Failure::Lost), Err(Failure::Lost), Err(Failure::Lost)]),
    ] {
        let mut all: Vec<_> = items.map(|item| Box::pin(batch.run(item))).into();
        all.iter_mut().for_each(|one| assert!(polled(one.as_mut()).is_pending()));
        settle().await;
        stage.pass(SECOND * 2).await;
        for (one, answer) in all.into_iter().zip(answers) {
            assert_eq!(ended(one), answer, "{items:?}");
        }
    }
}

#[tokio::test]
async fn who_goes_before_it_goes_out_is_left_out() {
    let (stage, calls) = (stage(), Calls::default());
    let batch = batch(&stage, &calls, |_| {});
    let mut gone = Box::pin(batch.run(99));
    let mut stays = Box::pin(batch.run(1));
    assert!(polled(gone.as_mut()).is_pending() && polled(stays.as_mut()).is_pending());
    drop(gone);
    settle().await;
    stage.pass(SECOND).await;
    stage.pass(SECOND).await;
    assert_eq!(ended(stays), Ok(2));
    let mut gone = Box::pin(batch.run(99));
    assert!(polled(gone.as_mut()).is_pending());
    drop(gone);
    stage.pass(SECOND).await;
    assert_eq!((calls.made(), stage.ctx.shutdown.tasks()), (1, 0), "nothing to send is not sent");
}

#[tokio::test]
async fn there_is_room_for_so_many_items() {
    let (stage, calls) = (stage(), Calls::default());
    let batch = batch(&stage, &calls, |config| config.items = 4);
    let mut all: Vec<_> = (0..4).map(|item| Box::pin(batch.run(item))).collect();
    all.iter_mut().for_each(|one| assert!(polled(one.as_mut()).is_pending()));
    let Err(Failure::Rejected(rejection)) = batch.run(5).await else { panic!("it was taken") };
    assert_eq!(rejection.reason(), RejectionReason::Full);
    stage.pass(3 * SECOND).await;
    for one in all {
        ended(one).unwrap();
    }
    let mut one = Box::pin(batch.run(5));
    assert!(polled(one.as_mut()).is_pending(), "there is room again");
}

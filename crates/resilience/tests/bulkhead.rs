//! Bulkheads: who comes in, who waits, who is sent away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small numbers

mod common;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use buttress_core::{ErrorClass, Rejection, RejectionReason};
use buttress_resilience::{Adapt, Bulkhead, BulkheadConfig, Deadline, Priority, Slot, Verdict, deadline};
use common::{Stage, Wrong, polled, stage};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn bulkhead(stage: &Stage, configure: impl FnOnce(&mut BulkheadConfig)) -> Bulkhead {
    let mut config = BulkheadConfig::default();
    (config.limit, config.waiters) = (2, 3);
    configure(&mut config);
    Bulkhead::new("callee", &config, &stage.ctx).unwrap()
}

type Entering<'b> = Pin<Box<dyn Future<Output = Result<Slot<'b>, Rejection>> + Send + 'b>>;

fn entering(bulkhead: &Bulkhead, priority: Priority) -> Entering<'_> {
    Box::pin(bulkhead.enter(priority))
}

/// The place, if it has come.
fn come<'b>(entering: &mut Entering<'b>) -> Option<Slot<'b>> {
    match polled(entering.as_mut()) {
        std::task::Poll::Ready(slot) => Some(slot.unwrap()),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn callers_are_served_in_the_order_in_which_they_came() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |_| {});
    let (one, two) =
        (bulkhead.try_enter(Priority::Normal).unwrap(), bulkhead.enter(Priority::Low).await.unwrap());
    let mut line: Vec<_> = (0..3).map(|_| entering(&bulkhead, Priority::Normal)).collect();
    assert!(line.iter_mut().all(|one| come(one).is_none()));
    assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (2, 3));
    let refused = bulkhead.enter(Priority::Normal).await.unwrap_err();
    assert_eq!(refused.reason(), RejectionReason::Full);
    drop(one);
    assert!(bulkhead.try_enter(Priority::Normal).is_err(), "nobody overtakes");
    let third = come(&mut line[0]).unwrap();
    assert!(come(&mut line[1]).is_none());
    drop((two, third));
    let both = (come(&mut line[1]).unwrap(), come(&mut line[2]).unwrap());
    assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (2, 0));
    drop(both);
    assert_eq!(bulkhead.in_use(), 0);
}

#[tokio::test]
async fn a_higher_priority_goes_first_and_displaces_the_last_of_the_lowest() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| config.limit = 1);
    let held = bulkhead.enter(Priority::Low).await.unwrap();
    let mut low: Vec<_> = (0..2).map(|_| entering(&bulkhead, Priority::Low)).collect();
    assert!(low.iter_mut().all(|one| come(one).is_none()));
    let mut normal = entering(&bulkhead, Priority::Normal);
    assert!(come(&mut normal).is_none());
    let mut high = entering(&bulkhead, Priority::High);
    assert!(come(&mut high).is_none());
    assert_eq!(bulkhead.waiting(), 3);
    assert_eq!(low.pop().unwrap().await.unwrap_err().reason(), RejectionReason::Full);
    drop(held);
    drop(come(&mut high).expect("the highest first"));
    drop(come(&mut normal).expect("then the next"));
    drop(come(&mut low[0]).expect("then the last"));
    assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0));
}

#[tokio::test]
async fn low_priority_is_shed_first() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| {
        (config.limit, config.waiters) = (10, 0);
        (config.normal_share, config.low_share) = (0.8, 0.5);
    });
    let mut within = Vec::new();
    for (priority, limit) in [(Priority::Low, 5), (Priority::Normal, 8), (Priority::High, 10)] {
        while let Ok(slot) = bulkhead.try_enter(priority) {
            within.push(slot);
        }
        assert_eq!(within.len(), limit, "{priority:?}");
    }
}

#[tokio::test]
async fn one_who_is_shed_may_wait_and_is_passed_over() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| {
        config.limit = 2;
        config.low_share = 0.5;
    });
    let first = bulkhead.enter(Priority::Low).await.unwrap();
    let mut low = entering(&bulkhead, Priority::Low);
    assert!(come(&mut low).is_none());
    let normal = bulkhead.try_enter(Priority::Normal).expect("there is room for this one");
    drop(first);
    assert!(come(&mut low).is_none(), "one is within, as many as its like may make there be");
    drop(normal);
    assert!(come(&mut low).is_some());
}

#[tokio::test]
async fn waiting_ends_at_the_limit_or_at_the_deadline() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| config.limit = 1);
    let held = bulkhead.enter(Priority::Normal).await.unwrap();
    for (deadline, limit) in [(10 * SECOND, SECOND), (SECOND / 2, SECOND / 2)] {
        let deadline = Deadline::within(&stage.clock, deadline);
        let mut waiting = Box::pin(deadline::scope(deadline, bulkhead.enter(Priority::Normal)));
        assert!(polled(waiting.as_mut()).is_pending());
        stage.clock.advance(limit.mul_f64(0.99));
        assert!(polled(waiting.as_mut()).is_pending());
        stage.clock.advance(limit.mul_f64(0.01));
        assert_eq!(waiting.await.unwrap_err().reason(), RejectionReason::Full);
        assert_eq!(bulkhead.waiting(), 0);
    }
    drop(held);
}

#[tokio::test]
async fn a_place_given_to_one_who_left_goes_to_the_next() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| config.limit = 1);
    let held = bulkhead.enter(Priority::Normal).await.unwrap();
    let mut line: Vec<_> = (0..2).map(|_| entering(&bulkhead, Priority::Normal)).collect();
    assert!(line.iter_mut().all(|one| come(one).is_none()));
    drop(held);
    drop(line.remove(0));
    assert!(come(&mut line[0]).is_some());
    drop(line);
    assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0));
}

#[tokio::test]
async fn more_come_in_when_the_limit_is_raised() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| config.limit = 1);
    let held = bulkhead.enter(Priority::Normal).await.unwrap();
    let mut line: Vec<_> = (0..2).map(|_| entering(&bulkhead, Priority::Normal)).collect();
    assert!(line.iter_mut().all(|one| come(one).is_none()));
    bulkhead.set_limit(3);
    let both: Vec<_> = line.iter_mut().map(|one| come(one).unwrap()).collect();
    bulkhead.set_limit(1);
    drop(held);
    drop(line);
    assert!(bulkhead.try_enter(Priority::High).is_err());
    drop(both);
    assert!(bulkhead.try_enter(Priority::Low).is_ok());
}

#[tokio::test]
async fn a_limit_that_adapts_follows_what_calls_tell() {
    for adapt in [Adapt::Aimd, Adapt::Gradient2] {
        let stage = stage();
        let bulkhead = bulkhead(&stage, |config| {
            (config.limit, config.most, config.adapt) = (10, 20, adapt);
        });
        let round = |time: Duration, failure: Option<Verdict>| {
            let slots: Vec<_> = std::iter::from_fn(|| bulkhead.try_enter(Priority::Normal).ok()).collect();
            stage.clock.advance(time);
            for slot in slots {
                slot.ended(failure);
            }
        };
        (0..100).for_each(|_| round(SECOND / 100, None));
        assert_eq!(bulkhead.limit(), 20, "{adapt:?}");
        let late = Verdict::class(ErrorClass::Timeout);
        round(SECOND, Some(late));
        assert_eq!(bulkhead.limit(), 18, "once for all that were under way");
        round(SECOND, Some(Verdict::class(ErrorClass::Invalid)));
        assert_eq!(bulkhead.limit(), 18, "it failed for another reason");
        (0..100).for_each(|_| round(SECOND, Some(late)));
        assert_eq!(bulkhead.limit(), 1);
    }
}

#[tokio::test]
async fn a_call_may_be_dropped_at_any_await() {
    for polls in 0..5 {
        let stage = stage();
        let bulkhead = bulkhead(&stage, |config| config.limit = 1);
        let held = bulkhead.enter(Priority::Normal).await.unwrap();
        let mut call = Box::pin(bulkhead.run(Priority::Normal, async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Ok::<_, Wrong>(())
        }));
        let mut held = Some(held);
        for _ in 0..polls {
            let ended = polled(call.as_mut()).is_ready();
            held.take();
            if ended {
                break;
            }
        }
        drop((call, held));
        assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0));
    }
}

/// What callers do.
#[derive(Debug, Clone, Copy)]
enum Step {
    Come(Priority),
    /// The one who waits, counted from the first, gives up.
    GiveUp(usize),
    /// The one within leaves.
    Leave(usize),
    Limit(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let priority = prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)];
    let step = prop_oneof![
        5 => priority.prop_map(Step::Come),
        1 => (0_usize..8).prop_map(Step::GiveUp),
        4 => (0_usize..8).prop_map(Step::Leave),
        1 => (1_u32..6).prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 0..120)
}

/// The same, with lists.
struct Model {
    limit: u32,
    shares: [f64; 3],
    within: Vec<usize>,
    waiting: Vec<(Priority, usize)>,
}

impl Model {
    fn room(&self, priority: Priority) -> bool {
        let share = f64::from(self.limit) * self.shares[priority as usize];
        self.within.len() < (share.floor() as usize).max(1)
    }

    /// Lets in who may, the highest first.
    fn fill(&mut self) {
        loop {
            self.waiting.sort_by_key(|(priority, number)| (*priority, *number));
            let Some(next) = self.waiting.iter().position(|(priority, _)| self.room(*priority)) else {
                return;
            };
            self.within.push(self.waiting.remove(next).1);
        }
    }

    fn come(&mut self, priority: Priority, number: usize, waiters: usize) {
        if self.waiting.iter().all(|(other, _)| *other > priority) && self.room(priority) {
            self.within.push(number);
        } else if self.waiting.len() < waiters {
            self.waiting.push((priority, number));
        } else if let Some(last) = self.waiting.iter().copied().max().filter(|(other, _)| *other > priority) {
            self.waiting.retain(|one| *one != last);
            self.waiting.push((priority, number));
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_a_simple_model_does(steps in steps(), limit in 1_u32..5, waiters in 1_u32..6, shed: bool) {
        let stage = stage();
        let shares = if shed { [1.0, 0.75, 0.5] } else { [1.0; 3] };
        let bulkhead = bulkhead(&stage, |config| {
            (config.limit, config.waiters) = (limit, waiters);
            (config.normal_share, config.low_share) = (shares[1], shares[2]);
        });
        let mut model = Model { limit, shares, within: Vec::new(), waiting: Vec::new() };
        let mut waiting: Vec<(usize, Entering<'_>)> = Vec::new();
        let mut within: Vec<(usize, Slot<'_>)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Come(priority) => {
                    model.come(priority, number, waiters as usize);
                    waiting.push((number, entering(&bulkhead, priority)));
                }
                Step::GiveUp(at) if at < waiting.len() => {
                    let (gone, _) = waiting.remove(at);
                    model.waiting.retain(|(_, number)| *number != gone);
                }
                Step::Leave(at) if at < within.len() => {
                    let (gone, _) = within.remove(at);
                    model.within.retain(|number| *number != gone);
                }
                Step::Limit(limit) => { bulkhead.set_limit(limit); model.limit = limit; }
                _ => {}
            }
            model.fill();
            waiting.retain_mut(|(number, entering)| match polled(entering.as_mut()) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(Ok(slot)) => { within.push((*number, slot)); false }
                std::task::Poll::Ready(Err(_)) => false,
            });
            let mut inside: Vec<_> = within.iter().map(|(number, _)| *number).collect();
            inside.sort_unstable();
            model.within.sort_unstable();
            prop_assert_eq!(&inside, &model.within);
            prop_assert_eq!(bulkhead.in_use() as usize, within.len());
            prop_assert_eq!(bulkhead.waiting() as usize, model.waiting.len());
        }
        drop((waiting, within));
        prop_assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_passes_and_leaves_nothing_behind() {
    let stage = stage();
    let bulkhead = bulkhead(&stage, |config| (config.limit, config.waiters) = (3, 1000));
    let most = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let (bulkhead, most) = (bulkhead.clone(), most.clone());
            tokio::spawn(async move {
                for round in 0..200 {
                    if (number + round) % 7 == 0 {
                        // One who goes away.
                        let mut entering = entering(&bulkhead, Priority::High);
                        drop(polled(entering.as_mut()));
                        tokio::task::yield_now().await;
                        continue;
                    }
                    let _slot = bulkhead.enter(Priority::Normal).await.unwrap();
                    most.fetch_max(bulkhead.in_use(), std::sync::atomic::Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap(); // Nobody is forgotten.
    }
    assert_eq!((bulkhead.in_use(), bulkhead.waiting()), (0, 0));
    assert!(most.load(std::sync::atomic::Ordering::Relaxed) <= 3);
}

//! What the pool promises, on a clock that tests move.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use buttress_core::{
    Classify, Ctx, ErrorClass, EventLog, Events, Probe, RejectionReason, TestClock, Vitality,
};
use buttress_pool::contract::{Item, Items, OutOfOrder};
use buttress_pool::{CheckPolicy, Checkout, Error, Manager, Pool, PoolConfig, Priority, Sharing, Standing};

const SECOND: Duration = Duration::from_secs(1);

/// A pool of items on a test clock.
struct Stage {
    clock: TestClock,
    log: EventLog,
    ctx: Ctx,
    items: Items,
    pool: Pool<Items>,
}

fn stage(configure: impl FnOnce(&mut PoolConfig)) -> Stage {
    let (clock, log) = (TestClock::new(), EventLog::default());
    let ctx = Ctx { clock: clock.shared(), events: Events::to(Arc::new(log.clone())), ..Ctx::default() };
    let items = Items::default();
    let mut config = PoolConfig::default();
    config.max = 2;
    config.check = CheckPolicy::Never;
    config.check_every = None;
    configure(&mut config);
    let pool = Pool::new(items.clone(), config, &ctx).unwrap();
    Stage { clock, log, ctx, items, pool }
}

/// Lets all tasks go as far as they can.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

impl Stage {
    /// Moves time in small steps, as time does.
    async fn pass(&self, time: Duration) {
        for _ in 0..20 {
            self.clock.advance(time / 20);
            settle().await;
        }
    }
}

fn polled<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn nothing_is_made_before_it_is_needed_and_warming_up_makes_what_is_kept_ready() {
    let stage = stage(|config| {
        config.max = 5;
        config.min_idle = 3;
    });
    assert_eq!(stage.items.made(), 0);
    stage.pool.warm_up().await.unwrap();
    assert_eq!((stage.items.made(), stage.pool.status().idle), (3, 3));
    let held = stage.pool.get().await.unwrap();
    settle().await;
    stage.pass(2 * SECOND).await;
    assert_eq!(stage.pool.status().idle, 3, "another is made ready");
    drop(held);
}

#[tokio::test]
async fn warming_up_fails_with_the_cause() {
    let stage = stage(|config| {
        config.min_idle = 1;
        config.failures = 1;
    });
    stage.items.set_down(true);
    let error = stage.pool.warm_up().await.unwrap_err();
    assert!(matches!(error, Error::Create { class: ErrorClass::Unavailable, .. }), "{error:?}");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "out of order");
}

#[tokio::test]
async fn what_is_idle_old_or_used_up_is_closed() {
    let stage = stage(|config| {
        config.idle = Some(10 * SECOND);
        config.max_age = Some(100 * SECOND);
        config.max_uses = 3;
        config.min_idle = 1;
    });
    let both = (stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap());
    drop(both);
    stage.pass(12 * SECOND).await;
    assert_eq!(stage.items.live(), 1, "one is kept ready, the other was idle for too long");
    for _ in 0..2 {
        drop(stage.pool.get().await.unwrap());
    }
    settle().await;
    assert_eq!(stage.items.made(), 3, "one was used three times, and another made ready");
    stage.pass(101 * SECOND).await;
    assert_eq!((stage.items.made(), stage.items.live()), (4, 1), "that one was too old");
}

#[tokio::test]
async fn callers_are_served_in_order_and_by_priority() {
    let stage = stage(|config| config.max = 1);
    let held = stage.pool.get().await.unwrap();
    let mut low = pin!(stage.pool.get_with(Checkout::default().priority(Priority::Low)));
    let mut first = pin!(stage.pool.get());
    let mut second = pin!(stage.pool.get());
    let mut high = pin!(stage.pool.get_with(Checkout::default().priority(Priority::High)));
    assert!(polled(low.as_mut()).is_pending());
    assert!(polled(first.as_mut()).is_pending());
    assert!(polled(second.as_mut()).is_pending());
    assert!(polled(high.as_mut()).is_pending());
    drop(held);
    assert!(polled(first.as_mut()).is_pending());
    let Poll::Ready(Ok(guard)) = polled(high) else { panic!("the high one is first") };
    drop(guard);
    assert!(polled(low.as_mut()).is_pending());
    let Poll::Ready(Ok(guard)) = polled(first) else { panic!("then who came first") };
    drop(guard);
    let Poll::Ready(Ok(guard)) = polled(second) else { panic!("then who came second") };
    drop(guard);
    assert!(matches!(polled(low), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    let stage = stage(|config| config.max = 1);
    let held = stage.pool.get().await.unwrap();
    let (hasty, patient) = (stage.pool.clone(), stage.pool.clone());
    let hasty =
        tokio::spawn(async move { hasty.get_with(Checkout::default().within(SECOND / 2)).await.err() });
    let patient = tokio::spawn(async move { patient.get().await.err() });
    settle().await;
    stage.pass(SECOND).await;
    let error = hasty.await.unwrap().unwrap();
    assert_eq!(error.class(), ErrorClass::Timeout);
    assert_eq!(error.to_string(), "no object of the pool `pool` within 500ms: 1 of 1 in use, 1 waiting");
    assert!(!patient.is_finished());
    stage.pass(30 * SECOND).await;
    assert!(matches!(patient.await.unwrap(), Some(Error::TimedOut { .. })));
    drop(held);
    assert_eq!(stage.pool.status().waiting, 0);
}

#[tokio::test]
async fn a_full_line_refuses_with_when_to_come_back() {
    let stage = stage(|config| {
        config.max = 1;
        config.waiters = 1;
    });
    // Held for four seconds, eight times: that is what is to be expected.
    for _ in 0..40 {
        let held = stage.pool.get().await.unwrap();
        stage.clock.advance(4 * SECOND);
        drop(held);
    }
    let _held = stage.pool.get().await.unwrap();
    let mut waiting = pin!(stage.pool.get());
    assert!(polled(waiting.as_mut()).is_pending());
    let error = stage.pool.get().await.unwrap_err();
    let Error::Rejected { rejection, .. } = &error else { panic!("{error:?}") };
    assert_eq!(rejection.reason(), RejectionReason::Full);
    let after = error.retry_after().unwrap();
    assert!((7 * SECOND..=9 * SECOND).contains(&after), "two turns of four seconds, not {after:?}");
    let error = stage.pool.get_with(Checkout::default().no_wait()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Overloaded);
}

#[tokio::test]
async fn without_waiting_one_that_can_be_created_is_still_had() {
    let stage = stage(|config| config.waiters = 0);
    let _both = (stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap());
    assert_eq!(stage.pool.get().await.unwrap_err().class(), ErrorClass::Overloaded);
}

#[tokio::test]
async fn a_burst_overflows_and_ebbs() {
    let stage = stage(|config| {
        config.max = 1;
        config.overflow = 2;
    });
    let guards =
        [stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap()];
    let mut fourth = pin!(stage.pool.get());
    assert!(polled(fourth.as_mut()).is_pending());
    let [one, other, last] = guards;
    drop(one);
    let Poll::Ready(Ok(fourth)) = polled(fourth) else { panic!("while somebody waits all are used") };
    drop((other, last, fourth));
    settle().await;
    assert_eq!((stage.items.live(), stage.pool.status().idle), (1, 1), "when nobody does, one stays");
}

#[tokio::test]
async fn what_is_shared_goes_back_with_its_last_user() {
    let stage = stage(|config| config.max = 2);
    let sharing = Sharing::new(stage.pool.clone(), 2);
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(sharing.get().await.unwrap());
    }
    assert_eq!(stage.items.made(), 2);
    let mut fifth = pin!(sharing.get());
    assert!(polled(fifth.as_mut()).is_pending());
    let first = users.first().unwrap().number();
    users.retain(|user| user.number() != first);
    let Poll::Ready(Ok(fifth)) = polled(fifth) else { panic!("one went back") };
    assert_eq!(fifth.number(), first);
}

#[tokio::test]
async fn whoever_waits_for_a_shared_object_gets_it_as_soon_as_there_is_room() {
    let stage = stage(|config| config.max = 1);
    let sharing = Arc::new(Sharing::packed(stage.pool.clone(), 3));
    let ask = || {
        let sharing = Arc::clone(&sharing);
        tokio::spawn(async move { sharing.get().await.unwrap() })
    };
    let asked = [ask(), ask(), ask(), ask()];
    settle().await;
    let (served, mut waiting): (Vec<_>, Vec<_>) =
        asked.into_iter().partition(tokio::task::JoinHandle::is_finished);
    assert_eq!((served.len(), waiting.len()), (3, 1), "three share one, made for the first");
    let mut users = Vec::new();
    for task in served {
        users.push(task.await.unwrap());
    }
    users.pop();
    settle().await;
    assert!(waiting.remove(0).is_finished(), "a user less is room for another");
}

#[tokio::test]
async fn what_is_packed_takes_no_further_object_while_there_is_room() {
    let stage = stage(|config| config.max = 2);
    let sharing = Sharing::packed(stage.pool.clone(), 2);
    let _users = [sharing.get().await.unwrap(), sharing.get().await.unwrap(), sharing.get().await.unwrap()];
    assert_eq!(stage.items.made(), 2);
}

#[tokio::test]
async fn what_is_worn_is_shared_no_more_and_closed_when_it_is_free() {
    let stage = stage(|config| config.max = 2);
    let sharing = Sharing::new(stage.pool.clone(), 8);
    let mut worn = stage.pool.get().await.unwrap();
    worn.worn = true;
    drop(worn);
    settle().await;
    assert_eq!(stage.items.live(), 0);
    let (one, other) = (sharing.get().await.unwrap(), sharing.get().await.unwrap());
    stage.items.wear_out(one.number());
    let (third, fourth) = (sharing.get().await.unwrap(), sharing.get().await.unwrap());
    assert_eq!((third.number(), fourth.number()), (other.number(), other.number()));
    drop(one);
    settle().await;
    assert_eq!(stage.items.live(), 1);
}

#[tokio::test]
async fn a_paused_pool_hands_out_nothing_and_a_resized_one_no_more() {
    let stage = stage(|config| config.max = 3);
    let guards = [stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap()];
    stage.pool.pause();
    drop(guards);
    let mut waiting = pin!(stage.pool.get());
    assert!(polled(waiting.as_mut()).is_pending());
    assert_eq!(stage.pool.check().await, Vitality::Warn("paused, 1 waiting".to_owned()));
    stage.pool.resume();
    let Poll::Ready(Ok(held)) = polled(waiting) else { panic!("it goes on") };
    stage.pool.resize(1);
    settle().await;
    assert_eq!(stage.items.live(), 1, "the idle one is closed");
    let mut next = pin!(stage.pool.get());
    assert!(polled(next.as_mut()).is_pending());
    stage.pool.resize(2);
    settle().await;
    assert!(matches!(polled(next), Poll::Ready(Ok(_))));
    drop(held);
}

#[tokio::test]
async fn a_drained_pool_refuses_and_waits_for_what_is_out() {
    let stage = stage(|_| {});
    let held = stage.pool.get().await.unwrap();
    let draining = tokio::spawn({
        let pool = stage.pool.clone();
        async move { pool.drain().await }
    });
    settle().await;
    let error = stage.pool.get().await.unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { rejection, .. } if rejection.reason() == RejectionReason::ShuttingDown)
    );
    assert!(!draining.is_finished());
    drop(held);
    draining.await.unwrap();
    settle().await;
    assert_eq!(stage.items.live(), 0);
    assert!(matches!(stage.pool.check().await, Vitality::Fail(_)));
}

#[tokio::test]
async fn a_service_that_stops_closes_its_pools_and_their_tasks_end() {
    let stage = stage(|_| {});
    drop(stage.pool.get().await.unwrap());
    stage.ctx.shutdown.stop();
    stage.ctx.shutdown.finished().await;
    assert!(stage.pool.status().closed);
    assert_eq!(stage.items.live(), 0);
}

#[tokio::test]
async fn failures_are_retried_then_the_circuit_opens_then_it_recovers_by_itself() {
    let stage = stage(|config| {
        config.failures = 3;
        config.retry_first = SECOND;
        config.open_for = 10 * SECOND;
    });
    stage.items.set_down(true);
    let getting = tokio::spawn({
        let pool = stage.pool.clone();
        async move { pool.get().await.err() }
    });
    settle().await;
    assert!(!getting.is_finished(), "it is tried again");
    stage.pass(4 * SECOND).await;
    let error = getting.await.unwrap().unwrap();
    assert!(matches!(error, Error::Create { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(matches!(stage.pool.check().await, Vitality::Fail(_)));

    let error = stage.pool.get().await.unwrap_err();
    assert!(error.retry_after().unwrap() <= 10 * SECOND, "others are told at once");
    let opened = stage.log.events();
    assert_eq!(opened.last().unwrap().action, "pool.circuit_open");

    stage.items.set_down(false);
    stage.pass(12 * SECOND).await;
    assert_eq!(stage.log.events().last().unwrap().action, "pool.circuit_closed", "nobody had to ask");
    assert_eq!(stage.pool.check().await, Vitality::Pass);
    stage.pool.get().await.unwrap();
}

#[tokio::test]
async fn after_one_turned_out_to_be_broken_the_others_are_checked() {
    let stage = stage(|config| config.max = 3);
    let (mut one, other, third) =
        (stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap());
    stage.items.strike_dumb(other.number());
    one.broken = true;
    let good = third.number();
    drop((other, third));
    drop(one);
    let first = stage.pool.get().await.unwrap();
    let second = stage.pool.get().await.unwrap();
    assert_eq!(first.number(), good, "checks never come by default here, but now they do");
    assert_eq!(second.number(), 3, "the dumb one is not handed out");
}

#[tokio::test]
async fn idle_objects_are_checked_in_the_background() {
    let stage = stage(|config| config.check_every = Some(5 * SECOND));
    let number = {
        let (one, _other) = (stage.pool.get().await.unwrap(), stage.pool.get().await.unwrap());
        one.number()
    };
    stage.items.strike_dumb(number);
    stage.pass(7 * SECOND).await;
    assert_eq!(stage.items.live(), 1);
}

#[tokio::test]
async fn what_its_user_suspects_is_checked_and_what_it_gives_up_is_closed() {
    let stage = stage(|config| config.max = 1);
    let mut guard = stage.pool.get().await.unwrap();
    stage.items.strike_dumb(guard.number());
    guard.suspect();
    drop(guard);
    let guard = stage.pool.get().await.unwrap();
    assert_eq!(guard.number(), 1);
    guard.invalidate();
    let guard = stage.pool.get().await.unwrap();
    assert_eq!(guard.number(), 2);
    let kept = guard.detach();
    assert_eq!(stage.pool.get().await.unwrap().number(), 3, "a detached one makes room");
    assert_eq!(kept.number(), 2);
}

#[tokio::test]
async fn a_guard_held_for_long_is_reported_once_with_where_it_was_taken() {
    let stage = stage(|config| config.leak_after = Some(3 * SECOND));
    let line = line!() + 1;
    let held = stage.pool.get().await.unwrap();
    stage.pass(10 * SECOND).await;
    let leaks: Vec<_> = stage.log.events().into_iter().filter(|event| event.action == "pool.leak").collect();
    assert_eq!(leaks.len(), 1);
    let detail = leaks.first().unwrap().detail.clone().unwrap();
    assert!(detail.contains(&format!("tests/pool.rs:{line}:")), "{detail}");
    let objects = stage.pool.objects();
    assert!(
        matches!(&objects.first().unwrap().standing, Standing::InUse { by, .. } if by.contains("pool.rs"))
    );
    drop(held);
}

#[tokio::test]
async fn a_pool_may_go_before_its_guards() {
    let Stage { items, pool, .. } = stage(|_| {});
    let held = pool.get().await.unwrap();
    drop(pool);
    assert_eq!(held.number(), 0);
    drop(held);
    settle().await;
    assert_eq!(items.live(), 0);
}

#[test]
fn a_pool_outlives_a_runtime() {
    let clockless = Ctx::default();
    let items = Items::default();
    let mut config = PoolConfig::default();
    config.max = 1;
    config.wait = Duration::from_millis(50);
    let pool = Pool::new(items, config, &clockless).unwrap();
    let run = |work: &dyn Fn()| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        work();
        runtime.block_on(async {
            let held = pool.get().await.unwrap();
            assert!(matches!(pool.get().await, Err(Error::TimedOut { .. })), "deadlines are kept");
            drop(held);
        });
    };
    run(&|| {});
    run(&|| {});
    // Without any runtime what comes back is taken back.
    let mut getting = pin!(pool.get());
    let Poll::Ready(Ok(held)) = polled(getting.as_mut()) else { panic!("one is idle") };
    drop(held);
    assert_eq!(pool.status().idle, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_who_leave_at_random_leave_nothing_behind() {
    let items = Items::default();
    let mut config = PoolConfig::default();
    config.max = 3;
    config.check = CheckPolicy::Always;
    let pool = Pool::new(items.clone(), config, &Ctx::default()).unwrap();
    let left = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1_000_usize)
        .map(|number| {
            let (pool, left) = (pool.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                let mut patience = number * 7 % 13;
                let mut work = pin!(async {
                    let mut guard = pool.get().await.unwrap();
                    guard.dirty = number % 3 == 0;
                    guard.occupy(tokio::task::yield_now()).await;
                });
                // Leaves after so many looks.
                std::future::poll_fn(|cx| {
                    patience = patience.saturating_sub(1);
                    if patience == 0 && number % 2 == 0 {
                        left.fetch_add(1, Ordering::Relaxed);
                        return Poll::Ready(());
                    }
                    work.as_mut().poll(cx)
                })
                .await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(left.load(Ordering::Relaxed) > 100);
    let guards = [pool.get().await.unwrap(), pool.get().await.unwrap(), pool.get().await.unwrap()];
    assert_eq!(pool.status().in_use, 3);
    assert!(items.most() <= 3);
    drop(guards);
}

/// A manager whose calls hang or panic when told to.
#[derive(Clone, Default)]
struct Moody {
    items: Items,
    hangs: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Moody {
    async fn mood(&self) {
        assert!(!self.panics.load(Ordering::SeqCst), "as it was told to");
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl Manager for Moody {
    type Object = Item;
    type Error = OutOfOrder;

    async fn create(&self) -> Result<Item, OutOfOrder> {
        self.mood().await;
        self.items.create().await
    }

    async fn check(&self, item: &mut Item) -> Result<(), OutOfOrder> {
        self.mood().await;
        self.items.check(item).await
    }

    fn condition(&self, item: &Item) -> buttress_pool::Condition {
        self.items.condition(item)
    }

    async fn reset(&self, item: &mut Item) -> Result<(), OutOfOrder> {
        self.mood().await;
        self.items.reset(item).await
    }
}

fn moody(clock: &TestClock) -> (Moody, Pool<Moody>) {
    let manager = Moody::default();
    let mut config = PoolConfig::default();
    config.max = 1;
    config.check = CheckPolicy::Always;
    config.failures = 2;
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    (manager.clone(), Pool::new(manager, config, &ctx).unwrap())
}

async fn pass(clock: &TestClock, time: Duration) {
    for _ in 0..20 {
        clock.advance(time / 20);
        settle().await;
    }
}

#[tokio::test]
async fn a_manager_that_hangs_costs_its_limit_and_no_slot() {
    let clock = TestClock::new();
    let (manager, pool) = moody(&clock);
    let mut guard = pool.get().await.unwrap();
    manager.hangs.store(true, Ordering::SeqCst);
    guard.dirty = true;
    drop(guard); // Its reset hangs.
    pass(&clock, 10 * SECOND).await;
    assert_eq!(manager.items.live(), 0, "it is closed");
    let getting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.err() }
    });
    pass(&clock, 40 * SECOND).await;
    assert_eq!(getting.await.unwrap().unwrap().class(), ErrorClass::Timeout, "creating hangs too");
    manager.hangs.store(false, Ordering::SeqCst);
    pass(&clock, 100 * SECOND).await;
    pool.get().await.unwrap();
}

#[tokio::test]
async fn a_manager_that_panics_costs_a_failure_and_no_slot() {
    let clock = TestClock::new();
    let (manager, pool) = moody(&clock);
    drop(pool.get().await.unwrap());
    manager.panics.store(true, Ordering::SeqCst);
    clock.advance(SECOND);
    let getting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.map(|_| ()) }
    });
    settle().await;
    assert!(getting.await.unwrap_err().is_panic(), "a check panics in the caller's task");
    assert_eq!(pool.status().size, 0);
    let getting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await.err() }
    });
    pass(&clock, 20 * SECOND).await;
    let error = getting.await.unwrap().unwrap();
    assert_eq!(error.class(), ErrorClass::Internal, "{error:?}");
    manager.panics.store(false, Ordering::SeqCst);
    pass(&clock, 20 * SECOND).await;
    pool.get().await.unwrap();
}

#[test]
fn a_configuration_says_what_is_wrong_with_it() {
    let mut config = PoolConfig::default();
    config.max = 0;
    config.min_idle = 3;
    config.wait = Duration::ZERO;
    let error = Pool::new(Items::default(), config, &Ctx::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pool's configuration is wrong: max = 0: must be 1 to 100000; 10 is usual; min_idle = 3: must not be \
         more than `max`; wait = 0s: must be \"1ms\" to \"366d\"; \"30s\" is usual"
    );
    assert_eq!(error.class(), ErrorClass::Invalid);
}

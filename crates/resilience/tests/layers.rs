//! Policies as tower layers, and the contract that services have.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use buttress_core::{BoxFuture, ErrorClass, TestClock};
use buttress_resilience::layer::{DeadlineLayer, Once, PolicyLayer};
use buttress_resilience::{Deadline, Failure, Policy, ResilienceConfig, Verdict};
use common::{DOWN, Stage, Wrong, driven, ended, polled, stage};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn policy(stage: &Stage) -> Policy {
    let mut config = ResilienceConfig::default();
    config.timeout = SECOND;
    Policy::new(&config, &stage.ctx).unwrap().idempotent()
}

/// A service that may be called only after it was found to be ready, and whose clones are not.
struct Strict {
    ready: bool,
    calls: Arc<AtomicU32>,
    fails: u32,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, calls: self.calls.clone(), fails: self.fails }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = Wrong;
    type Future = BoxFuture<'static, Result<u32, Wrong>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Wrong>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        let fails = self.calls.fetch_add(1, Ordering::Relaxed) < self.fails;
        Box::pin(async move { if fails { Err(DOWN) } else { Ok(request) } })
    }
}

fn strict(fails: u32) -> (Strict, Arc<AtomicU32>) {
    let calls = Arc::default();
    (Strict { ready: false, calls: Arc::clone(&calls), fails }, calls)
}

#[tokio::test]
async fn each_attempt_goes_to_a_service_that_is_ready() {
    let stage = stage();
    let (service, calls) = strict(2);
    let mut service = PolicyLayer::new(policy(&stage)).layer(service);
    for made in [3, 4] {
        let call = service.ready().await.unwrap().call(7);
        assert_eq!(driven(&stage.clock, MS, call).await, Ok(7));
        assert_eq!(calls.load(Ordering::Relaxed), made);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_again_is_sent_once() {
    struct Stream(u32);
    let stage = stage();
    let calls = AtomicU32::new(0);
    let calls: &'static AtomicU32 = Box::leak(Box::new(calls));
    let mut service = ServiceBuilder::new()
        .layer(PolicyLayer::new(policy(&stage)).repeated_by(Once))
        .service(service_fn(move |stream: Stream| async move {
            calls.fetch_add(stream.0, Ordering::Relaxed);
            Err::<(), _>(DOWN)
        }));
    let call = service.ready().await.unwrap().call(Stream(1));
    assert_eq!(driven(&stage.clock, MS, call).await, Err(Failure::Call(DOWN)));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_response_may_be_a_failure_and_is_handed_out_as_it_is() {
    let stage = stage();
    let calls = Arc::new(AtomicU32::new(0));
    let judge = |result: &Result<u16, std::convert::Infallible>| {
        result.is_ok_and(|status| status >= 500).then(|| Verdict::class(ErrorClass::Unavailable))
    };
    let mut service =
        ServiceBuilder::new().layer(PolicyLayer::new(policy(&stage)).judged_by(judge)).service(service_fn({
            let calls = calls.clone();
            move |(): ()| {
                calls.fetch_add(1, Ordering::Relaxed);
                async { Ok::<u16, std::convert::Infallible>(503) }
            }
        }));
    let call = service.ready().await.unwrap().call(());
    assert_eq!(driven(&stage.clock, MS, call).await, Ok(503));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_back_its_place() {
    let stage = stage();
    let policy = policy(&stage);
    let service = service_fn(|(): ()| std::future::pending::<Result<(), Wrong>>());
    let mut service = PolicyLayer::new(policy.clone()).layer(service);
    let mut call = service.ready().await.unwrap().call(());
    assert!(polled(call.as_mut()).is_pending());
    assert_eq!(policy.bulkhead().unwrap().in_use(), 1);
    drop(call);
    assert_eq!(policy.bulkhead().unwrap().in_use(), 0);
}

#[tokio::test]
async fn a_request_has_the_time_that_it_asks_for_and_no_more_than_the_most() {
    let clock = TestClock::new();
    let asked = |request: &Option<u64>| request.map(Duration::from_secs);
    let layer = DeadlineLayer::new(clock.shared(), 10 * SECOND, asked);
    for (request, limit) in [(Some(3), 3), (Some(60), 10), (None, 10)] {
        let told = service_fn({
            let clock = clock.clone();
            move |_| {
                let clock = clock.clone();
                async move { Ok::<_, Wrong>(Deadline::current().unwrap().remaining(&clock)) }
            }
        });
        let left = layer.layer(told).oneshot(request).await;
        assert_eq!(left, Ok(SECOND * limit));
        let stuck = service_fn(|_| std::future::pending::<Result<(), Wrong>>());
        let mut stuck = layer.layer(stuck);
        let mut call = Service::<Option<u64>>::call(&mut stuck, request);
        assert!(polled(call.as_mut()).is_pending());
        clock.advance(SECOND * limit);
        assert!(matches!(ended(call), Err(Failure::TimedOut(_))));
    }
}

#[tokio::test]
async fn two_failures_are_one() {
    let stage = stage();
    let inner = PolicyLayer::new(policy(&stage));
    let outer = DeadlineLayer::new(stage.clock.shared(), SECOND, |_: &u32| None);
    let (service, _) = strict(100);
    let mut service =
        ServiceBuilder::new().map_err(Failure::flatten).layer(outer).layer(inner).service(service);
    let call = service.ready().await.unwrap().call(7);
    let failure: Failure<Wrong> = driven(&stage.clock, MS, call).await.unwrap_err();
    assert_eq!(failure, Failure::Call(DOWN));
}

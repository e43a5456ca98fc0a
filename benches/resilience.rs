//! Policies around a call that answers at once: what they cost while nothing is wrong.
//!
//! One task calls again and again; `two threads` share the calls. `stack` is retry, breaker, bulkhead and a time limit around
//! one call; ours also hands its deadline down.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::hint::black_box;
use std::time::{Duration, Instant};

use backon::Retryable;
use buttress_core::{Ctx, Elapsed};
use buttress_resilience::{
    Breaker, BreakerConfig, Bulkhead, BulkheadConfig, Policy, Priority, ResilienceConfig, Retry, RetryConfig,
    WindowConfig,
};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use failsafe::futures::CircuitBreaker;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Runtime;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience::bulkhead::BulkheadLayer;
use tower_resilience::circuitbreaker::CircuitBreakerLayer;
use tower_resilience::retry::RetryLayer;
use tower_resilience::timelimiter::TimeLimiterLayer;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Answer = Result<u64, Elapsed>;

async fn call() -> Answer {
    black_box(Ok(7))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn bench<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut subject: impl AsyncFnMut() -> T) {
    let runtime = runtime();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..rounds {
                    black_box(subject().await);
                }
                start.elapsed()
            })
        });
    });
}

/// Ours, without and with its metrics recorded.
fn ours<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    make: &impl Fn() -> S,
    call: &impl AsyncFn(&S) -> u64,
) {
    let subject = make();
    bench(group, name, async || call(&subject).await);
    let recorder = PrometheusBuilder::new().build_recorder();
    let subject = metrics::with_local_recorder(&recorder, make);
    bench(group, &format!("{name}, metrics recorded"), async || call(&subject).await);
}

fn breaker(config: impl Fn(&mut BreakerConfig)) -> impl Fn() -> Breaker {
    move || {
        let mut breaker = BreakerConfig::default();
        config(&mut breaker);
        Breaker::new("bench", &breaker, &Ctx::default()).unwrap()
    }
}

fn closed_breakers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("closed breaker");
    let run = async |breaker: &Breaker| breaker.run(call()).await.unwrap();
    ours(&mut group, "buttress", &breaker(|_| {}), &run);
    let slow = breaker(|config| config.slow_after = Some(Duration::from_secs(1)));
    ours(&mut group, "buttress, slow calls", &slow, &run);
    let time = breaker(|config| config.window = WindowConfig::Time(Duration::from_secs(10)));
    ours(&mut group, "buttress, window of time", &time, &run);
    bench(&mut group, "bare call", call);
    let recloser = recloser::AsyncRecloser::from(recloser::Recloser::default());
    bench(&mut group, "recloser", async || recloser.call(call()).await.unwrap());
    let failsafe = failsafe::Config::new().build();
    bench(&mut group, "failsafe", async || failsafe.call(call()).await.unwrap());
    let layer = CircuitBreakerLayer::builder().build().unwrap();
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(|_: u64| call()));
    bench(&mut group, "tower-resilience", async || service.ready().await.unwrap().call(1).await.unwrap());
    group.finish();
}

/// A call, with two threads that do nothing else.
fn together<T>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, subject: &(impl AsyncFn() -> T + Sync)) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let work = || {
                runtime().block_on(async {
                    for _ in 0..rounds.div_ceil(2) {
                        black_box(subject().await);
                    }
                });
            };
            let start = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(work);
                scope.spawn(work);
            });
            start.elapsed()
        });
    });
}

fn closed_breakers_together(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("closed breaker, two threads");
    let calls = breaker(|_| {})();
    together(&mut group, "buttress", &async || calls.run(call()).await.unwrap());
    let time = breaker(|config| config.window = WindowConfig::Time(Duration::from_secs(10)))();
    together(&mut group, "buttress, window of time", &async || time.run(call()).await.unwrap());
    let recloser = recloser::AsyncRecloser::from(recloser::Recloser::default());
    together(&mut group, "recloser", &async || recloser.call(call()).await.unwrap());
    let failsafe = failsafe::Config::new().build();
    together(&mut group, "failsafe", &async || failsafe.call(call()).await.unwrap());
    group.finish();
}

fn retries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retry without failure");
    let make = || Retry::new("bench", &RetryConfig::default(), &Ctx::default()).unwrap();
    ours(&mut group, "buttress", &make, &async |retry: &Retry| retry.run(|_| call()).await.unwrap());
    bench(&mut group, "bare call", call);
    bench(&mut group, "backon", async || {
        call.retry(backon::ExponentialBuilder::default().with_jitter()).await.unwrap()
    });
    let layer = RetryLayer::<u64, u64, Elapsed>::builder().max_attempts(3).build();
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(|_: u64| call()));
    bench(&mut group, "tower-resilience", async || service.ready().await.unwrap().call(1).await.unwrap());
    group.finish();
}

fn bulkheads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bulkhead");
    let make = || Bulkhead::new("bench", &BulkheadConfig::default(), &Ctx::default()).unwrap();
    let run = async |bulkhead: &Bulkhead| bulkhead.run(Priority::Normal, call()).await.unwrap();
    ours(&mut group, "buttress", &make, &run);
    bench(&mut group, "bare call", call);
    let semaphore = tokio::sync::Semaphore::new(100);
    bench(&mut group, "tokio semaphore", async || {
        let _permit = semaphore.acquire().await.unwrap();
        call().await.unwrap()
    });
    let layer = BulkheadLayer::builder().max_concurrent_calls(100).build().unwrap();
    let mut service = ServiceBuilder::new().layer(layer).service(service_fn(|_: u64| call()));
    bench(&mut group, "tower-resilience", async || service.ready().await.unwrap().call(1).await.unwrap());
    group.finish();
}

fn stacks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack");
    let make = || Policy::new(&ResilienceConfig::default(), &Ctx::default()).unwrap();
    ours(&mut group, "buttress", &make, &async |policy: &Policy| policy.run(|_| call()).await.unwrap());
    bench(&mut group, "bare call", call);
    bench(&mut group, "tokio::time::timeout alone", async || {
        tokio::time::timeout(Duration::from_secs(10), call()).await.unwrap().unwrap()
    });
    let mut service = ServiceBuilder::new()
        .layer(RetryLayer::<u64, u64, _>::builder().max_attempts(3).build())
        .layer(CircuitBreakerLayer::builder().build().unwrap())
        .layer(BulkheadLayer::builder().max_concurrent_calls(100).build().unwrap())
        .layer(TimeLimiterLayer::builder().timeout_duration(Duration::from_secs(10)).build())
        .service(service_fn(|_: u64| call()));
    bench(&mut group, "tower-resilience", async || service.ready().await.unwrap().call(1).await.unwrap());
    group.finish();
}

criterion_group!(benches, closed_breakers, closed_breakers_together, retries, bulkheads, stacks);
criterion_main!(benches);

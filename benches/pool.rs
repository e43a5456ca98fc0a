//! Pools with nothing in them: what handing out and taking back costs by itself.
//!
//! A manager makes numbers and finds them all in order. `contended` is 64 tasks over 8 objects on two threads, each
//! holding its object over one yield to the others; `wait p50` and `wait p99` are how long these tasks waited for one.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_pool::{Pool, PoolConfig};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::runtime::Runtime;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OBJECTS: usize = 8;
const TASKS: u64 = 64;

/// Makes numbers.
struct Numbers;

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never(Infallible);

impl Classify for Never {
    fn class(&self) -> ErrorClass {
        ErrorClass::Internal
    }
}

impl buttress_pool::Manager for Numbers {
    type Object = u64;
    type Error = Never;

    async fn create(&self) -> Result<u64, Never> {
        Ok(7)
    }

    async fn check(&self, _: &mut u64) -> Result<(), Never> {
        Ok(())
    }
}

impl deadpool::managed::Manager for Numbers {
    type Type = u64;
    type Error = Never;

    async fn create(&self) -> Result<u64, Never> {
        Ok(7)
    }

    async fn recycle(
        &self,
        _: &mut u64,
        _: &deadpool::managed::Metrics,
    ) -> deadpool::managed::RecycleResult<Never> {
        Ok(())
    }
}

impl bb8::ManageConnection for Numbers {
    type Connection = u64;
    type Error = Never;

    async fn connect(&self) -> Result<u64, Never> {
        Ok(7)
    }

    async fn is_valid(&self, _: &mut u64) -> Result<(), Never> {
        Ok(())
    }

    fn has_broken(&self, _: &mut u64) -> bool {
        false
    }
}

#[mobc::async_trait]
impl mobc::Manager for Numbers {
    type Connection = u64;
    type Error = Never;

    async fn connect(&self) -> Result<u64, Never> {
        Ok(7)
    }

    async fn check(&self, object: u64) -> Result<u64, Never> {
        Ok(object)
    }
}

/// A pool, as the cases use it.
trait Subject: Clone + Send + Sync + 'static {
    fn take(&self) -> impl Future<Output = impl Send> + Send;
}

impl Subject for Pool<Numbers> {
    async fn take(&self) -> impl Send {
        self.get().await.unwrap()
    }
}

impl Subject for deadpool::managed::Pool<Numbers> {
    async fn take(&self) -> impl Send {
        self.get().await.unwrap()
    }
}

impl Subject for bb8::Pool<Numbers> {
    async fn take(&self) -> impl Send {
        self.get().await.unwrap()
    }
}

impl Subject for mobc::Pool<Numbers> {
    async fn take(&self) -> impl Send {
        self.get().await.unwrap()
    }
}

fn buttress() -> Pool<Numbers> {
    let mut config = PoolConfig::default();
    config.max = OBJECTS;
    Pool::new(Numbers, config, &Ctx::default()).unwrap()
}

fn deadpool() -> deadpool::managed::Pool<Numbers> {
    deadpool::managed::Pool::builder(Numbers).max_size(OBJECTS).build().unwrap()
}

fn bb8(check: bool) -> bb8::Pool<Numbers> {
    let size = u32::try_from(OBJECTS).unwrap();
    bb8::Pool::builder().max_size(size).test_on_check_out(check).build_unchecked(Numbers)
}

fn mobc() -> mobc::Pool<Numbers> {
    mobc::Pool::builder().max_open(OBJECTS as u64).max_idle(OBJECTS as u64).build(Numbers)
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Runs a case on each subject.
fn subjects(runtime: &Runtime, group: &mut Group<'_>, case: &impl Case) {
    let _inside = runtime.enter();
    case.run(group, "buttress", runtime, buttress());
    // With every metric recorded, as a service has it.
    let recorder = PrometheusBuilder::new().build_recorder();
    let measured = metrics::with_local_recorder(&recorder, buttress);
    case.run(group, "buttress, metrics recorded", runtime, measured);
    case.run(group, "deadpool", runtime, deadpool());
    case.run(group, "bb8", runtime, bb8(true));
    case.run(group, "bb8, no check", runtime, bb8(false));
    case.run(group, "mobc", runtime, mobc());
}

trait Case {
    fn run(&self, group: &mut Group<'_>, name: &str, runtime: &Runtime, pool: impl Subject);
}

/// Get and return, one task.
struct Uncontended;

impl Case for Uncontended {
    fn run(&self, group: &mut Group<'_>, name: &str, runtime: &Runtime, pool: impl Subject) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let pool = pool.clone();
                let work = async move {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        black_box(pool.take().await);
                    }
                    start.elapsed()
                };
                runtime.block_on(runtime.spawn(work)).unwrap()
            });
        });
    }
}

/// How many objects pass through 64 tasks.
struct Contended;

impl Case for Contended {
    fn run(&self, group: &mut Group<'_>, name: &str, runtime: &Runtime, pool: impl Subject) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let each = rounds.div_ceil(TASKS);
                let start = Instant::now();
                runtime.block_on(crowd(&pool, move |pool| async move {
                    for _ in 0..each {
                        let object = pool.take().await;
                        tokio::task::yield_now().await;
                        drop(object);
                    }
                }));
                start.elapsed().mul_f64(rounds as f64 / (each * TASKS) as f64)
            });
        });
    }
}

/// The share of waits that are not longer than what is measured.
struct Wait(f64);

impl Case for Wait {
    fn run(&self, group: &mut Group<'_>, name: &str, runtime: &Runtime, pool: impl Subject) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let mut waits: Vec<Duration> = runtime
                    .block_on(crowd(&pool, |pool| async move {
                        let mut waits = Vec::with_capacity(300);
                        for _ in 0..300 {
                            let start = Instant::now();
                            let object = pool.take().await;
                            waits.push(start.elapsed());
                            tokio::task::yield_now().await;
                            drop(object);
                        }
                        waits
                    }))
                    .concat();
                waits.sort_unstable();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
                let rank = (waits.len() as f64 * self.0) as usize;
                waits.get(rank.min(waits.len() - 1)).unwrap().mul_f64(rounds as f64)
            });
        });
    }
}

async fn crowd<S: Subject, F: Future<Output: Send + 'static> + Send + 'static>(
    pool: &S,
    work: impl Fn(S) -> F,
) -> Vec<F::Output> {
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(work(pool.clone()))).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn pools(criterion: &mut Criterion) {
    let runtime =
        Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let mut group = criterion.benchmark_group("get and return, one task");
    subjects(&runtime, &mut group, &Uncontended);
    group.finish();
    let mut group = criterion.benchmark_group("get, yield and return, 64 tasks over 8");
    subjects(&runtime, &mut group, &Contended);
    group.finish();
    for (name, share) in [("wait p50", 0.5), ("wait p99", 0.99)] {
        let mut group = criterion.benchmark_group(format!("{name}, 64 tasks over 8"));
        // An iteration is a whole crowd, however many are asked for.
        group.sampling_mode(SamplingMode::Flat).sample_size(30);
        subjects(&runtime, &mut group, &Wait(share));
        group.finish();
    }
}

criterion_group!(benches, pools);
criterion_main!(benches);

//! The second tier: a value that this node does not have and Redis has, and a value that is set, beside the Redis client itself.
//!
//! `redis-rs` is a multiplexed connection that does GET and SET of the same bytes under the same names; it checks nothing and keeps
//! nothing. Every key is asked for once in a round of more keys than the node keeps, so that it finds next to nothing here.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use buttress_cache::codec::Codec;
use buttress_cache::tier::RedisTier;
use buttress_cache::{Cache, CacheConfig, Lifetime, TierConfig, Tiered};
use buttress_connect::ConnectionConfig;
use buttress_connect::redis::Redis;
use buttress_connect::redis::client::{Client, aio::MultiplexedConnection, cmd};
use buttress_core::{Ctx, Probe, Vitality};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 10_000;
/// What the node keeps of them.
const KEPT: usize = 64;
const LIFE: Duration = Duration::from_hours(1);
/// The next key.
static AT: AtomicU64 = AtomicU64::new(0);

fn value() -> String {
    "a value of a length as many have ".repeat(8)
}

async fn tiered(url: &str) -> Tiered<u64, String> {
    let redis = Redis::connect(&url.parse().unwrap(), &ConnectionConfig::default()).await.unwrap();
    let mut config = CacheConfig::default();
    (config.capacity, config.ttl, config.jitter) = (KEPT, Some(LIFE), 0.0);
    let cache = Cache::builder("bench").config(config).build(&Ctx::default()).unwrap();
    let mut tier = TierConfig::default();
    // A machine that is busy with other things does not open the breaker.
    tier.within = Duration::from_secs(5);
    Tiered::over(cache, RedisTier::new(redis, "bench"), Codec::json("text", 1), tier).unwrap()
}

/// Does `work` on the keys in turn, from so many tasks at once; tells the time of all calls together, divided by their number.
fn subject<F: Future<Output = ()> + Send + 'static>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    (runtime, tasks): (&Runtime, u64),
    work: impl Fn(u64, u64) -> F,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            runtime.block_on(async {
                let each = rounds.div_ceil(tasks);
                let start = Instant::now();
                // On from where the last round ended: what was asked for lately may be here.
                let first = AT.fetch_add(each * tasks, Ordering::Relaxed);
                let running: Vec<_> =
                    (0..tasks).map(|task| tokio::spawn(work(first + task * each, each))).collect();
                for task in running {
                    task.await.unwrap();
                }
                start.elapsed().mul_f64(rounds as f64 / (each * tasks) as f64)
            })
        });
    });
}

fn keys(first: u64, many: u64) -> impl Iterator<Item = u64> {
    (first..first + many).map(|number| number % KEYS)
}

fn get(
    group: &mut BenchmarkGroup<'_, WallTime>,
    on: (&Runtime, u64),
    cache: &Tiered<u64, String>,
    raw: &MultiplexedConnection,
) {
    subject(group, "buttress", on, |first, many| {
        let cache = cache.clone();
        async move {
            for key in keys(first, many) {
                assert!(black_box(cache.get(&key).await.unwrap()).is_some());
            }
        }
    });
    subject(group, "redis-rs", on, |first, many| {
        let mut raw = raw.clone();
        async move {
            for key in keys(first, many) {
                let bytes: Option<Vec<u8>> =
                    cmd("GET").arg(format!("bench:{{{key}}}")).query_async(&mut raw).await.unwrap();
                assert!(black_box(bytes).is_some());
            }
        }
    });
}

fn set(
    group: &mut BenchmarkGroup<'_, WallTime>,
    on: (&Runtime, u64),
    cache: &Tiered<u64, String>,
    raw: &MultiplexedConnection,
) {
    let bytes: Vec<u8> = on.0.block_on(cmd("GET").arg("bench:{1}").query_async(&mut raw.clone())).unwrap();
    subject(group, "buttress", on, |first, many| {
        let (cache, value) = (cache.clone(), value());
        async move {
            for key in keys(first, many) {
                cache.set(&key, value.clone(), Lifetime::default()).await.unwrap();
            }
        }
    });
    subject(group, "redis-rs", on, |first, many| {
        let (mut raw, bytes) = (raw.clone(), bytes.clone());
        async move {
            for key in keys(first, many) {
                let mut command = cmd("SET");
                command.arg(format!("raw:{{{key}}}")).arg(&bytes).arg("EX").arg(LIFE.as_secs());
                command.query_async::<()>(&mut raw).await.unwrap();
            }
        }
    });
}

fn tiers(criterion: &mut Criterion) {
    type Case =
        fn(&mut BenchmarkGroup<'_, WallTime>, (&Runtime, u64), &Tiered<u64, String>, &MultiplexedConnection);

    let server = buttress_testkit::Redis::start();
    // One thread for all that is measured; it goes on with its heartbeats between two measurements.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (cache, raw) = runtime.block_on(async {
        let cache = tiered(&server.url()).await;
        while cache.check().await != Vitality::Pass {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for key in 0..KEYS {
            cache.set(&key, value(), Lifetime::default()).await.unwrap();
        }
        let client = Client::open(server.url()).unwrap();
        (cache, client.get_multiplexed_async_connection().await.unwrap())
    });
    for (name, case) in [("get", get as Case), ("set", set)] {
        for tasks in [1, 64] {
            let plural = if tasks == 1 { "task" } else { "tasks" };
            let mut group = criterion.benchmark_group(format!("{name}, {tasks} {plural}"));
            case(&mut group, (&runtime, tasks), &cache, &raw);
            group.finish();
        }
    }
    let stats = cache.local().stats();
    assert!(stats.hit_ratio() < 0.02, "it was asked for what it had itself: {stats:?}");
}

criterion_group!(benches, tiers);
criterion_main!(benches);

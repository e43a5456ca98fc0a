//! Rate limits by key: what one check costs, over 10,000 string keys in turn.
//!
//! `whole decision` is what a service asks for: the tier by name, two windows, penalties. The rivals have one window in every case, since
//! they have no other. governor is there with either of its clocks: that of the standard library, and that of the processor, which is
//! its default. `sliding log` is beside a map of queues, as people write it by hand; every key is at its quota there.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a bench that cannot run should stop

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use buttress_core::Ctx;
use buttress_ratelimit::{Algorithm, Limit, Limiter, LimiterConfig, Request, SharedLimiter};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use governor::clock::MonotonicClock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use metrics_exporter_prometheus::PrometheusBuilder;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: usize = 10_000;
/// Enough that a check is admitted.
const MUCH: u32 = 1_000_000_000;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn keys() -> Arc<[String]> {
    (0..KEYS).map(|key| format!("user-{key}")).collect()
}

/// Runs `check` on the keys in turn, on so many threads; tells the time of one check as each thread sees it.
fn subject(group: &mut Group<'_>, name: &str, threads: usize, check: impl Fn(&String) -> bool + Send + Sync) {
    let keys = keys();
    for key in keys.iter() {
        black_box(check(key));
    }
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let run = |thread: usize| {
                let start = Instant::now();
                // Each thread goes through the keys in another order.
                let mut at = thread * KEYS / 2;
                for _ in 0..rounds {
                    at = (at + 7_919) % KEYS;
                    black_box(check(&keys[at]));
                }
                start.elapsed()
            };
            std::thread::scope(|scope| {
                let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || run(thread))).collect();
                let own = run(0);
                others.into_iter().map(|other| other.join().unwrap()).fold(own, Duration::max)
            })
        });
    });
}

fn governor(group: &mut Group<'_>, threads: usize) {
    let quota = Quota::per_minute(NonZeroU32::new(MUCH).unwrap());
    let limiter = RateLimiter::<String, _, _, _>::dashmap_with_clock(quota, MonotonicClock);
    subject(group, "governor, one window, std's clock", threads, |key| limiter.check_key(key).is_ok());
    let limiter: DefaultKeyedRateLimiter<String> = RateLimiter::keyed(quota);
    subject(group, "governor, one window, its own clock", threads, |key| limiter.check_key(key).is_ok());
}

fn tiers() -> Limiter {
    let mut config = LimiterConfig::default();
    for policy in config.tiers.values_mut() {
        *policy = [Limit::per_minute(MUCH), Limit::per_hour(MUCH)].into();
    }
    Limiter::with(&config, &Ctx::default()).unwrap()
}

fn whole_decision(group: &mut Group<'_>, threads: usize) {
    let limiter = tiers();
    subject(group, "buttress", threads, |key| limiter.check(Request::user(key).tier("pro")).is_admitted());
    let recorder = PrometheusBuilder::new().build_recorder();
    let limiter = metrics::with_local_recorder(&recorder, tiers);
    subject(group, "buttress, metrics recorded", threads, |key| {
        limiter.check(Request::user(key).tier("pro")).is_admitted()
    });
    governor(group, threads);
}

fn one_window(group: &mut Group<'_>, threads: usize) {
    let limiter = Limiter::new(Limit::per_minute(MUCH).algorithm(Algorithm::Gcra));
    subject(group, "buttress", threads, |key| limiter.check(key).is_admitted());
    governor(group, threads);
}

fn sliding_log(group: &mut Group<'_>, threads: usize) {
    const QUOTA: u32 = 100;
    let limiter = Limiter::new(Limit::per_minute(QUOTA).algorithm(Algorithm::SlidingLog));
    subject(group, "buttress", threads, |key| limiter.check(key).is_admitted());
    let queues: Mutex<HashMap<String, VecDeque<Instant>>> = Mutex::default();
    subject(group, "a map of queues", threads, |key| {
        let now = Instant::now();
        let mut queues = queues.lock().unwrap();
        let queue = queues.entry(key.clone()).or_default();
        while queue.front().is_some_and(|first| now - *first >= Duration::from_mins(1)) {
            queue.pop_front();
        }
        let admitted = queue.len() < QUOTA as usize;
        if admitted {
            queue.push_back(now);
        }
        admitted
    });
}

/// No keys: what is left when there is nothing to look up.
fn without_keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one limiter, no keys");
    let ours = Limiter::new(Limit::per_minute(MUCH).algorithm(Algorithm::Gcra));
    subject(&mut group, "buttress, always the same key", 1, |_| ours.check("all").is_admitted());
    let quota = Quota::per_minute(NonZeroU32::new(MUCH).unwrap());
    let governor = RateLimiter::direct(quota);
    subject(&mut group, "governor, direct", 1, |_| governor.check().is_ok());
    let leaky = leaky_bucket::RateLimiter::builder().initial(usize::MAX >> 1).max(usize::MAX >> 1).build();
    subject(&mut group, "leaky-bucket", 1, |_| leaky.try_acquire(1));
    group.finish();
}

/// Limits that processes share through Redis on the same machine: in blocks, and with a round trip for each check.
fn shared(criterion: &mut Criterion) {
    let server = buttress_testkit::Redis::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = |lease_share, lease_most| {
        let mut config = LimiterConfig::one(Limit::per_hour(MUCH));
        config.shared.url = Some(server.url().parse().unwrap());
        config.shared.within = Duration::from_secs(5);
        (config.shared.lease_share, config.shared.lease_most) = (lease_share, lease_most);
        runtime.block_on(SharedLimiter::open(&config, &Ctx::default())).unwrap()
    };
    let mut group = criterion.benchmark_group("shared, 100 keys");
    let keys: Vec<String> = (0..100).map(|key| format!("user-{key}")).collect();
    let local = Limiter::new(Limit::per_hour(MUCH).algorithm(Algorithm::FixedWindow));
    // Of a block, each check bears its part of one round trip.
    let cases = [
        ("buttress, leased, blocks of 1,000", 16, 1_000),
        ("buttress, leased, blocks of 100,000", 16, 100_000),
        ("buttress, a round trip for each", 0, 1_000),
    ];
    for (name, share, most) in cases {
        let limiter = open(share, most);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for key in keys.iter().cycle().take(usize::try_from(rounds).unwrap()) {
                        black_box(limiter.check(key).await.is_admitted());
                    }
                    start.elapsed()
                })
            });
        });
    }
    group.bench_function("buttress, not shared", |bencher| {
        let mut keys = keys.iter().cycle();
        bencher.iter(|| local.check(keys.next().unwrap()).is_admitted());
    });
    group.finish();
}

fn limits(criterion: &mut Criterion) {
    type Case = (&'static str, fn(&mut Group<'_>, usize));
    let cases: [Case; 3] =
        [("whole decision", whole_decision), ("one GCRA window", one_window), ("sliding log", sliding_log)];
    for (name, case) in cases {
        for threads in [1, 2] {
            let plural = if threads == 1 { "thread" } else { "threads" };
            let mut group = criterion.benchmark_group(format!("{name}, {threads} {plural}"));
            case(&mut group, threads);
            group.finish();
        }
    }
    without_keys(criterion);
    shared(criterion);
}

criterion_group!(benches, limits);
criterion_main!(benches);

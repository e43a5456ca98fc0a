//! Caches of `u64` under `u64`, with room for 100,000 entries; ours with entries that expire.
//!
//! `get, hit` asks for keys that are there; `insert` puts in keys that are not, so that another goes for each; `95/5` is 95 gets and
//! 5 inserts of 100,000 keys, on one and on two threads, in time of a thread for one call.

#![allow(clippy::disallowed_methods)] // a bench measures real time
#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

#[path = "cache/subjects.rs"]
mod subjects;
#[path = "cache/traces.rs"]
mod traces;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use buttress_cache::EngineKind;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use metrics_exporter_prometheus::PrometheusBuilder;
use subjects::Subject;
use traces::Random;

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CAPACITY: usize = 100_000;

type Group<'a> = BenchmarkGroup<'a, WallTime>;
type Case = fn(&mut Group<'_>, &str, &dyn Subject);

/// Runs a case on each subject.
fn subjects(group: &mut Group<'_>, case: Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _inside = runtime.enter();
    let ours = || subjects::buttress(CAPACITY, EngineKind::Duel);
    case(group, "buttress", &ours());
    // With every metric recorded, as a service has it.
    let recorder = PrometheusBuilder::new().build_recorder();
    case(group, "buttress, metrics recorded", &metrics::with_local_recorder(&recorder, ours));
    case(group, "quick_cache", &subjects::quick(CAPACITY));
    case(group, "moka", &subjects::moka(CAPACITY));
    case(group, "moka with ttl", &subjects::moka_ttl(CAPACITY));
    case(group, "lru behind a mutex", &subjects::lru(CAPACITY));
    case(group, "foyer", &subjects::foyer(CAPACITY));
    case(group, "TinyUFO", &subjects::ufo(CAPACITY));
}

/// Keys below `bound`, in no order.
fn keys(seed: u64, bound: u64) -> Vec<u64> {
    let mut random = Random(seed);
    (0..1 << 16).map(|_| random.number() % bound).collect()
}

fn get(group: &mut Group<'_>, name: &str, subject: &dyn Subject) {
    // Shards are not filled evenly; with a little room left nothing has to go.
    let there = CAPACITY as u64 * 8 / 10;
    (0..there).for_each(|key| subject.insert(key, key));
    let keys = keys(1, there);
    let mut next = keys.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| black_box(subject.get(*next.next().unwrap())).unwrap());
    });
}

fn insert(group: &mut Group<'_>, name: &str, subject: &dyn Subject) {
    let mut key = 0;
    (0..2 * CAPACITY as u64).for_each(|key| subject.insert(u64::MAX - key, key));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            key += 1;
            subject.insert(black_box(key), key);
        });
    });
}

fn mixed(subject: &dyn Subject, threads: u64, rounds: u64) -> Duration {
    let start = Barrier::new(usize::try_from(threads).unwrap());
    let run = |thread: u64| {
        let keys = keys(thread + 1, CAPACITY as u64);
        let each = rounds.div_ceil(threads);
        start.wait();
        let begun = Instant::now();
        for (key, round) in keys.iter().cycle().zip(0..each) {
            if round.is_multiple_of(20) {
                subject.insert(*key, round);
            } else {
                black_box(subject.get(*key));
            }
        }
        begun.elapsed().mul_f64(rounds as f64 / each as f64)
    };
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    })
}

fn mixed_on<const THREADS: u64>(group: &mut Group<'_>, name: &str, subject: &dyn Subject) {
    (0..CAPACITY as u64).for_each(|key| subject.insert(key, key));
    group.bench_function(name, |bencher| bencher.iter_custom(|rounds| mixed(subject, THREADS, rounds)));
}

fn caches(criterion: &mut Criterion) {
    let cases: [(&str, Case); 4] = [
        ("get, hit", get),
        ("insert", insert),
        ("95/5, one thread", mixed_on::<1>),
        ("95/5, two threads", mixed_on::<2>),
    ];
    for (name, case) in cases {
        let mut group = criterion.benchmark_group(format!("cache: {name}"));
        subjects(&mut group, case);
        group.finish();
    }
}

criterion_group!(benches, caches);
criterion_main!(benches);

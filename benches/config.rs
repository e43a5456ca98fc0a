//! Reading a configuration that may be replaced at any time.
//!
//! The rivals are what people write without us: the value behind a lock of the standard library.
#![allow(missing_docs, reason = "criterion's macros make public items without documentation")]
#![allow(clippy::expect_used, reason = "a bench that cannot read a lock has nothing to measure")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use buttress_config::Live;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

/// About as large as the limits of one component.
#[derive(Debug, Clone, Default)]
struct Settings {
    workers: u64,
    limits: [u64; 8],
}

/// Measures `read` while one other thread does the same all the time.
fn beside_another<R, F>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, make: F)
where
    R: FnMut() -> u64 + Send,
    F: Fn() -> R,
{
    let stop = AtomicBool::new(false);
    let (mut read, mut other) = (make(), make());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                black_box(other());
            }
        });
        group.bench_function(name, |bencher| bencher.iter(&mut read));
        stop.store(true, Ordering::Relaxed);
    });
}

fn read(criterion: &mut Criterion) {
    let settings = Settings { workers: 4, limits: [7; 8] };
    let live = Live::new(settings.clone());
    let locked = RwLock::new(Arc::new(settings.clone()));
    let guarded = Mutex::new(Arc::new(settings));
    // Each hands out what it takes to use the value for as long as one likes. `black_box` hides from the compiler
    // that it is the same value as last time, as it is in a program.
    let from_lock = || Arc::clone(&black_box(&locked).read().expect("no reader panics"));
    let from_mutex = || Arc::clone(&black_box(&guarded).lock().expect("no reader panics"));

    let mut group = criterion.benchmark_group("one field, alone");
    let mut reader = live.reader();
    group.bench_function("buttress", |bencher| bencher.iter(|| black_box(&mut reader).get().workers));
    group.bench_function("RwLock<Arc>", |bencher| bencher.iter(|| from_lock().workers));
    group.bench_function("Mutex<Arc>", |bencher| bencher.iter(|| from_mutex().workers));
    group.finish();

    let mut group = criterion.benchmark_group("one field, beside another thread");
    beside_another(&mut group, "buttress", || {
        let mut reader = live.reader();
        move || black_box(&mut reader).get().workers
    });
    beside_another(&mut group, "RwLock<Arc>", || || from_lock().workers);
    beside_another(&mut group, "Mutex<Arc>", || || from_mutex().workers);
    group.finish();

    let mut group = criterion.benchmark_group("snapshot, beside another thread");
    beside_another(&mut group, "buttress", || || black_box(&live).get().limits.iter().sum());
    beside_another(&mut group, "RwLock<Arc>", || || from_lock().limits.iter().sum());
    beside_another(&mut group, "Mutex<Arc>", || || from_mutex().limits.iter().sum());
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);

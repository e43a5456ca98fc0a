//! Prints which part of the requests each cache can serve: `cargo run --release -p buttress-benches --example
//! cache_hit_ratio [CAPACITY TRACE]...`.
//!
//! The generated traces have 2 million requests to 200,000 keys at a capacity of 10,000. A TRACE is a file with one key on each
//! line; any text is a key.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // what it is for is to print

mod subjects;
mod traces;

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use buttress_cache::EngineKind;
use subjects::Subject;
use traces::{Random, Zipf};

const KEYS: u32 = 200_000;
const CAPACITY: usize = 10_000;
const REQUESTS: u32 = 2_000_000;

fn zipf(power: f64) -> Vec<u64> {
    let (zipf, mut random) = (Zipf::new(KEYS, power), Random(1));
    (0..REQUESTS).map(|_| zipf.draw(&mut random)).collect()
}

/// Popular keys; one request in ten goes on with a scan of keys that nobody asks for again soon.
fn scans() -> Vec<u64> {
    let (zipf, mut random, mut scan) = (Zipf::new(KEYS, 0.9), Random(2), 0);
    let request = |_| {
        if random.number().is_multiple_of(10) {
            scan = (scan + 1) % u64::from(KEYS);
            1_000_000 + scan
        } else {
            zipf.draw(&mut random)
        }
    };
    (0..REQUESTS).map(request).collect()
}

/// Half of the requests go round and round, over more keys than there is room for; the others are to popular keys.
fn looping() -> Vec<u64> {
    let (zipf, mut random, mut at) = (Zipf::new(KEYS, 1.1), Random(3), 0);
    let request = |_| {
        if random.number().is_multiple_of(2) {
            at = (at + 1) % 12_000;
            1_000_000 + at
        } else {
            zipf.draw(&mut random)
        }
    };
    (0..REQUESTS).map(request).collect()
}

fn file(path: &str) -> Vec<u64> {
    let hasher = BuildHasherDefault::<DefaultHasher>::new();
    std::fs::read_to_string(path).unwrap().lines().map(|line| hasher.hash_one(line.trim())).collect()
}

fn ratio(subject: &dyn Subject, trace: &[u64]) -> f64 {
    let mut hits = 0_u32;
    for key in trace {
        if subject.get(*key).is_some() {
            hits += 1;
        } else {
            subject.insert(*key, *key);
        }
    }
    f64::from(hits) / trace.len() as f64
}

fn main() {
    let mut traces = vec![
        ("zipf 0.9".to_owned(), CAPACITY, zipf(0.9)),
        ("zipf 1.1".to_owned(), CAPACITY, zipf(1.1)),
        ("scans".to_owned(), CAPACITY, scans()),
        ("loop".to_owned(), CAPACITY, looping()),
    ];
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    for pair in arguments.chunks_exact(2) {
        let [capacity, path] = pair else { continue };
        let name = path.rsplit('/').next().unwrap();
        traces.push((format!("{name} {capacity}"), capacity.parse().unwrap(), file(path)));
    }
    println!(
        "| trace | buttress | on quick_cache | on moka | on lru | quick_cache | moka | lru | foyer | TinyUFO |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (name, capacity, trace) in traces {
        let subjects: [Box<dyn Subject>; 9] = [
            Box::new(subjects::buttress(capacity, EngineKind::Duel)),
            Box::new(subjects::buttress(capacity, EngineKind::QuickCache)),
            Box::new(subjects::buttress(capacity, EngineKind::Moka)),
            Box::new(subjects::buttress(capacity, EngineKind::Lru)),
            Box::new(subjects::quick(capacity)),
            Box::new(subjects::moka(capacity)),
            Box::new(subjects::lru(capacity)),
            Box::new(subjects::foyer(capacity)),
            Box::new(subjects::ufo(capacity)),
        ];
        let told = subjects.map(|subject| format!("{:.4}", ratio(&*subject, &trace)));
        println!("| {name} | {} |", told.join(" | "));
    }
}

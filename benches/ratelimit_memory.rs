//! What a million keys hold of memory: `cargo run --release -p buttress-benches --example ratelimit_memory` tells, a line of JSON a subject,
//! the bytes a key that are held when all keys have been seen, and the most that were held on the way there.
#![allow(clippy::print_stdout, reason = "its answers go to standard output")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use std::num::NonZeroU32;

use allocation_counter::measure;
use buttress_ratelimit::{Algorithm, Limit, Limiter};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use serde_json::json;

const KEYS: i64 = 1_000_000;

fn tell<T>(subject: &str, make: impl FnOnce() -> T, check: impl Fn(&T, String)) {
    let mut made = None;
    let counted = measure(|| {
        let limiter = make();
        for key in 0..KEYS {
            check(&limiter, format!("user-{key}"));
        }
        // Kept until after the count.
        made = Some(limiter);
    });
    let most = i64::try_from(counted.bytes_max).unwrap();
    println!(
        "{}",
        json!({ "subject": subject, "bytes_a_key": counted.bytes_current / KEYS, "most": most / KEYS })
    );
    drop(made);
}

fn main() {
    let two = || Limiter::new([Limit::per_minute(10), Limit::per_hour(100)]);
    tell("buttress, two windows", two, |limiter, key| {
        let _ = limiter.check(&key);
    });
    let one = || Limiter::new(Limit::per_minute(10).algorithm(Algorithm::Gcra));
    tell("buttress, one window", one, |limiter, key| {
        let _ = limiter.check(&key);
    });
    let log = || Limiter::new(Limit::per_hour(100).algorithm(Algorithm::SlidingLog));
    tell("buttress, a log of one request", log, |limiter, key| {
        let _ = limiter.check(&key);
    });
    let quota = Quota::per_minute(NonZeroU32::new(10).unwrap());
    let governor = || -> DefaultKeyedRateLimiter<String> { RateLimiter::keyed(quota) };
    tell("governor, one window", governor, |limiter, key| {
        let _ = limiter.check_key(&key);
    });
}

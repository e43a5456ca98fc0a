//! Ten million arrivals for each algorithm beside a reference that remembers every one: `cargo run --release -p buttress-ratelimit --example
//! accuracy` tells, a line for each, how many were admitted, how many a reference for an exact sliding window admits, and the most that were
//! admitted in any window. It ends with an error where an algorithm passes its bound.
#![allow(clippy::print_stdout, reason = "its answers go to standard output")]

use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;

use buttress_ratelimit::algorithm::{
    FixedWindow, Gcra, Nanos, Rule, SlidingCounter, SlidingLog, TokenBucket,
};

const ARRIVALS: usize = 10_000_000;
const QUOTA: u32 = 100;
const WINDOW: Nanos = 60_000_000_000;
const START: Nanos = 1_700_000_000_000_000_000;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// The time until the next arrival.
type Traffic = fn(&mut Random, Nanos) -> Nanos;

const TRAFFIC: [(&str, Traffic); 3] = [
    // Twice the rate, evenly but for chance.
    ("steady", |random, _| random.below(WINDOW / u64::from(QUOTA))),
    // Up to hundreds at once, then nothing for a part of a window, or several.
    (
        "bursty",
        |random, _| if random.below(200) == 0 { random.below(WINDOW * 3) } else { random.below(1_000) },
    ),
    // All of it around the edges of windows.
    ("edges", |random, now| match random.below(150) {
        0 => WINDOW - now % WINDOW - 1,
        1 => WINDOW - now % WINDOW,
        2 => WINDOW - 1,
        _ => random.below(2),
    }),
];

/// What was admitted in the window that ends now.
#[derive(Default)]
struct Window {
    times: VecDeque<Nanos>,
    most: usize,
}

impl Window {
    fn slide(&mut self, now: Nanos) -> usize {
        while self.times.front().is_some_and(|first| now - first >= WINDOW) {
            self.times.pop_front();
        }
        self.times.len()
    }

    fn add(&mut self, now: Nanos) {
        self.slide(now);
        self.times.push_back(now);
        self.most = self.most.max(self.times.len());
    }
}

/// Returns whether the bound holds: `bound` in any window, and if it is exact, the same decision as the reference each time.
fn run<R: Rule>(name: &str, rule: &R, bound: usize, exact: bool) -> bool {
    let mut good = true;
    for (kind, traffic) in TRAFFIC {
        let (mut random, mut now, mut state) = (Random(42), START, R::State::default());
        let (mut admitted, mut reference) = (Window::default(), Window::default());
        let (mut ours, mut theirs, mut other) = (0_u64, 0_u64, 0_u64);
        for _ in 0..ARRIVALS {
            now += traffic(&mut random, now);
            let allowed = rule.decide(now, &mut state, 1).allowed;
            if allowed {
                admitted.add(now);
                ours += 1;
            }
            let expected = reference.slide(now) < QUOTA as usize;
            if expected {
                reference.add(now);
                theirs += 1;
            }
            other += u64::from(allowed != expected);
        }
        let holds = admitted.most <= bound && !(exact && other > 0);
        let more = (ours as f64 / theirs as f64 - 1.0) * 100.0;
        println!(
            "{name:15} {kind:7} admitted {ours:8}, exactly {theirs:8} ({more:+6.2} %), decided otherwise {other:8}, \
             most in a window {:3} of {bound}{}",
            admitted.most,
            if holds { "" } else { "  PAST ITS BOUND" }
        );
        good &= holds;
    }
    good
}

fn main() -> ExitCode {
    let (window, quota) = (Duration::from_nanos(WINDOW), QUOTA as usize);
    let good = [
        run("sliding log", &SlidingLog::new(QUOTA, window), quota, true),
        run("sliding counter", &SlidingCounter::new(QUOTA, window), 2 * quota - 1, false),
        run("GCRA", &Gcra::new(QUOTA, window, QUOTA), 2 * quota, false),
        run("GCRA, burst 10", &Gcra::new(QUOTA, window, 10), quota + 10, false),
        run("token bucket", &TokenBucket::new(QUOTA, window, QUOTA), 2 * quota, false),
        run("fixed window", &FixedWindow::new(QUOTA, window), 2 * quota, false),
    ];
    if good.into_iter().all(|good| good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

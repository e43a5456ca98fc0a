//! Does the time of a comparison tell where the first wrong byte is? A test in the manner of dudect (Reparaz, Balasch and
//! Verbauwhede, 2017): a million samples of two classes in random order, Welch's t, with and without the slowest samples.
//!
//! `cargo run --release -p buttress-access --example timing [SAMPLES]`. Below 4.5 nothing is seen. The last line is a comparison that
//! stops at the first wrong byte, to show that the test would see it. Run it on a machine with nothing else to do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    missing_docs,
    reason = "an experiment"
)]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use buttress_access::Refusal;
use buttress_access::jwt::{Algorithm, Claims, KeySet, SigningKey, TokenConfig, verify};
use buttress_access::keys::{ApiKeys, ApiKeysConfig, KeyText, MemoryKeys, NewKey, Peppers};
use buttress_core::{Ctx, Random};

/// Of a thousand samples so many of the slowest are left out, in each round.
const CROPS: [usize; 8] = [0, 1, 10, 50, 100, 200, 300, 500];

/// Mean and variance of a stream (Welford).
#[derive(Default, Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0).max(1.0) / self.count.max(1.0)
    }
}

fn welch([a, b]: [Moments; 2]) -> f64 {
    (a.mean - b.mean) / (a.error() + b.error()).sqrt().max(f64::MIN_POSITIVE)
}

/// Takes samples of `work` for two inputs, and tells the largest t.
fn test<T: Copy>(name: &str, samples: usize, inputs: [T; 2], mut work: impl FnMut(&T) -> bool) {
    let random = Random::new(7);
    let mut taken = Vec::with_capacity(samples);
    for number in 0..samples + 10_000 {
        let class = (random.number() >> 63) as usize;
        // Both classes in the same place, so that no cache tells them apart.
        let input = black_box(inputs[class]);
        let begin = Instant::now();
        black_box(work(black_box(&input)));
        let time = begin.elapsed();
        if number >= 10_000 {
            taken.push((class, time.as_nanos() as f64));
        }
    }
    let mut sorted: Vec<_> = taken.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let found = CROPS.map(|crop| {
        let most = sorted[(sorted.len() - 1) * (1_000 - crop) / 1_000];
        let mut moments = [Moments::default(); 2];
        for (class, time) in taken.iter().filter(|(_, time)| *time <= most) {
            moments[*class].add(*time);
        }
        welch(moments)
    });
    let largest = found.into_iter().map(f64::abs).fold(0.0, f64::max);
    let shown = found.map(|t| format!("{t:6.2}")).join(" ");
    println!(
        "{name:42} largest |t| {largest:8.2}   by crop: {shown}   median {} ns",
        sorted[sorted.len() / 2]
    );
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let samples = std::env::args().nth(1).map_or(1_000_000, |number| number.parse().unwrap());
    let peppers = Peppers::new(1, &[1; 32]).unwrap();
    let (config, ctx) = (ApiKeysConfig::default(), Ctx::default());
    let keys = ApiKeys::open(&config, peppers.clone(), MemoryKeys::default(), &ctx).await.unwrap();
    let issued = keys.issue(NewKey::of("owner".try_into().unwrap())).await.unwrap();
    let text = KeyText::parse(issued.expose()).unwrap();
    let hash = issued.record().hash;
    let wrong_at = |place: usize| {
        let mut wrong = hash;
        wrong[place] ^= 0x55;
        wrong
    };
    for place in [1, 8, 16, 31] {
        let name = format!("API key: hash wrong at byte 0 or {place}");
        test(&name, samples, [wrong_at(0), wrong_at(place)], |hash| peppers.matches(&text, 1, hash));
    }

    let key = SigningKey::hmac(Algorithm::Hs256, "key", &[7; 32]).unwrap();
    let claims = Claims::new().issuer("a").audience("b").expires(SystemTime::now() + Duration::from_hours(1));
    let token = key.sign(&claims).unwrap();
    let known = KeySet::new([key.verifying().clone()]).unwrap();
    let (config, now) = (TokenConfig::of("a", "b"), SystemTime::now());
    let length = token.len();
    // The 43 last characters are the MAC.
    let forged = |place: usize| {
        let mut bytes = [0_u8; 512];
        bytes[..length].copy_from_slice(token.as_bytes());
        let at = length - 43 + place;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        bytes
    };
    for place in [1, 20, 41] {
        let name = format!("JWT, HS256: MAC wrong at sign 0 or {place}");
        test(&name, samples, [forged(0), forged(place)], |bytes| {
            let token = std::str::from_utf8(&bytes[..length]).unwrap();
            verify(token, &known, &config, now) == Err(Refusal::Signature)
        });
    }

    test("control: stops at the first wrong byte", samples, [wrong_at(0), wrong_at(31)], |wrong| {
        black_box(wrong).iter().zip(black_box(&hash)).all(|(a, b)| black_box(a) == black_box(b))
    });
}

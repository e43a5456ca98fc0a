//! Chance, for jitter and for names. Never for secrets.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Random numbers for jitter and sampling: `SplitMix64` (Steele, Lea and Flood, 2014), whose state is a counter that
/// threads may share.
///
/// ```
/// use buttress_core::Random;
///
/// let random = Random::new(7); // the same numbers each time, as a test wants them
/// assert!((0.0..1.0).contains(&random.fraction()));
/// ```
// On cache lines of its own: a thread that draws does not slow those that read what lies beside it.
#[derive(Debug)]
#[repr(align(128))]
pub struct Random(AtomicU64);

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A sequence that nobody foresees.
    #[must_use]
    pub fn seeded() -> Self {
        Self::new(unique_number())
    }

    /// Any number.
    pub fn number(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to 1, without it.
    pub fn fraction(&self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A number that no other call, thread or process is likely to get: for identifiers and seeds.
///
/// A keyed hash (`SipHash`, keyed by the operating system once a process) of a counter, at the cost of a few
/// nanoseconds.
#[must_use]
pub fn unique_number() -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = KEYS.get_or_init(RandomState::new).build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_fill_their_range_evenly() {
        let random = Random::new(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let fraction = random.fraction();
            assert!((0.0..1.0).contains(&fraction));
            for (number, count) in tenths.iter_mut().enumerate() {
                let tenth = number as f64 / 10.0..(number + 1) as f64 / 10.0;
                *count += u32::from(tenth.contains(&fraction));
            }
        }
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
    }

    #[test]
    fn unique_numbers_are() {
        let mut numbers: Vec<u64> = (0..10_000).map(|_| unique_number()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 10_000);
    }
}

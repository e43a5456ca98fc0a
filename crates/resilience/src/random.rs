//! Random numbers for jitter: no more than that.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::sync::{AtomicU64, Ordering};

/// `SplitMix64` (Steele, Lea and Flood, 2014), whose state is a counter that threads share.
#[derive(Debug)]
pub(crate) struct Random(AtomicU64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Seeded by the system, once a process, and different for each policy.
    pub(crate) fn seeded() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    /// From 0 up to 1, without it.
    pub(crate) fn fraction(&self) -> f64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut mixed = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

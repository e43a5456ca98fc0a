//! Chance that can be repeated.

use std::time::Duration;

/// A source of chance that gives the same values for the same seed (`SplitMix64`), so that a run that found
/// something can be had again.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A source whose values follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "no number is below 0");
        self.number() % limit
    }

    /// A duration from `least` to `most`, both included, by microseconds.
    pub fn duration(&mut self, least: Duration, most: Duration) -> Duration {
        let range = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.below(range + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_seed_others() {
        let values = |seed| {
            let mut random = Random::new(seed);
            [random.number(), random.number(), random.number()]
        };
        assert_eq!(values(7), values(7));
        assert_ne!(values(7), values(8));
    }

    #[test]
    fn a_duration_stays_within_its_ends_and_reaches_both() {
        let mut random = Random::new(1);
        let (least, most) = (Duration::from_micros(10), Duration::from_micros(12));
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| random.duration(least, most)).collect();
        assert_eq!(drawn.into_iter().map(|duration| duration.as_micros()).collect::<Vec<_>>(), [10, 11, 12]);
    }
}

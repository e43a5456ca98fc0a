//! Chance without a place that all threads write to.

use std::cell::Cell;

use buttress_core::Random;

thread_local! {
    /// Of no destructor, so that reading it is one instruction.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// An even draw of 0 to `most`, from a sequence of this thread that `seeds` began.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper half of a product of halves is one")]
pub(crate) fn below(most: u32, seeds: &Random) -> u32 {
    STATE.with(|state| {
        let before = match state.get() {
            0 => seeds.number(),
            before => before,
        };
        let now = before.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(now);
        // The upper half of a product is mixed well enough for where a lifetime ends.
        let mixed = ((now ^ now >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)) >> 32;
        ((mixed * (u64::from(most) + 1)) >> 32) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_their_range_evenly() {
        let seeds = Random::new(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            if let Some(tenth) = tenths.get_mut(below(9, &seeds) as usize) {
                *tenth += 1;
            }
        }
        assert_eq!(tenths.iter().sum::<u32>(), 100_000);
        assert!(tenths.iter().all(|count| (9_500..10_500).contains(count)), "{tenths:?}");
        assert_eq!(below(0, &seeds), 0);
    }
}

//! `MinHash`: the least value of each of 64 hash functions.

/// Values in a `MinHash` signature.
pub(crate) const SIGNATURE_LENGTH: usize = 64;

/// A hash function of the family: a permutation of the numbers of 32 bits, since the multiplier is odd. Processors
/// multiply and compare sixteen such numbers at once, where of 64 bits they do eight, if at all.
#[inline(always)]
pub(super) fn hash(multiplier: u32, addend: u32, value: u32) -> u32 {
    value.wrapping_mul(multiplier).wrapping_add(addend)
}

/// What each function multiplies by.
pub(super) static MULTIPLIERS: [u32; SIGNATURE_LENGTH] = drawn(true);
/// What each function adds.
pub(super) static ADDENDS: [u32; SIGNATURE_LENGTH] = drawn(false);

/// Odd multipliers or addends, drawn once by `SplitMix64` from a fixed seed: signatures are stored, so they may never
/// change.
const fn drawn(multipliers: bool) -> [u32; SIGNATURE_LENGTH] {
    let mut numbers = [0; SIGNATURE_LENGTH];
    let mut state = 0x0062_7574_7472_6573_u64;
    let mut i = 0;
    while i < SIGNATURE_LENGTH {
        let (both, after) = split_mix(state);
        state = after;
        // The index runs to the array's own length, and each half of what was drawn is a number of its own.
        #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
        {
            numbers[i] = if multipliers { both as u32 | 1 } else { (both >> 32) as u32 };
        }
        i += 1;
    }
    numbers
}

/// One step of `SplitMix64` (Steele, Lea and Flood, 2014): a value and the next state.
const fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31), state)
}

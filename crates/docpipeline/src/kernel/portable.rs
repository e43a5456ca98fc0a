//! Blocks on any processor: eight bytes in a word.

use super::min_hash::{ADDENDS, MULTIPLIERS, SIGNATURE_LENGTH, hash};
use super::{BLOCK, Simd};

/// The level that every processor has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

/// A one in each byte, and the highest bit of each.
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST: u64 = ONES << 7;

impl Simd for Portable {
    type Block = [u64; 8];

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK]) -> [u64; 8] {
        let (words, _) = bytes.as_chunks::<8>();
        let mut block = [0; 8];
        for (word, bytes) in block.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        block
    }

    #[inline(always)]
    fn equal(self, block: [u64; 8], byte: u8) -> u64 {
        let wanted = ONES * u64::from(byte);
        mask(block, |word| {
            let unlike = word ^ wanted;
            // Adding cannot carry into the next byte, since the highest bit of each is off.
            !(((unlike & !HIGHEST) + !HIGHEST) | unlike)
        })
    }

    #[inline(always)]
    fn within(self, block: [u64; 8], low: u8, high: u8) -> u64 {
        mask(block, |word| not_less(word, low) & !if high == u8::MAX { 0 } else { not_less(word, high + 1) })
    }

    #[inline(always)]
    fn compress(self, bytes: &[u8; BLOCK], keep: u64, to: &mut [u8; BLOCK]) {
        let mut end = 0;
        let (mut left, mut at) = (keep, 0);
        // Run by run: mostly a block is a few long ones.
        while left != 0 {
            let skipped = left.trailing_zeros();
            let run = (!(left >> skipped)).trailing_zeros() as usize;
            at += skipped as usize;
            if let (Some(from), Some(to)) = (bytes.get(at..at + run), to.get_mut(end..end + run)) {
                to.copy_from_slice(from);
            }
            (at, end) = (at + run, end + run);
            left = keep.checked_shr(u32::try_from(at).unwrap_or(u64::BITS)).unwrap_or(0);
        }
    }

    #[inline(always)]
    fn hash_down(self, values: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]) {
        for value in values {
            for ((slot, multiplier), addend) in smallest.iter_mut().zip(&MULTIPLIERS).zip(&ADDENDS) {
                *slot = (*slot).min(hash(*multiplier, *addend, *value));
            }
        }
    }
}

/// The highest bit of each byte that is not less than `least`.
#[inline(always)]
fn not_less(word: u64, least: u8) -> u64 {
    let rest = ONES * u64::from(least & 0x7f);
    // The lower seven bits compared, by a subtraction that cannot borrow from the next byte.
    let lower = ((word | HIGHEST) - rest) & HIGHEST;
    if least & 0x80 == 0 { lower | (word & HIGHEST) } else { lower & word }
}

/// One bit for each byte that `highest` marks in its highest bit.
#[inline(always)]
fn mask(block: [u64; 8], highest: impl Fn(u64) -> u64) -> u64 {
    /// Moves the lowest bits of all bytes into the highest byte, in order.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut mask = 0;
    for (i, word) in block.into_iter().enumerate() {
        let ones = (highest(word) & HIGHEST) >> 7;
        mask |= (ones.wrapping_mul(GATHER) >> 56) << (8 * i);
    }
    mask
}

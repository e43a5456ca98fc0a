//! Blocks as two registers of 32 bytes.
#![allow(unsafe_code)] // Instructions that not every processor has.

use std::arch::x86_64::{
    __m256i, _mm_loadl_epi64, _mm_shuffle_epi8, _mm_storel_epi64, _mm256_add_epi32, _mm256_cmpeq_epi8,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_min_epu32, _mm256_movemask_epi8, _mm256_mullo_epi32,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_storeu_si256, _mm256_sub_epi8,
};

use super::min_hash::{ADDENDS, MULTIPLIERS, SIGNATURE_LENGTH};
use super::together::TOGETHER;
use super::{BLOCK, Kernel, Simd};

/// Proves that the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2(());

/// Whether [`run`] may be called.
pub(super) fn is_here() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Runs `kernel` on a processor of which [`is_here`] holds.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Simd for Avx2 {
    type Block = [__m256i; 2];

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK]) -> [__m256i; 2] {
        let at = bytes.as_ptr();
        // SAFETY: `self` proves the instructions. 64 bytes can be read from `at`, and no alignment is asked for.
        unsafe { [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast())] }
    }

    // No closures in what follows: one would be compiled by itself, without the instructions of the level.
    #[inline(always)]
    fn equal(self, [low, high]: [__m256i; 2], byte: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let wanted = _mm256_set1_epi8(byte.cast_signed());
            mask(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted))
        }
    }

    #[inline(always)]
    fn within(self, [low, high]: [__m256i; 2], first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let first_byte = _mm256_set1_epi8(first.cast_signed());
            let span = _mm256_set1_epi8(last.wrapping_sub(first).cast_signed());
            let (low, high) = (_mm256_sub_epi8(low, first_byte), _mm256_sub_epi8(high, first_byte));
            mask(
                _mm256_cmpeq_epi8(_mm256_min_epu8(low, span), low),
                _mm256_cmpeq_epi8(_mm256_min_epu8(high, span), high),
            )
        }
    }

    #[inline(always)]
    fn compress(self, bytes: &[u8; BLOCK], keep: u64, to: &mut [u8; BLOCK]) {
        let (eights, _) = bytes.as_chunks::<8>();
        let mut end = 0;
        for (eight, keep) in eights.iter().zip(keep.to_le_bytes()) {
            let (Some(order), Some(to)) =
                (TOGETHER.get(usize::from(keep)), to.get_mut(end..).and_then(|to| to.first_chunk_mut::<8>()))
            else {
                return;
            };
            // SAFETY: `self` proves the instructions. Eight bytes are read from `eight` and `order` each, and written
            // to `to`, which all are arrays of eight bytes; no alignment is asked for.
            unsafe {
                let from = _mm_loadl_epi64(eight.as_ptr().cast());
                let order = _mm_loadl_epi64(order.as_ptr().cast());
                _mm_storel_epi64(to.as_mut_ptr().cast(), _mm_shuffle_epi8(from, order));
            }
            end += keep.count_ones() as usize;
        }
    }

    #[inline(always)]
    fn hash_down(self, values: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]) {
        // Eight functions in a register; half of all at a time, so that all that is needed stays in registers.
        let (smallest, _) = smallest.as_chunks_mut::<32>();
        let functions = MULTIPLIERS.as_chunks::<32>().0.iter().zip(ADDENDS.as_chunks::<32>().0);
        for (smallest, (multipliers, addends)) in smallest.iter_mut().zip(functions) {
            let (multipliers, addends) = (load(multipliers), load(addends));
            let mut least = load(smallest);
            for value in values {
                // SAFETY: `self` proves the instructions.
                unsafe {
                    let value = _mm256_set1_epi32(value.cast_signed());
                    for ((least, multiplier), addend) in least.iter_mut().zip(multipliers).zip(addends) {
                        let hash = _mm256_add_epi32(_mm256_mullo_epi32(value, multiplier), addend);
                        *least = _mm256_min_epu32(*least, hash);
                    }
                }
            }
            let (eights, _) = smallest.as_chunks_mut::<8>();
            for (eight, least) in eights.iter_mut().zip(least) {
                // SAFETY: `self` proves the instructions. Eight numbers can be written, and no alignment is asked for.
                unsafe { _mm256_storeu_si256(eight.as_mut_ptr().cast(), least) }
            }
        }
    }
}

/// Numbers in registers; to be called by what has proved AVX2.
#[inline(always)]
fn load(numbers: &[u32; 32]) -> [__m256i; 4] {
    let at = numbers.as_ptr();
    // SAFETY: only the methods of `Avx2` call this. 32 numbers can be read from `at`, and no alignment is asked for.
    unsafe {
        [
            _mm256_loadu_si256(at.cast()),
            _mm256_loadu_si256(at.add(8).cast()),
            _mm256_loadu_si256(at.add(16).cast()),
            _mm256_loadu_si256(at.add(24).cast()),
        ]
    }
}

/// The highest bit of each byte; to be called by what has proved AVX2.
#[inline(always)]
fn mask(low: __m256i, high: __m256i) -> u64 {
    // SAFETY: only the methods of `Avx2` call this.
    let (low, high) = unsafe { (_mm256_movemask_epi8(low), _mm256_movemask_epi8(high)) };
    u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
}

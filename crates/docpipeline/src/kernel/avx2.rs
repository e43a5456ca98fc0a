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
        unsafe { [0, 32].map(|half| _mm256_loadu_si256(at.add(half).cast())) }
    }

    #[inline(always)]
    fn equal(self, block: [__m256i; 2], byte: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        mask(block.map(|half| unsafe { _mm256_cmpeq_epi8(half, _mm256_set1_epi8(byte.cast_signed())) }))
    }

    #[inline(always)]
    fn within(self, block: [__m256i; 2], low: u8, high: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        mask(block.map(|half| unsafe {
            let above = _mm256_sub_epi8(half, _mm256_set1_epi8(low.cast_signed()));
            let span = _mm256_set1_epi8(high.wrapping_sub(low).cast_signed());
            _mm256_cmpeq_epi8(_mm256_min_epu8(above, span), above)
        }))
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
            let (at, multipliers, addends) = (smallest.as_mut_ptr(), multipliers.as_ptr(), addends.as_ptr());
            // SAFETY: `self` proves the instructions. Each pointer is to 32 numbers, which are the four registers that
            // are read and written; no alignment is asked for.
            unsafe {
                let mut least = REGISTERS.map(|i| _mm256_loadu_si256(at.add(i).cast()));
                let multipliers = REGISTERS.map(|i| _mm256_loadu_si256(multipliers.add(i).cast()));
                let addends = REGISTERS.map(|i| _mm256_loadu_si256(addends.add(i).cast()));
                for value in values {
                    let value = _mm256_set1_epi32(value.cast_signed());
                    for ((least, multiplier), addend) in least.iter_mut().zip(multipliers).zip(addends) {
                        let hash = _mm256_add_epi32(_mm256_mullo_epi32(value, multiplier), addend);
                        *least = _mm256_min_epu32(*least, hash);
                    }
                }
                for (i, least) in REGISTERS.into_iter().zip(least) {
                    _mm256_storeu_si256(at.add(i).cast(), least);
                }
            }
        }
    }
}

/// Where each register's numbers begin among 32.
const REGISTERS: [usize; 4] = [0, 8, 16, 24];

/// The highest bit of each byte; to be called by what has proved AVX2.
#[inline(always)]
fn mask(halves: [__m256i; 2]) -> u64 {
    // SAFETY: only the methods of `Avx2` call this.
    let [low, high] = halves.map(|half| u64::from(unsafe { _mm256_movemask_epi8(half) }.cast_unsigned()));
    low | high << 32
}

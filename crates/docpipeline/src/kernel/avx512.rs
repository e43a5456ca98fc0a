//! A block as one register of 64 bytes.
#![allow(unsafe_code)] // Instructions that not every processor has.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_loadu_si512,
    _mm512_maskz_compress_epi8, _mm512_min_epu32, _mm512_mullo_epi32, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_storeu_si512, _mm512_sub_epi8,
};

use super::min_hash::{ADDENDS, MULTIPLIERS, SIGNATURE_LENGTH};
use super::{BLOCK, Kernel, Simd};

/// Proves that the processor has AVX-512 with its instructions on bytes (BW) and their compression (VBMI2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx512(());

/// Whether [`run`] may be called.
pub(super) fn is_here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Runs `kernel` on a processor of which [`is_here`] holds.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

impl Simd for Avx512 {
    type Block = __m512i;

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK]) -> __m512i {
        // SAFETY: `self` proves the instructions. 64 bytes can be read, and no alignment is asked for.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn equal(self, block: __m512i, byte: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe { _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(byte.cast_signed())) }
    }

    #[inline(always)]
    fn within(self, block: __m512i, low: u8, high: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let above = _mm512_sub_epi8(block, _mm512_set1_epi8(low.cast_signed()));
            _mm512_cmple_epu8_mask(above, _mm512_set1_epi8(high.wrapping_sub(low).cast_signed()))
        }
    }

    #[inline(always)]
    fn compress(self, bytes: &[u8; BLOCK], keep: u64, to: &mut [u8; BLOCK]) {
        let block = self.load(bytes);
        // In a register and then stored whole: storing under a mask is slow on some processors.
        // SAFETY: `self` proves the instructions. 64 bytes can be written, and no alignment is asked for.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_maskz_compress_epi8(keep, block)) }
    }

    #[inline(always)]
    fn hash_down(self, values: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]) {
        // Sixteen functions in a register, all of them in four.
        let (multipliers, addends) = (load(&MULTIPLIERS), load(&ADDENDS));
        let mut least = load(smallest);
        for value in values {
            // SAFETY: `self` proves the instructions.
            unsafe {
                let value = _mm512_set1_epi32(value.cast_signed());
                for ((least, multiplier), addend) in least.iter_mut().zip(multipliers).zip(addends) {
                    let hash = _mm512_add_epi32(_mm512_mullo_epi32(value, multiplier), addend);
                    *least = _mm512_min_epu32(*least, hash);
                }
            }
        }
        let (sixteens, _) = smallest.as_chunks_mut::<16>();
        for (sixteen, least) in sixteens.iter_mut().zip(least) {
            // SAFETY: `self` proves the instructions. 16 numbers can be written, and no alignment is asked for.
            unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), least) }
        }
    }
}

/// Numbers in registers; to be called by what has proved AVX-512.
#[inline(always)]
fn load(numbers: &[u32; SIGNATURE_LENGTH]) -> [__m512i; 4] {
    let at = numbers.as_ptr();
    // SAFETY: only the methods of `Avx512` call this. 64 numbers can be read from `at`, and no alignment is asked for.
    unsafe {
        [
            _mm512_loadu_si512(at.cast()),
            _mm512_loadu_si512(at.add(16).cast()),
            _mm512_loadu_si512(at.add(32).cast()),
            _mm512_loadu_si512(at.add(48).cast()),
        ]
    }
}

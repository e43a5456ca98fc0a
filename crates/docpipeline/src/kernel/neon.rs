//! Blocks as four registers of 16 bytes.
#![allow(unsafe_code)] // Instructions that not every processor has.

use std::arch::aarch64::{
    uint8x16_t, uint32x4_t, vandq_u8, vceqq_u8, vcleq_u8, vdupq_n_u8, vdupq_n_u32, vgetq_lane_u64, vld1_u8,
    vld1q_u8, vld1q_u32, vminq_u32, vmlaq_u32, vpaddq_u8, vreinterpretq_u64_u8, vst1_u8, vst1q_u32, vsubq_u8,
    vtbl1_u8,
};
use std::arch::is_aarch64_feature_detected;

use super::min_hash::{ADDENDS, MULTIPLIERS, SIGNATURE_LENGTH};
use super::together::TOGETHER;
use super::{BLOCK, Kernel, Simd};

/// Proves that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neon(());

/// Whether [`run`] may be called.
pub(super) fn is_here() -> bool {
    is_aarch64_feature_detected!("neon")
}

/// Runs `kernel` on a processor of which [`is_here`] holds.
#[target_feature(enable = "neon")]
pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon(()))
}

impl Simd for Neon {
    type Block = [uint8x16_t; 4];

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK]) -> [uint8x16_t; 4] {
        let at = bytes.as_ptr();
        // SAFETY: `self` proves the instructions. 64 bytes can be read from `at`.
        unsafe { [vld1q_u8(at), vld1q_u8(at.add(16)), vld1q_u8(at.add(32)), vld1q_u8(at.add(48))] }
    }

    // No closures in what follows: one would be compiled by itself, without the instructions of the level.
    #[inline(always)]
    fn equal(self, [a, b, c, d]: [uint8x16_t; 4], byte: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let wanted = vdupq_n_u8(byte);
            mask([vceqq_u8(a, wanted), vceqq_u8(b, wanted), vceqq_u8(c, wanted), vceqq_u8(d, wanted)])
        }
    }

    #[inline(always)]
    fn within(self, [a, b, c, d]: [uint8x16_t; 4], first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the instructions.
        unsafe {
            let (first, span) = (vdupq_n_u8(first), vdupq_n_u8(last.wrapping_sub(first)));
            mask([
                vcleq_u8(vsubq_u8(a, first), span),
                vcleq_u8(vsubq_u8(b, first), span),
                vcleq_u8(vsubq_u8(c, first), span),
                vcleq_u8(vsubq_u8(d, first), span),
            ])
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
            // to `to`, which all are arrays of eight bytes.
            unsafe {
                vst1_u8(to.as_mut_ptr(), vtbl1_u8(vld1_u8(eight.as_ptr()), vld1_u8(order.as_ptr())));
            }
            end += keep.count_ones() as usize;
        }
    }

    #[inline(always)]
    fn hash_down(self, values: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]) {
        // Four functions in a register; a quarter of all at a time, so that all that is needed stays in registers.
        let (smallest, _) = smallest.as_chunks_mut::<16>();
        let functions = MULTIPLIERS.as_chunks::<16>().0.iter().zip(ADDENDS.as_chunks::<16>().0);
        for (smallest, (multipliers, addends)) in smallest.iter_mut().zip(functions) {
            let (multipliers, addends) = (load(multipliers), load(addends));
            let mut least = load(smallest);
            for value in values {
                // SAFETY: `self` proves the instructions.
                unsafe {
                    let value = vdupq_n_u32(*value);
                    for ((least, multiplier), addend) in least.iter_mut().zip(multipliers).zip(addends) {
                        *least = vminq_u32(*least, vmlaq_u32(addend, value, multiplier));
                    }
                }
            }
            let (fours, _) = smallest.as_chunks_mut::<4>();
            for (four, least) in fours.iter_mut().zip(least) {
                // SAFETY: `self` proves the instructions. Four numbers can be written.
                unsafe { vst1q_u32(four.as_mut_ptr(), least) }
            }
        }
    }
}

/// Numbers in registers; to be called by what has proved NEON.
#[inline(always)]
fn load(numbers: &[u32; 16]) -> [uint32x4_t; 4] {
    let at = numbers.as_ptr();
    // SAFETY: only the methods of `Neon` call this. 16 numbers can be read from `at`.
    unsafe { [vld1q_u32(at), vld1q_u32(at.add(4)), vld1q_u32(at.add(8)), vld1q_u32(at.add(12))] }
}

/// One bit for each byte, all of whose bits are equal; to be called by what has proved NEON.
#[inline(always)]
fn mask([a, b, c, d]: [uint8x16_t; 4]) -> u64 {
    const PLACES: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: only the methods of `Neon` call this. 16 bytes are read from an array of 16.
    unsafe {
        let places = vld1q_u8(PLACES.as_ptr());
        let (a, b) = (vandq_u8(a, places), vandq_u8(b, places));
        let (c, d) = (vandq_u8(c, places), vandq_u8(d, places));
        // Three sums of neighbours bring the bits of eight bytes into one.
        let halves = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(halves, halves)))
    }
}

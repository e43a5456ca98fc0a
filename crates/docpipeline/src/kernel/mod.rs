//! Text in blocks of 64 bytes, one bit a byte, as fast as the processor at hand can.
//!
//! A [`Kernel`] is written once, in safe code: it asks [`Simd`] which bytes of a block are what, gets a mask of 64
//! bits, and computes on that. What processors do each in their own way is a handful of operations in [`Simd`], and
//! there alone stands unsafe code. [`Level::run`] compiles the kernel for each level, and picks by what the processor
//! says of itself when the program runs.
//!
//! Every kernel equals its plain definition, bit by bit, at every level: the tests compare them at every length and
//! every alignment.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod collapse;
mod count;
mod min_hash;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod reference;
mod rewrite;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod together;

use std::sync::LazyLock;

pub(crate) use collapse::Collapse;
pub(crate) use count::Count;
pub(crate) use min_hash::SIGNATURE_LENGTH;
pub(crate) use rewrite::Rewrite;

/// Bytes in a block.
pub(crate) const BLOCK: usize = 64;

/// What a processor does with a block. Bit `i` of a mask stands for byte `i`.
///
/// A value of an implementing type is the proof that the processor has the instructions: only [`Level::run`] makes one.
pub(crate) trait Simd: Copy {
    /// A block in registers.
    type Block: Copy;

    fn load(self, bytes: &[u8; BLOCK]) -> Self::Block;

    /// The bytes that are `byte`.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// The bytes from `low` to `high`, both included.
    fn within(self, block: Self::Block, low: u8, high: u8) -> u64;

    /// Writes the bytes of `keep` side by side at the beginning of `to`. What stands behind them there is left open.
    fn compress(self, bytes: &[u8; BLOCK], keep: u64, to: &mut [u8; BLOCK]);

    /// Lowers each of `smallest` to the least that its hash function makes of `values`.
    fn hash_down(self, values: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]);
}

/// Work that is compiled once for each level.
pub(crate) trait Kernel {
    /// What comes of it.
    type Output;

    /// Does it. To be marked `#[inline(always)]`, with all that it calls in its loops: what is not inlined into the one
    /// function of the level that switches its instructions on is compiled without them.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A set of instructions that this processor has: no other value of this type can be had outside of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Level {
    /// The fastest level of this processor.
    pub(crate) fn best() -> Self {
        static BEST: LazyLock<Level> = LazyLock::new(|| Level::all().next().unwrap_or(PORTABLE));
        *BEST
    }

    /// Every level of this processor, the fastest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let special = [
            avx512::is_here().then_some(Self(Instructions::Avx512)),
            avx2::is_here().then_some(Self(Instructions::Avx2)),
        ];
        #[cfg(target_arch = "aarch64")]
        let special = [neon::is_here().then_some(Self(Instructions::Neon))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let special: [Option<Self>; 0] = [];
        special.into_iter().flatten().chain([PORTABLE])
    }

    /// What it is called.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Instructions::Neon => "neon",
            Instructions::Portable => "portable",
        }
    }

    /// Runs `kernel` with the instructions of this level.
    #[allow(unsafe_code)] // The only calls into the functions that switch instructions on.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` made this level, so the processor has its instructions.
            Instructions::Avx512 => unsafe { avx512::run(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Instructions::Avx2 => unsafe { avx2::run(kernel) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Instructions::Neon => unsafe { neon::run(kernel) },
            Instructions::Portable => kernel.run(portable::Portable),
        }
    }
}

const PORTABLE: Level = Level(Instructions::Portable);

/// The block at `at`; a block that the text does not fill is built in `padded`, with `pad` behind the text.
#[inline(always)]
pub(crate) fn block_at<'a>(
    text: &'a [u8],
    at: usize,
    padded: &'a mut [u8; BLOCK],
    pad: u8,
) -> &'a [u8; BLOCK] {
    let rest = text.get(at..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return block;
    }
    *padded = [pad; BLOCK];
    if let Some(begun) = padded.get_mut(..rest.len()) {
        begun.copy_from_slice(rest);
    }
    padded
}

/// A mask of the bytes before `end`, which may be past the block.
#[inline(always)]
pub(crate) fn below(end: u32) -> u64 {
    1_u64.checked_shl(end).map_or(u64::MAX, |bit| bit - 1)
}

/// The places of the bits that are set, ascending.
#[inline(always)]
pub(crate) fn bits(mask: u64) -> impl Iterator<Item = u32> {
    let mut left = mask;
    std::iter::from_fn(move || {
        let first = left.trailing_zeros();
        left &= left.wrapping_sub(1);
        (first < u64::BITS).then_some(first)
    })
}

/// For each run of bits in `runs`, its bits from the first one that is also in `marks`, which must lie in the runs.
#[inline(always)]
pub(crate) fn from_first(runs: u64, marks: u64) -> u64 {
    // The sum carries from the first mark to the end of its run, if need be out of the word, and puts the other marks
    // back.
    runs & !(runs.wrapping_add(marks)) | marks
}

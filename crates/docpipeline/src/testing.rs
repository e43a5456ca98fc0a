//! The kernels at every level of this processor, and what they have to equal: for tests, fuzzing and benches.

use buttress_core::SystemClock;

use crate::budget::{Budget, CancelToken};
use crate::config::{ChunkConfig, Limits};
use crate::document::{Chunk, Statistics};
use crate::error::Result;
use crate::kernel::{Count, Kernel, Level, SIGNATURE_LENGTH, Simd, reference};
use crate::stage::{CountTokens, Cutting, MinHash, normalise_at};

/// The stages that are computed in blocks, with the instructions of one level: AVX-512, AVX2, NEON, or none but those
/// that every processor has. Elsewhere the best level is taken.
#[derive(Debug, Clone, Copy)]
pub struct Kernels(Level);

impl Kernels {
    /// Those of every level that this processor has, the fastest first.
    pub fn all() -> impl Iterator<Item = Self> {
        Level::all().map(Self)
    }

    /// What the level is called: `"avx512"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// [`Statistics::of`].
    #[must_use]
    pub fn statistics(self, text: &str) -> Statistics {
        self.0.run(Count(text))
    }

    /// [`normalise`](crate::normalise).
    #[must_use]
    pub fn normalise(self, raw: String, offsets: &mut [usize]) -> String {
        normalise_at(self.0, raw, offsets)
    }

    /// [`count_tokens`](crate::count_tokens).
    #[must_use]
    pub fn count_tokens(self, text: &str) -> usize {
        self.0.run(CountTokens(text))
    }

    /// [`chunk`](crate::chunk).
    #[must_use]
    pub fn chunk(self, text: &str, config: &ChunkConfig) -> Vec<Chunk> {
        self.0.run(Cutting { text, config })
    }

    /// [`Fingerprint::min_hash`](crate::Fingerprint).
    ///
    /// # Errors
    ///
    /// None, unless the text takes longer than a document may.
    pub fn min_hash(self, text: &str) -> Result<Vec<u32>> {
        let budget = Budget::open(&Limits::default(), 1, SystemClock::shared(), CancelToken::default())?;
        self.0.run(MinHash { text, budget: &budget })
    }

    /// The step of [`min_hash`](Kernels::min_hash) that takes a function at a time: lowers each value of a signature to
    /// the least that its hash function makes of the shingles.
    pub fn hash_down(self, shingles: &[u32], smallest: &mut [u32; SIGNATURE_LENGTH]) {
        self.0.run(HashDown(shingles, smallest));
    }
}

/// Compares all kernels at all levels with their plain definitions. `offsets` must be ascending. Says which one differs,
/// if any.
#[must_use]
pub fn difference(text: &str, offsets: &[usize]) -> Option<String> {
    let counts = reference::statistics(text);
    let mut moved = offsets.to_vec();
    let normal = reference::normalise(text, &mut moved);
    let tokens = reference::count_tokens(text);
    let configs = [ChunkConfig::new(16, 8), ChunkConfig::new(17, 0), ChunkConfig::new(60, 20)];
    let chunks = configs.each_ref().map(|config| reference::chunk(text, config));
    let min_hash = reference::min_hash(text);
    Kernels::all().find_map(|kernels| {
        let mut our_moved = offsets.to_vec();
        let our_normal = kernels.normalise(text.to_owned(), &mut our_moved);
        let differs = [
            ("statistics", kernels.statistics(text) != counts),
            ("normalise", our_normal != normal),
            ("the offsets of normalise", our_moved != moved),
            ("count_tokens", kernels.count_tokens(text) != tokens),
            ("chunk", configs.each_ref().map(|config| kernels.chunk(text, config)) != chunks),
            ("min_hash", kernels.min_hash(text).unwrap_or_default() != min_hash),
        ];
        let (what, _) = differs.into_iter().find(|(_, differs)| *differs)?;
        Some(format!("{what} at level {}", kernels.name()))
    })
}

struct HashDown<'a>(&'a [u32], &'a mut [u32; SIGNATURE_LENGTH]);

impl Kernel for HashDown<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        simd.hash_down(self.0, self.1);
    }
}

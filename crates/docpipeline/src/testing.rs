//! The kernels at every level of this processor, and what they have to equal: for tests, fuzzing and benches.

use buttress_core::SystemClock;

use crate::budget::{Budget, CancelToken};
use crate::config::{ChunkConfig, Limits};
use crate::document::{Chunk, Statistics};
use crate::error::Result;
use crate::kernel::{Count, Kernel, Level, Simd, reference};
use crate::stage::{Cutting, MinHash, Piece, Pieces, normalise_at};

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
    pub fn normalise(self, raw: &str, offsets: &mut [usize]) -> String {
        normalise_at(self.0, raw, offsets)
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
}

/// Compares all kernels at all levels with their plain definitions. `offsets` must be ascending. Says what differs, if
/// anything.
#[must_use]
pub fn difference(text: &str, offsets: &[usize]) -> Option<String> {
    let counts = reference::statistics(text);
    let mut moved = offsets.to_vec();
    let normal = reference::normalise(text, &mut moved);
    let pieces = reference::pieces(text);
    let min_hash = reference::min_hash(text);
    Kernels::all().find_map(|kernels| {
        let mut our_moved = offsets.to_vec();
        let our_normal = kernels.normalise(text, &mut our_moved);
        let differences = [
            differs("statistics", &kernels.statistics(text), &counts),
            differs("normalise", &our_normal, &normal),
            differs("offsets", &our_moved, &moved),
            differs("pieces", &kernels.0.run(AllPieces(text)), &pieces),
            differs("min_hash", &kernels.min_hash(text).unwrap_or_default(), &min_hash),
        ];
        let first = differences.into_iter().flatten().next()?;
        Some(format!("at level {}, of {text:?}: {first}", kernels.name()))
    })
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, ours: &T, plain: &T) -> Option<String> {
    (ours != plain).then(|| format!("{what} {ours:?} instead of {plain:?}"))
}

struct AllPieces<'t>(&'t str);

impl Kernel for AllPieces<'_> {
    type Output = Vec<Piece>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<Piece> {
        Pieces::new(simd, self.0).collect()
    }
}

//! The steps after extraction, each on its own.

mod chunk;
mod fingerprint;
mod language;
mod normalise;
mod pieces;
mod statistics;
mod tokens;

#[cfg(any(test, feature = "test-util"))]
pub(crate) use chunk::Cutting;
pub(crate) use chunk::LEAST_TOKENS;
pub use chunk::{ChunkStage, chunk};
pub use fingerprint::{ContentHasher, FingerprintStage, SIGNATURE_LENGTH};
#[cfg(any(test, feature = "test-util"))]
pub(crate) use fingerprint::{MinHash, words_of};
pub use language::LanguageStage;
#[cfg(any(test, feature = "test-util"))]
pub(crate) use normalise::normalise_at;
pub use normalise::{NormaliseStage, normalise};
pub use statistics::StatisticsStage;
pub use tokens::count_tokens;
#[cfg(any(test, feature = "test-util"))]
pub(crate) use tokens::{CountTokens, Kind, LONGEST_PIECE};

//! The steps after extraction, each on its own.

mod chunk;
mod fingerprint;
mod language;
mod normalise;
mod statistics;
mod tokens;

pub(crate) use chunk::LEAST_TOKENS;
pub use chunk::{ChunkStage, chunk};
pub use fingerprint::{ContentHasher, FingerprintStage, SIGNATURE_LENGTH};
pub use language::LanguageStage;
pub use normalise::{NormaliseStage, normalise};
pub use statistics::StatisticsStage;
pub use tokens::count_tokens;

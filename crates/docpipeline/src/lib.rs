//! Documents to clean text, chunks, metadata and fingerprints, within limits that hold.

mod budget;
mod charset;
mod config;
mod dates;
mod detect;
mod document;
mod draft;
mod emit;
mod error;
pub mod extract;
mod format;
mod frame;
pub mod metrics;
mod pipeline;
mod stage;
mod worker;
mod workers;

pub use budget::{Budget, BudgetedReader, CancelToken, Inside};
pub use config::{ChunkConfig, Limits, PipelineConfig};
pub use detect::detect;
pub use document::{Chunk, Document, Fingerprint, Heading, Language, Metadata, Part, Span, Statistics};
pub use draft::{Draft, Source, Table};
pub use emit::{Emit, Finished, JsonLines, Record};
pub use error::{Error, Limit, Result};
pub use extract::{Extractor, Extractors};
pub use format::Format;
pub use pipeline::{Pipeline, Processed, Stage};
pub use stage::{
    ChunkStage, ContentHasher, FingerprintStage, LanguageStage, NormaliseStage, SIGNATURE_LENGTH,
    StatisticsStage, chunk, count_tokens, normalise,
};
pub use worker::{is_worker, serve_worker};
pub use workers::{Isolation, Place, Workers, WorkersConfig};

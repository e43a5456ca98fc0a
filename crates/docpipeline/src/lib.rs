//! Documents to clean text, chunks, metadata and fingerprints, within limits that hold.
//!
//! ```
//! use buttress_docpipeline::{Pipeline, PipelineConfig, Source};
//!
//! let pipeline = Pipeline::new(PipelineConfig::default());
//! let bytes = "# Tides\n\nThe sea comes, and the sea goes.".into();
//! let document = pipeline.process(&Source { name: Some("tides.md"), bytes })?.document;
//!
//! assert_eq!(document.metadata.title.as_deref(), Some("Tides"));
//! assert_eq!(document.text, "# Tides\n\nThe sea comes, and the sea goes.");
//! assert_eq!(document.chunks.len(), 1);
//! # Ok::<(), buttress_docpipeline::Error>(())
//! ```
//!
//! # The way of a document
//!
//! detect > extract > normalise > count > language > chunk > fingerprint > emit
//!
//! [`detect`] tells the [`Format`] from the content. The format's [`Extractor`] writes into a [`Draft`]. Each [`Stage`]
//! after it works on the [`Document`]. An [`Emit`] takes what is finished. [`Pipeline`] runs all but the last on the
//! calling thread; [`Workers`] runs many documents at once, in processes of their own.
//!
//! # What a document may cost
//!
//! One [`Budget`] goes through every reader of a document and holds its [`Limits`] on what is really read or
//! produced. A limit that is reached is an [`Error::OverLimit`] that names it.
//!
//! # Pictures of text
//!
//! Pages of a PDF that hold pictures and no text are named in a warning, or read by the program `tesseract`: see
//! [`OcrConfig`].
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `test-util` | no | `testing`: the text kernels at every level of the processor (AVX-512, AVX2, NEON, portable), and a comparison with their plain definitions |
//!
//! # Metrics
//!
//! Those in [`metrics`], by [`Workers`]: documents by outcome, their times by format, busy workers, refusals.

#![allow(clippy::inline_always)] // How a kernel is compiled for each set of instructions: see `kernel`.

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
mod kernel;
pub mod metrics;
mod ocr;
mod pipeline;
mod processes;
mod stage;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod worker;
mod workers;

pub use budget::{Budget, BudgetedReader, CancelToken, Inside};
pub use config::{ChunkConfig, Limits, OcrConfig, OcrMode, PdfConfig, PdfEngine, PipelineConfig};
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
pub use worker::{avoid_huge_pages, is_worker, serve_worker};
pub use workers::{Isolation, Place, Workers, WorkersConfig};

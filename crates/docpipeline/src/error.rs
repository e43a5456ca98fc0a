//! Why a document was refused.

use std::time::Duration;

use buttress_core::units::format_duration;
use buttress_core::{Classify, ErrorClass};
use serde::{Deserialize, Serialize};

use crate::format::Format;

/// The result of everything in this crate that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A limit of [`Limits`](crate::Limits) that a document ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of the document as it came in.
    InputBytes,
    /// Bytes of extracted text.
    OutputBytes,
    /// Bytes that came out of all decompression together.
    ExpandedBytes,
    /// How many times larger the decompressed bytes are than the compressed ones.
    ExpansionRatio,
    /// Entries of all containers together.
    Entries,
    /// Documents inside documents.
    Depth,
    /// Elements, arrays or groups inside one another.
    Nesting,
    /// Attributes of one element.
    Attributes,
    /// Pages, slides or sheets.
    Pages,
    /// Table cells.
    Cells,
}

impl Limit {
    /// The limit's name in [`Limits`](crate::Limits) and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InputBytes => "input_bytes",
            Self::OutputBytes => "output_bytes",
            Self::ExpandedBytes => "expanded_bytes",
            Self::ExpansionRatio => "expansion_ratio",
            Self::Entries => "entries",
            Self::Depth => "depth",
            Self::Nesting => "nesting",
            Self::Attributes => "attributes",
            Self::Pages => "pages",
            Self::Cells => "cells",
        }
    }
}

/// Why a document was refused. Crosses the pipe between worker processes as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Error {
    /// The document has no bytes.
    #[error("the document is empty (0 bytes)")]
    Empty,
    /// A limit was reached; nothing beyond it was read.
    #[error("over the limit `{}` of {max}; raise limits.{} if such documents are expected", limit.as_str(), limit.as_str())]
    OverLimit {
        /// Which limit.
        limit: Limit,
        /// The limit's value.
        max: u64,
    },
    /// The content is of a kind that is not read here.
    #[error("{found} is not a document this pipeline reads")]
    Unsupported {
        /// What the content is, as far as its first bytes tell: `"a PNG image"`.
        found: String,
    },
    /// The document is encrypted.
    #[error("the {format} document is encrypted; remove the password first")]
    Encrypted {
        /// The document's format.
        format: Format,
    },
    /// The document breaks its own format so badly that no text can be had.
    #[error("the {format} document is damaged: {problem}")]
    Malformed {
        /// The format that it claims or seems to be.
        format: Format,
        /// What is wrong, and where.
        problem: String,
    },
    /// It took longer than it may.
    #[error("not done within the time limit of {}", format_duration(*limit))]
    TimedOut {
        /// The time allowed.
        #[serde(with = "buttress_core::units::duration")]
        limit: Duration,
    },
    /// The caller cancelled, or the pipeline is stopping.
    #[error("cancelled before it was done")]
    Cancelled,
    /// A defect in the pipeline: the stage panicked. Other documents are not touched by it.
    #[error("stage `{stage}` failed on this document: {message}")]
    Panicked {
        /// The stage that panicked.
        stage: String,
        /// The panic's message.
        message: String,
    },
    /// The worker process that held the document died: out of memory, stack overflow, or killed from outside.
    #[error("the worker process died on this document: {how}")]
    WorkerDied {
        /// How it ended.
        how: String,
    },
    /// The configuration names an engine that this program was built without.
    #[error("{backend} is not built in; build with the feature `{feature}` of buttress-docpipeline")]
    BackendNotCompiled {
        /// The engine.
        backend: String,
        /// The feature that brings it.
        feature: String,
    },
    /// A library that the configuration asks for cannot be loaded.
    #[error("the library {library} cannot be loaded: {problem}")]
    NoLibrary {
        /// The library, and where it was looked for.
        library: String,
        /// What the system says.
        problem: String,
    },
    /// The pipeline itself cannot work: a worker process does not start, say.
    #[error("the pipeline cannot work: {problem}")]
    Broken {
        /// What is wrong, and what would do.
        problem: String,
    },
}

impl Error {
    /// The shortest way to say that a document breaks its format.
    pub fn malformed(format: Format, problem: impl std::fmt::Display) -> Self {
        Self::Malformed { format, problem: problem.to_string() }
    }

    /// The cause as a metric label and as the `cause` field in JSON: `"over_limit"`.
    #[must_use]
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::OverLimit { .. } => "over_limit",
            Self::Unsupported { .. } => "unsupported",
            Self::Encrypted { .. } => "encrypted",
            Self::Malformed { .. } => "malformed",
            Self::TimedOut { .. } => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked { .. } => "panicked",
            Self::WorkerDied { .. } => "worker_died",
            Self::BackendNotCompiled { .. } => "backend_not_compiled",
            Self::NoLibrary { .. } => "no_library",
            Self::Broken { .. } => "broken",
        }
    }

    /// Whether a container may go on with its other entries after this refusal of one of them.
    ///
    /// Limits, time and cancellation hold for the whole document, so they end it.
    pub(crate) fn concerns_only_this_part(&self) -> bool {
        matches!(
            self,
            Self::Empty | Self::Unsupported { .. } | Self::Encrypted { .. } | Self::Malformed { .. }
        )
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Empty | Self::Encrypted { .. } | Self::Malformed { .. } => ErrorClass::Invalid,
            Self::OverLimit { .. } => ErrorClass::TooLarge,
            Self::Unsupported { .. } | Self::BackendNotCompiled { .. } => ErrorClass::Unsupported,
            Self::TimedOut { .. } => ErrorClass::Timeout,
            Self::Cancelled => ErrorClass::Cancelled,
            Self::Panicked { .. } => ErrorClass::Internal,
            Self::WorkerDied { .. } | Self::NoLibrary { .. } | Self::Broken { .. } => ErrorClass::Unavailable,
        }
    }
}

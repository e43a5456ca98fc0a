//! What can go wrong on the way to a back end.

use buttress_core::{Classify, ErrorClass};

/// An error of a client, for [`Error::Failed`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a back end cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration names a back end that this program was built without.
    #[error("{backend} is not compiled into this program: build it with the feature `{feature}`")]
    BackendNotCompiled {
        /// What is missing.
        backend: &'static str,
        /// What brings it.
        feature: &'static str,
    },
    /// The text does not say where a back end is.
    #[error("`{address}` is no address: {problem}")]
    Address {
        /// The text, without its password.
        address: String,
        /// What is wrong, and what would do.
        problem: String,
    },
    /// A file that the connection needs cannot be used.
    #[error("{path} cannot be used: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The name cannot be that of a blob.
    #[error("`{name}` cannot name a blob: {problem}")]
    BlobName {
        /// The refused name.
        name: String,
        /// What is wrong, and what would do.
        problem: &'static str,
    },
    /// No blob has this name.
    #[error("{place} has no blob `{name}`")]
    NoBlob {
        /// Folder or bucket.
        place: String,
        /// The name that was asked for.
        name: String,
    },
    /// The back end, or the way to it, failed.
    #[error("{backend} at {place} {}", what(*.class))]
    Failed {
        /// Which one.
        backend: &'static str,
        /// Where it is, without its password.
        place: String,
        /// What the failure means to the caller.
        class: ErrorClass,
        /// What the client said.
        source: BoxError,
    },
}

/// What a client said, in one line: most clients repeat in their text what their source says too.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
#[cfg(any(feature = "http", feature = "nats", feature = "postgres", feature = "redis", feature = "s3"))]
pub(crate) struct Told(pub(crate) String);

/// The end of a sentence about a back end.
fn what(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Unavailable => "does not answer",
        ErrorClass::Timeout => "did not answer in time",
        ErrorClass::Unauthenticated | ErrorClass::Forbidden => "does not let us in",
        ErrorClass::Overloaded => "has no room",
        _ => "refused what was asked of it",
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::BackendNotCompiled { .. } => ErrorClass::Unsupported,
            Self::Address { .. } | Self::File { .. } | Self::BlobName { .. } => ErrorClass::Invalid,
            Self::NoBlob { .. } => ErrorClass::NotFound,
            Self::Failed { class, .. } => *class,
        }
    }
}

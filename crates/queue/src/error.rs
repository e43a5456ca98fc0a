//! What can go wrong with a queue.

use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Rejection, Violations};

/// Why a queue did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The back end is not compiled in, cannot be reached, or failed.
    #[error(transparent)]
    Backend(#[from] buttress_connect::Error),
    /// The configuration is wrong.
    #[error("the queue's configuration is wrong: {0}")]
    Config(Violations),
    /// The queue holds as many jobs, or as many dead letters, as it may.
    #[error("the queue `{queue}` is full: {full}")]
    Full {
        /// Its name.
        queue: String,
        /// What it is full of, and what would do.
        full: String,
        /// When it makes sense to try again.
        rejection: Rejection,
    },
    /// The payload is over the limit.
    #[error(
        "a payload of {bytes} bytes is over the limit of {limit} bytes; keep it in a blob and push the blob's name"
    )]
    PayloadTooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The job is no longer ours: its lease ran out, and it was or will be given to another.
    #[error("the lease of job `{key}` (attempt {attempt}) has run out; it is another's to finish")]
    LeaseLost {
        /// The job.
        key: String,
        /// The attempt that is over.
        attempt: u32,
    },
    /// No dead letter has this key.
    #[error("no dead letter has the key `{key}`")]
    NoDeadLetter {
        /// The key that was asked for.
        key: String,
    },
    /// What is stored does not read as it was written.
    #[error("a stored job does not read back: {problem}")]
    Corrupt {
        /// What is wrong with it.
        problem: String,
    },
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Backend(error) => error.class(),
            Self::Config(_) => ErrorClass::Invalid,
            Self::Full { rejection, .. } => rejection.class(),
            Self::PayloadTooLarge { .. } => ErrorClass::TooLarge,
            Self::LeaseLost { .. } => ErrorClass::Conflict,
            Self::NoDeadLetter { .. } => ErrorClass::NotFound,
            Self::Corrupt { .. } => ErrorClass::Corrupt,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { rejection, .. } => rejection.retry_after(),
            _ => None,
        }
    }
}

//! What can go wrong with a limiter.

use buttress_core::{Classify, ErrorClass, Violations};

/// Why a limiter cannot be made, or did not do what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the limiter's configuration is wrong: {0}")]
    Config(Violations),
    /// The text is no [`Limit`](crate::Limit).
    #[error("`{text}` is no limit: {problem}")]
    Limit {
        /// The beginning of the text.
        text: String,
        /// What is wrong, and what would do.
        problem: &'static str,
    },
    /// The back end is not compiled in, cannot be reached, or failed.
    #[error(transparent)]
    Backend(#[from] buttress_connect::Error),
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Limit { .. } => ErrorClass::Invalid,
            Self::Backend(error) => error.class(),
        }
    }
}

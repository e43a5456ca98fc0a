//! What a failure means to the caller, whatever crate it comes from.

use std::fmt;
use std::time::Duration;

/// What kind of failure an error is: enough to choose an HTTP status, to retry or not, and whom to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorClass {
    /// The input is wrong; the same input will fail again.
    Invalid,
    /// The input is well-formed but larger, deeper or longer than a configured limit.
    TooLarge,
    /// The input is of a kind that is not handled here.
    Unsupported,
    /// What was asked for is not there.
    NotFound,
    /// The request contradicts the present state.
    Conflict,
    /// Who is asking is not known.
    Unauthenticated,
    /// Who is asking is known, and may not.
    Forbidden,
    /// The caller asked too often.
    Throttled,
    /// This process has no room for more work now.
    Overloaded,
    /// Something needed is not reachable now.
    Unavailable,
    /// It took longer than it may.
    Timeout,
    /// The caller or a shutdown cancelled it.
    Cancelled,
    /// Stored data does not read back as it was written.
    Corrupt,
    /// A fault of the program or its set-up.
    Internal,
}

impl ErrorClass {
    /// Whether the same request may succeed later without anybody changing it.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Overloaded | Self::Unavailable | Self::Timeout | Self::Cancelled
        )
    }

    /// The class as a metric label and in JSON: `"too_large"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Throttled => "throttled",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that knows its [`ErrorClass`].
pub trait Classify {
    /// What the failure means to the caller.
    fn class(&self) -> ErrorClass;

    /// When it makes sense to try again, if the error knows.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// An error and everything that caused it, in one line: for logs, and for people who were not there.
///
/// ```
/// use buttress_core::{Key, chain};
///
/// let error = Key::new("").unwrap_err();
/// assert_eq!(chain(&error), "a key cannot be empty"); // it has no cause
/// ```
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

/// A time limit passed before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {}", crate::units::format_duration(*.0))]
pub struct Elapsed(
    /// The limit that passed.
    pub Duration,
);

impl Classify for Elapsed {
    fn class(&self) -> ErrorClass {
        ErrorClass::Timeout
    }
}

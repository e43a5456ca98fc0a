//! What can go wrong, when a policy is made and when it is used.

use std::time::Duration;

use buttress_core::{Classify, Elapsed, ErrorClass, Rejection, Violations};

/// Why a policy could not be made.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the policy's configuration is wrong: {0}")]
    Config(Violations),
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
        }
    }
}

/// Why a call through a policy has no result: the callee's own error, or the policy's.
///
/// The callee's error type stays what it is, and needs no conversion from ours; so any client's errors will do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The call was made, and failed.
    Call(E),
    /// The call was not made: the circuit is open, or there is no room.
    Rejected(Rejection),
    /// The call was given up: it took longer than it may, or its deadline has passed. The callee may have done it.
    TimedOut(Elapsed),
    /// A call made for several callers ended without an answer: it panicked, broke its contract, or was ended by a stop.
    Lost,
}

impl<E> Failure<E> {
    /// The callee's error, if it is one.
    pub fn call(&self) -> Option<&E> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// What it means, where `judge` says what the callee's errors mean.
    pub(crate) fn verdict(&self, judge: impl FnOnce(&E) -> Verdict) -> Verdict {
        match self {
            Self::Call(error) => judge(error),
            Self::Rejected(rejection) => Verdict::of(rejection),
            Self::TimedOut(elapsed) => Verdict::of(elapsed),
            Self::Lost => Verdict::class(ErrorClass::Internal),
        }
    }
}

impl<E> Failure<Failure<E>> {
    /// One failure of two, where one policy stands around another.
    pub fn flatten(self) -> Failure<E> {
        match self {
            Self::Call(inner) => inner,
            Self::Rejected(rejection) => Failure::Rejected(rejection),
            Self::TimedOut(elapsed) => Failure::TimedOut(elapsed),
            Self::Lost => Failure::Lost,
        }
    }
}

impl<E: Classify> Classify for Failure<E> {
    fn class(&self) -> ErrorClass {
        self.verdict(Verdict::of).class
    }

    fn retry_after(&self) -> Option<Duration> {
        self.verdict(Verdict::of).retry_after
    }
}

impl<E> From<Rejection> for Failure<E> {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl<E> From<Elapsed> for Failure<E> {
    fn from(elapsed: Elapsed) -> Self {
        Self::TimedOut(elapsed)
    }
}

impl<E: std::fmt::Display> std::fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::TimedOut(elapsed) => elapsed.fmt(f),
            Self::Lost => f.write_str("the call ended without an answer"),
        }
    }
}

impl<E: std::error::Error> std::error::Error for Failure<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The failure tells what its part tells, so the cause is the part's cause.
        match self {
            Self::Call(error) => error.source(),
            Self::Rejected(_) | Self::TimedOut(_) | Self::Lost => None,
        }
    }
}

/// What an error means to a policy. [`Verdict::of`] asks the error itself; a closure can say it for a foreign one.
///
/// ```
/// use buttress_core::ErrorClass;
/// use buttress_resilience::Verdict;
///
/// let judge = |error: &std::io::Error| match error.kind() {
///     std::io::ErrorKind::ConnectionRefused => Verdict::class(ErrorClass::Unavailable),
///     std::io::ErrorKind::TimedOut => Verdict::class(ErrorClass::Timeout),
///     _ => Verdict::class(ErrorClass::Internal),
/// };
/// assert!(judge(&std::io::ErrorKind::TimedOut.into()).class.is_transient());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// When the callee wants to be asked again, if it said so.
    pub retry_after: Option<Duration>,
}

impl Verdict {
    /// What the error says of itself.
    pub fn of(error: &impl Classify) -> Self {
        Self { class: error.class(), retry_after: error.retry_after() }
    }

    /// A failure of this kind, which does not say when to try again.
    #[must_use]
    pub fn class(class: ErrorClass) -> Self {
        Self { class, retry_after: None }
    }

    /// The same, saying when to try again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether the callee refused it before it began, so that even what must not be done twice may be tried again.
    #[must_use]
    pub fn was_refused(self) -> bool {
        matches!(self.class, ErrorClass::Throttled | ErrorClass::Overloaded)
    }
}

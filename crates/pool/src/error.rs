//! Why there was no object.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Rejection, RejectionReason, Violations, units};

use crate::verdict::Refusal;

/// Any error of a manager, with its class.
#[derive(Debug)]
pub(crate) struct BoxedError {
    pub(crate) class: ErrorClass,
    pub(crate) source: Box<dyn std::error::Error + Send + Sync>,
}

impl BoxedError {
    pub(crate) fn of<E: Classify + std::error::Error + Send + Sync + 'static>(error: E) -> Self {
        Self { class: error.class(), source: error.into() }
    }

    #[cfg(any(feature = "bb8", feature = "deadpool"))]
    pub(crate) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { class: ErrorClass::Internal, source: error.into() }
    }
}

/// Why a pool did not hand out an object.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the pool's configuration is wrong: {0}")]
    Config(Violations),
    /// All objects are in use and as many wait as may, or the pool is closed.
    #[error("the pool `{pool}` has nothing to hand out")]
    Rejected {
        /// Its name.
        pool: Arc<str>,
        /// Why, and when to come back.
        #[source]
        rejection: Rejection,
    },
    /// The deadline came before an object did.
    #[error(
        "no object of the pool `{pool}` within {}: {in_use} of {max} in use, {waiting} waiting",
        units::format_duration(*within)
    )]
    TimedOut {
        /// The pool's name.
        pool: Arc<str>,
        /// How long there was.
        within: Duration,
        /// Objects in use when the time was over.
        in_use: usize,
        /// Objects there may be.
        max: usize,
        /// Callers that went on waiting.
        waiting: usize,
    },
    /// Creating failed too often in a row; nothing is tried until the circuit closes.
    #[error("the pool `{pool}` cannot create objects; it tries again in {}", units::format_duration(*retry_after))]
    Create {
        /// The pool's name.
        pool: Arc<str>,
        /// The class of the last failure.
        class: ErrorClass,
        /// When the next creation will be tried.
        retry_after: Duration,
        /// The last failure.
        source: Cause,
    },
}

/// The error of a manager, shared by all whom it befell.
#[derive(Debug, Clone)]
pub struct Cause(pub(crate) Arc<BoxedError>);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.source.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.source()
    }
}

impl Error {
    pub(crate) fn rejected(pool: &Arc<str>, rejection: Rejection) -> Self {
        Self::Rejected { pool: Arc::clone(pool), rejection }
    }

    /// By an engine that knows no circuit.
    #[cfg(any(feature = "bb8", feature = "deadpool"))]
    pub(crate) fn create(pool: &Arc<str>, cause: BoxedError) -> Self {
        Self::circuit_open(pool, Duration::ZERO, Arc::new(cause))
    }

    pub(crate) fn circuit_open(pool: &Arc<str>, retry_after: Duration, cause: Arc<BoxedError>) -> Self {
        Self::Create { pool: Arc::clone(pool), class: cause.class, retry_after, source: Cause(cause) }
    }
}

/// A refusal as the caller is told; a deadline that came is told apart, by who knows it.
pub(crate) fn refused(pool: &Arc<str>, refusal: Refusal) -> Option<Error> {
    Some(match refusal {
        Refusal::TimedOut => return None,
        Refusal::Full { retry_after } => {
            Error::rejected(pool, Rejection::new(RejectionReason::Full).after(retry_after))
        }
        Refusal::ShuttingDown => Error::rejected(pool, Rejection::new(RejectionReason::ShuttingDown)),
        Refusal::CircuitOpen { retry_after, cause } => Error::circuit_open(pool, retry_after, cause),
    })
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::Rejected { rejection, .. } => rejection.class(),
            Self::TimedOut { .. } => ErrorClass::Timeout,
            // The way to try again is known, unless trying cannot help.
            Self::Create { class, .. } => *class,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { rejection, .. } => rejection.retry_after(),
            Self::Create { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

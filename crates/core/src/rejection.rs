//! Work refused before it began.

use std::time::Duration;

use crate::error::{Classify, ErrorClass};

/// Why work was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The caller is over its rate.
    RateLimited,
    /// The caller is banned.
    Banned,
    /// All slots are taken and the queue is full.
    Full,
    /// The circuit to a dependency is open.
    CircuitOpen,
    /// The service is stopping and takes no new work.
    ShuttingDown,
}

/// A refusal by a limiter, a pool, a breaker or a queue: the work was **not** started, so trying it elsewhere or
/// later is safe.
///
/// ```
/// use buttress_core::{Classify, ErrorClass, Rejection, RejectionReason};
/// use std::time::Duration;
///
/// let refusal = Rejection::new(RejectionReason::Full).after(Duration::from_secs(2));
/// assert_eq!(refusal.class(), ErrorClass::Overloaded);
/// assert_eq!(refusal.to_string(), "refused: no room for more work; try again in 2s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    reason: RejectionReason,
    retry_after: Option<Duration>,
}

impl Rejection {
    /// A refusal that does not say when to come back.
    #[must_use]
    pub fn new(reason: RejectionReason) -> Self {
        Self { reason, retry_after: None }
    }

    /// The same refusal, saying when it makes sense to try again.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Why the work was refused.
    #[must_use]
    pub fn reason(&self) -> RejectionReason {
        self.reason
    }
}

impl Classify for Rejection {
    fn class(&self) -> ErrorClass {
        match self.reason {
            RejectionReason::RateLimited => ErrorClass::Throttled,
            RejectionReason::Banned => ErrorClass::Forbidden,
            RejectionReason::Full => ErrorClass::Overloaded,
            RejectionReason::CircuitOpen | RejectionReason::ShuttingDown => ErrorClass::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.reason {
            RejectionReason::RateLimited => "refused: too many requests",
            RejectionReason::Banned => "refused: banned",
            RejectionReason::Full => "refused: no room for more work",
            RejectionReason::CircuitOpen => "refused: a dependency keeps failing",
            RejectionReason::ShuttingDown => "refused: the service is stopping",
        })?;
        match self.retry_after {
            Some(wait) => write!(f, "; try again in {}", crate::units::format_duration(wait)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}

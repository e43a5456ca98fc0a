//! What a limiter says to a request.

use std::time::Duration;

use buttress_core::{Rejection, RejectionReason};

use crate::algorithm::{NEVER, Nanos};

/// How much may be asked for, by the limit that allows least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// What the limit allows in one window.
    pub limit: u32,
    /// What may still be asked for at this moment.
    pub remaining: u32,
    pub(crate) window: Nanos,
    pub(crate) retry_after: Nanos,
    pub(crate) reset_after: Nanos,
}

impl Quota {
    /// Where there is no limit.
    pub(crate) const UNLIMITED: Self =
        Self { limit: u32::MAX, remaining: u32::MAX, window: 0, retry_after: 0, reset_after: 0 };

    /// The window of the limit.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.window)
    }

    /// When the same request would be admitted; zero for one that was, nothing for one that never will be.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after != NEVER).then(|| Duration::from_nanos(self.retry_after))
    }

    /// When the whole limit can be asked for again.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        Duration::from_nanos(self.reset_after)
    }
}

/// What a limiter says to a request.
#[must_use = "a request that is refused should not be served"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Go on. What is left is told.
    Admitted(Quota),
    /// Go on, and nothing is counted: the address is on the allow list, or the shared state cannot be reached and the configuration says
    /// that everybody is served then.
    Exempt,
    /// Too much was asked for. Nothing was consumed.
    Limited(Quota),
    /// It was refused too often: the caller should show that it is no machine. Call
    /// [`pardon`](crate::Limiter::pardon) when it has.
    Challenge {
        /// When it need not any more.
        retry_after: Duration,
    },
    /// The caller is banned.
    Banned {
        /// For how long.
        retry_after: Duration,
    },
    /// The address is on the deny list.
    Denied,
    /// The shared state cannot be reached, and the configuration says that nobody is served then.
    Unavailable {
        /// When it is looked for again.
        retry_after: Duration,
    },
}

impl Decision {
    /// Whether to go on.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted(_) | Self::Exempt)
    }

    /// How much may be asked for, where that was looked at.
    #[must_use]
    pub fn quota(&self) -> Option<&Quota> {
        match self {
            Self::Admitted(quota) | Self::Limited(quota) => Some(quota),
            _ => None,
        }
    }

    /// When the same request may be admitted; nothing if it was, or never will be.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(quota) => quota.retry_after(),
            Self::Challenge { retry_after }
            | Self::Banned { retry_after }
            | Self::Unavailable { retry_after } => Some(*retry_after),
            Self::Admitted(_) | Self::Exempt | Self::Denied => None,
        }
    }

    /// The refusal as an error, for whoever passes it on.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        let reason = match self {
            Self::Admitted(_) | Self::Exempt => return None,
            Self::Limited(_) | Self::Challenge { .. } => RejectionReason::RateLimited,
            Self::Banned { .. } | Self::Denied => RejectionReason::Banned,
            Self::Unavailable { .. } => RejectionReason::CircuitOpen,
        };
        let rejection = Rejection::new(reason);
        Some(match self.retry_after() {
            Some(wait) => rejection.after(wait),
            None => rejection,
        })
    }

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.outcome().as_str()
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Admitted(_) => Outcome::Admitted,
            Self::Exempt => Outcome::Exempt,
            Self::Limited(_) => Outcome::Limited,
            Self::Challenge { .. } => Outcome::Challenge,
            Self::Banned { .. } => Outcome::Banned,
            Self::Denied => Outcome::Denied,
            Self::Unavailable { .. } => Outcome::Unavailable,
        }
    }
}

/// A decision without its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Admitted,
    Exempt,
    Limited,
    Challenge,
    Banned,
    Denied,
    Unavailable,
}

impl Outcome {
    pub(crate) const ALL: [Self; 7] = [
        Self::Admitted,
        Self::Exempt,
        Self::Limited,
        Self::Challenge,
        Self::Banned,
        Self::Denied,
        Self::Unavailable,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Exempt => "exempt",
            Self::Limited => "limited",
            Self::Challenge => "challenge",
            Self::Banned => "banned",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
        }
    }
}

//! What can go wrong with access.

use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Rejection, Violations, units};

use crate::{Credential, Refusal};

/// Why access was not given, or could not be decided.
///
/// No variant holds a secret, a hash of one, or text of a caller that was not checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the configuration of access is wrong: {0}")]
    Config(Violations),
    /// What the caller showed does not prove who it is. Tell the caller no more than that.
    #[error("the {credential} is refused: {why}")]
    Refused {
        /// What the caller showed.
        credential: Credential,
        /// Why it does not do. For logs and metrics, not for the caller.
        why: Refusal,
    },
    /// The caller, or the account, has failed too often.
    #[error("too many failures; try again in {}", units::format_duration(*.retry_after))]
    Throttled {
        /// When the next attempt is looked at.
        retry_after: Duration,
    },
    /// There is no room for the work now.
    #[error("the work was not begun")]
    Busy(#[source] Rejection),
    /// A key, a pepper or a key set cannot be used as it is.
    #[error("{what} cannot be used: {problem}")]
    Material {
        /// Which one, by its public name.
        what: String,
        /// What is wrong, and what would do.
        problem: &'static str,
    },
    /// The operating system gave no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// What was asked for is not there.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its public name.
        name: String,
    },
    /// It is in a state in which this cannot be done.
    #[error("the {what} `{name}` {problem}")]
    Conflict {
        /// What kind of thing.
        what: &'static str,
        /// Its public name.
        name: String,
        /// The end of the sentence.
        problem: &'static str,
    },
    /// What is stored does not read back as it was written.
    #[error("the stored {what} cannot be read: {problem}")]
    Corrupt {
        /// What kind of thing.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Something that is needed is not reachable, or did not answer as it should.
    #[error("{what} cannot be had: {problem}")]
    Unavailable {
        /// What is needed.
        what: &'static str,
        /// Why, in a few words without addresses and secrets.
        problem: String,
    },
    /// The back end is not compiled in, cannot be reached, or failed.
    #[error(transparent)]
    Backend(#[from] buttress_connect::Error),
}

impl Error {
    /// The credential is refused.
    pub(crate) fn refused(credential: Credential, why: Refusal) -> Self {
        Self::Refused { credential, why }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Material { .. } => ErrorClass::Invalid,
            Self::Refused { why, .. } => why.class(),
            Self::Throttled { .. } => ErrorClass::Throttled,
            Self::Busy(rejection) => rejection.class(),
            Self::Random => ErrorClass::Internal,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Conflict { .. } => ErrorClass::Conflict,
            Self::Corrupt { .. } => ErrorClass::Corrupt,
            Self::Unavailable { .. } => ErrorClass::Unavailable,
            Self::Backend(error) => error.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => Some(*retry_after),
            Self::Busy(rejection) => rejection.retry_after(),
            _ => None,
        }
    }
}

//! Why a command did not become a workflow.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Rejection, Violations, units};

use super::grammar::NotUnderstood;

/// A result whose error is that of commands.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not become a workflow. Cheap to clone: equal commands share one outcome.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the configuration of commands is wrong: {0}")]
    Config(Violations),
    /// The policy of the model's calls cannot be made.
    #[error("the model cannot be called as configured")]
    Calls(#[source] buttress_resilience::Error),
    /// The API key cannot be had.
    #[error("the API key cannot be read from {from}: {problem}")]
    Key {
        /// The file or the variable.
        from: String,
        /// Why not. Never the key.
        problem: String,
    },
    /// The grammar does not understand it, and there is no model to ask.
    #[error(transparent)]
    NotUnderstood(#[from] NotUnderstood),
    /// The command leaves no room in the prompt.
    #[error("the command comes to about {tokens} tokens; at most {most} fit; shorten it")]
    TooLong {
        /// Its tokens, by our estimate.
        tokens: u64,
        /// How many there may be.
        most: u64,
    },
    /// The model says that no workflow can do it.
    #[error("the model says that this cannot be done: {reason}")]
    Impossible {
        /// The model's words, cut after 300 characters.
        reason: String,
    },
    /// The model was asked twice, and what it answered is no workflow.
    #[error(
        "the model's answer is no workflow: {problems}; say it in other words, or in commands such as: go to \
         https://example.com, click \"More\""
    )]
    NoPlan {
        /// What is wrong with its second answer.
        problems: String,
    },
    /// The model was not to be had.
    #[error("the model gave no answer")]
    Model(#[source] ModelError),
    /// The day's budget is used up.
    #[error(
        "the day's budget for the model is used up: {spent} of {limit} {unit}; commands in plain forms still work; \
         it begins anew in {}",
        units::format_duration(*.retry_after)
    )]
    Budget {
        /// What was spent today.
        spent: u64,
        /// What may be.
        limit: u64,
        /// `"tokens"` or `"micro-dollars"`.
        unit: &'static str,
        /// The time until midnight UTC.
        retry_after: Duration,
    },
    /// Too much is under way, or the model has failed too often.
    #[error("the model is not asked now")]
    Busy(#[source] Rejection),
    /// The place where answers are kept cannot be opened.
    #[error(
        "the model's answers cannot be kept in {place}; look at `redis_url` and `language.shared`, or `language.folder`"
    )]
    Answers {
        /// A file, or the address of a server, without its password.
        place: String,
        /// What it says.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The file of spending refuses.
    #[error("{} cannot be used", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// The folder of that file cannot be made.
    #[error("the folder {} cannot be made", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: Arc<std::io::Error>,
    },
    /// The task that did the work was stopped.
    #[error("the work was stopped before it was done")]
    Stopped,
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) | Self::Calls(_) | Self::Key { .. } => ErrorClass::Internal,
            Self::NotUnderstood(error) => error.class(),
            Self::TooLong { .. } => ErrorClass::TooLarge,
            Self::Impossible { .. } | Self::NoPlan { .. } => ErrorClass::Invalid,
            Self::Model(error) => error.class(),
            Self::Budget { .. } => ErrorClass::Throttled,
            Self::Busy(rejection) => rejection.class(),
            Self::Answers { .. } | Self::Store { .. } | Self::Folder { .. } => ErrorClass::Unavailable,
            Self::Stopped => ErrorClass::Cancelled,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Model(error) => error.retry_after(),
            Self::Budget { retry_after, .. } => Some(*retry_after),
            Self::Busy(rejection) => rejection.retry_after(),
            _ => None,
        }
    }
}

/// Why the model's service gave no answer. What it says itself is cut, and shown without the API key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It does not take our key.
    #[error(
        "the service refuses the API key ({status}); look at `key_file`, `key_variable` or `key_secret`{}",
        Said(.said)
    )]
    Unauthenticated {
        /// 401 or 403.
        status: u16,
        /// What it says.
        said: String,
    },
    /// Our key cannot be had.
    #[error("the secret {name}, which is the API key, cannot be used: {problem}")]
    NoKey {
        /// The name of the secret.
        name: String,
        /// Why not. Never the key.
        problem: String,
    },
    /// It is asked too often.
    #[error("the service is asked too often (429){}", Said(.said))]
    Throttled {
        /// When to try again, if it says so.
        retry_after: Option<Duration>,
        /// What it says.
        said: String,
    },
    /// It is not well.
    #[error("the service is not available: {problem}")]
    Unavailable {
        /// What happened.
        problem: String,
    },
    /// It took too long.
    #[error("the service did not answer within {}; a longer `calls.timeout` may help", units::format_duration(*.0))]
    TimedOut(
        /// The limit of one try.
        Duration,
    ),
    /// It does not take the request, and will not take it later.
    #[error("the service refuses the request ({status}); look at `url` and `model`{}", Said(.said))]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it says.
        said: String,
    },
    /// Its answer is larger than 1 MiB.
    #[error("the answer of the service is larger than 1 MiB; `url` may be that of something else")]
    TooLarge,
    /// What it answers is no chat completion.
    #[error("the answer of the service does not read: {problem}; `url` may be that of something else")]
    Invalid {
        /// What is wrong.
        problem: String,
    },
}

struct Said<'a>(&'a str);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it says: {}", self.0) }
    }
}

impl Classify for ModelError {
    /// For those who give commands: that our key is refused is no fault of theirs.
    fn class(&self) -> ErrorClass {
        match self {
            Self::Throttled { .. } | Self::Unavailable { .. } | Self::NoKey { .. } => ErrorClass::Unavailable,
            Self::TimedOut(_) => ErrorClass::Timeout,
            Self::Unauthenticated { .. } | Self::Refused { .. } | Self::TooLarge | Self::Invalid { .. } => {
                ErrorClass::Internal
            }
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

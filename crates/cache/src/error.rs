//! Why there was no value.

use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, ErrorClass, Rejection, RejectionReason, Violations, units};

use crate::tags::Refused;

/// Any error of a loader.
#[derive(Debug)]
struct BoxedError(Box<dyn std::error::Error + Send + Sync>);

/// The error of a loader, shared by all who waited for it.
#[derive(Debug, Clone)]
pub struct Cause(Arc<BoxedError>);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.0.source()
    }
}

impl Cause {
    fn of(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self(Arc::new(BoxedError(error)))
    }

    /// The loader's error itself, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.0.downcast_ref()
    }
}

/// Why a cache has no value for its caller.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("the cache's configuration is wrong: {0}")]
    Config(Violations),
    /// The configuration names an engine that this program was built without.
    #[error("the engine `{engine}` is not compiled into this program: build it with the feature `{feature}`")]
    EngineNotCompiled {
        /// What is missing.
        engine: &'static str,
        /// What brings it.
        feature: &'static str,
    },
    /// The loader failed.
    #[error("a value for the cache `{cache}` could not be loaded")]
    Load {
        /// The cache's name.
        cache: Arc<str>,
        /// What the failure means.
        class: ErrorClass,
        /// When to try again, if the loader knows.
        retry_after: Option<Duration>,
        /// What the loader said.
        source: Cause,
    },
    /// The loader was not done in time; it was dropped.
    #[error("a value for the cache `{cache}` was not loaded within {}", units::format_duration(*within))]
    TimedOut {
        /// The cache's name.
        cache: Arc<str>,
        /// How long it had.
        within: Duration,
    },
    /// The loader panicked.
    #[error("the loader of a value for the cache `{cache}` panicked; the log has its message")]
    Panicked {
        /// The cache's name.
        cache: Arc<str>,
    },
    /// An entry has more tags than it may, or there would be more tags in all than there may; it was not kept.
    #[error("an entry of the cache `{cache}` was not kept: {problem}")]
    Tags {
        /// The cache's name.
        cache: Arc<str>,
        /// What is wrong, and what would do.
        problem: &'static str,
    },
    /// A value does not become bytes.
    #[error("a value cannot be written")]
    Encode {
        /// Why.
        source: Cause,
    },
    /// Bytes are not a value of this schema and key.
    #[cfg(feature = "codec")]
    #[error("the bytes do not read as a value: {}", .0.as_str())]
    Unreadable(crate::codec::Unreadable),
    /// The second tier did not take a change. It is made known to the other nodes when the tier answers again, unless too many
    /// wait for that.
    #[error("the second tier of the cache `{cache}` did not take a change")]
    Tier {
        /// The cache's name.
        cache: Arc<str>,
        /// What the failure means.
        class: ErrorClass,
        /// Why.
        source: Cause,
    },
    /// The file of a snapshot cannot be read or written.
    #[error("the snapshot {path} cannot be read or written")]
    Snapshot {
        /// The file.
        path: String,
        /// Why.
        source: Cause,
    },
    /// As many loads are under way as may be, or the service is stopping.
    #[error("the cache `{cache}` loads nothing more now")]
    Rejected {
        /// The cache's name.
        cache: Arc<str>,
        /// Why, and when to come back.
        #[source]
        rejection: Rejection,
    },
}

impl Error {
    pub(crate) fn load<E>(cache: &Arc<str>, error: E) -> Self
    where
        E: Classify + std::error::Error + Send + Sync + 'static,
    {
        let (class, retry_after) = (error.class(), error.retry_after());
        Self::Load { cache: Arc::clone(cache), class, retry_after, source: Cause::of(Box::new(error)) }
    }

    #[cfg(feature = "codec")]
    pub(crate) fn encode(source: crate::codec::BodyError) -> Self {
        Self::Encode { source: Cause::of(source) }
    }

    #[cfg(feature = "codec")]
    pub(crate) fn tier(
        cache: &Arc<str>,
        error: impl std::error::Error + Send + Sync + 'static,
        class: ErrorClass,
    ) -> Self {
        Self::Tier { cache: Arc::clone(cache), class, source: Cause::of(Box::new(error)) }
    }

    #[cfg(feature = "codec")]
    pub(crate) fn snapshot(path: &std::path::Path, error: std::io::Error) -> Self {
        Self::Snapshot { path: path.display().to_string(), source: Cause::of(error.into()) }
    }

    pub(crate) fn tags(cache: &Arc<str>, refused: Refused) -> Self {
        let problem = match refused {
            Refused::PerEntry => "it has more tags than `tags_per_entry`",
            Refused::InAll => "as many tags as `tags` allows are in use",
        };
        Self::Tags { cache: Arc::clone(cache), problem }
    }

    pub(crate) fn rejected(cache: &Arc<str>, reason: RejectionReason) -> Self {
        Self::Rejected { cache: Arc::clone(cache), rejection: Rejection::new(reason) }
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Config(_) => ErrorClass::Invalid,
            Self::EngineNotCompiled { .. } => ErrorClass::Unsupported,
            Self::Load { class, .. } | Self::Tier { class, .. } => *class,
            Self::TimedOut { .. } => ErrorClass::Timeout,
            Self::Panicked { .. } => ErrorClass::Internal,
            Self::Tags { .. } => ErrorClass::TooLarge,
            Self::Encode { .. } => ErrorClass::Invalid,
            #[cfg(feature = "codec")]
            Self::Unreadable(_) => ErrorClass::Corrupt,
            Self::Snapshot { .. } => ErrorClass::Unavailable,
            Self::Rejected { rejection, .. } => rejection.class(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Load { retry_after, .. } => *retry_after,
            Self::Rejected { rejection, .. } => rejection.retry_after(),
            _ => None,
        }
    }
}

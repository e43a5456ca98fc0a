//! What a pool looks like from outside.

use std::time::Duration;

use serde::Serialize;

/// A pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How many objects there may be.
    pub max: usize,
    /// How many there are: idle, in use, and being checked or reset.
    pub size: usize,
    /// Ready to be handed out.
    pub idle: usize,
    /// Handed out.
    pub in_use: usize,
    /// Being created.
    pub creating: usize,
    /// On their way out.
    pub closing: usize,
    /// Callers that wait.
    pub waiting: usize,
    /// Whether nothing is handed out until the pool is resumed.
    pub paused: bool,
    /// Whether nothing is handed out any more.
    pub closed: bool,
    /// How long no creation will be tried, after too many that failed.
    #[serde(with = "buttress_core::units::optional_duration")]
    pub circuit_open_for: Option<Duration>,
    /// Why the last creation failed, until one succeeds.
    pub last_error: Option<String>,
}

impl Status {
    /// What engines of others tell.
    #[cfg(any(feature = "bb8", feature = "deadpool"))]
    pub(crate) fn basic(max: usize, size: usize, in_use: usize, waiting: usize) -> Self {
        Self {
            max,
            size,
            idle: size.saturating_sub(in_use),
            in_use,
            creating: 0,
            closing: 0,
            waiting,
            paused: false,
            closed: false,
            circuit_open_for: None,
            last_error: None,
        }
    }
}

/// One object of a pool at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjectStatus {
    /// Since it was created.
    #[serde(with = "buttress_core::units::duration")]
    pub age: Duration,
    /// How often it was handed out.
    pub uses: u64,
    /// What it is doing.
    #[serde(flatten)]
    pub standing: Standing,
}

/// What an object is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// Nothing.
    Idle {
        /// For how long.
        #[serde(with = "buttress_core::units::duration")]
        since: Duration,
    },
    /// Being reset or checked.
    Checking,
    /// What a caller does with it.
    InUse {
        /// For how long.
        #[serde(with = "buttress_core::units::duration")]
        since: Duration,
        /// Where in the program it was taken: file, line and column.
        by: String,
    },
}

/// Why an object left the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Closed {
    /// It was not needed for a while.
    Idle,
    /// It was old.
    Age,
    /// It was used as often as it may be.
    Uses,
    /// Its manager found it worn.
    Worn,
    /// There were more than there may be.
    Surplus,
    /// It was known to be broken.
    Broken,
    /// It did not pass its check.
    Check,
    /// It could not be reset.
    Reset,
    /// Its check or reset was cancelled, so nobody knows how it is.
    Cancelled,
    /// Its user said so.
    Invalidated,
    /// Its user kept it.
    Detached,
    /// The pool was closed.
    Shutdown,
}

impl Closed {
    /// All reasons.
    pub(crate) const ALL: [Self; 12] = [
        Self::Idle,
        Self::Age,
        Self::Uses,
        Self::Worn,
        Self::Surplus,
        Self::Broken,
        Self::Check,
        Self::Reset,
        Self::Cancelled,
        Self::Invalidated,
        Self::Detached,
        Self::Shutdown,
    ];

    /// The reason as a metric label: `"age"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Age => "age",
            Self::Uses => "uses",
            Self::Worn => "worn",
            Self::Surplus => "surplus",
            Self::Broken => "broken",
            Self::Check => "check",
            Self::Reset => "reset",
            Self::Cancelled => "cancelled",
            Self::Invalidated => "invalidated",
            Self::Detached => "detached",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether what befell this object may have befallen the others too.
    pub(crate) fn is_a_failure(self) -> bool {
        matches!(self, Self::Broken | Self::Check | Self::Reset)
    }
}

//! How callers stand, for people and for headers.

use std::sync::Arc;
use std::time::Duration;

use crate::decision::Quota;
use crate::{Decision, Limit};

/// How one limit of a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowStatus {
    /// Its name: that of the policy and the window, `free-1m`.
    pub name: Arc<str>,
    /// The limit.
    pub limit: Limit,
    /// What may be asked for at this moment.
    pub remaining: u32,
    /// When this limit would admit the request; zero if it does, nothing if it never will.
    pub retry_after: Option<Duration>,
    /// When the whole limit can be asked for again.
    pub reset_after: Duration,
}

/// How a caller stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What a request without cost would be told.
    pub decision: Decision,
    /// Its limits. None of them were looked at if the caller is banned or challenged.
    pub windows: Vec<WindowStatus>,
    /// Refused requests that are remembered, of the subject with most.
    pub violations: u32,
    /// Failed requests that are remembered, of the subject with most.
    pub failures: u32,
    /// How long it is still banned.
    pub banned_for: Option<Duration>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            decision: Decision::Admitted(Quota::UNLIMITED),
            windows: Vec::new(),
            violations: 0,
            failures: 0,
            banned_for: None,
        }
    }
}

/// What a limiter holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Keys that are remembered.
    pub keys: usize,
    /// Those of them that are banned.
    pub banned: usize,
    /// The memory that they take, in bytes.
    pub bytes: usize,
}

//! What a job is.

use std::time::SystemTime;

use buttress_core::Key;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::JobId;
use super::time;
use crate::report::{Failure, Report};

/// A job that somebody wants done.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Whose it is.
    pub tenant: Key,
    /// The workflow, as text that reads back.
    pub flow: String,
    /// What people call it.
    pub name: String,
    /// What the workflow is given.
    pub inputs: Map<String, Value>,
    /// The same tenant and key give back the same job, for as long as it is kept.
    pub key: Option<Key>,
}

/// Where a job is on its way. `Done`, `Failed` and `Cancelled` are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// For its first attempt or the next.
    Waiting,
    /// An attempt is on.
    Running,
    /// The workflow reached its end.
    Done,
    /// It cannot be done, or not in as many attempts as it has.
    Failed,
    /// Somebody asked for it.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// Whether nothing happens to the job any more.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// The state as a metric label and in JSON: `"waiting"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A job, whole. Times are those of the clock on the wall, to the millisecond.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub tenant: String,
    /// What people call it.
    pub name: String,
    /// The workflow, as it was handed in.
    pub flow: String,
    /// What the workflow is given.
    pub inputs: Map<String, Value>,
    /// Where it is on its way.
    pub state: State,
    /// The number of its attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// When it was accepted.
    #[serde(with = "time::text")]
    pub created_at: SystemTime,
    /// When its last attempt began.
    #[serde(with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<SystemTime>,
    /// When it came to its end.
    #[serde(with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<SystemTime>,
    /// When its next attempt may begin, if it waits for one.
    #[serde(with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<SystemTime>,
    /// Whether somebody asked to cancel it.
    pub cancel_asked: bool,
    /// What came of the last attempt that reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// Why the last attempt that failed did.
    #[serde(rename = "failure", skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

/// A job in lists: [`Job`] without what may be large.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub tenant: String,
    /// What people call it.
    pub name: String,
    /// Where it is on its way.
    pub state: State,
    /// The number of its attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// When it was accepted.
    #[serde(with = "time::text")]
    pub created_at: SystemTime,
    /// When its last attempt began.
    #[serde(default, with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<SystemTime>,
    /// When it came to its end.
    #[serde(default, with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<SystemTime>,
    /// When its next attempt may begin, if it waits for one.
    #[serde(default, with = "time::optional_text", skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<SystemTime>,
    /// Whether somebody asked to cancel it.
    pub cancel_asked: bool,
    /// How many results its report has.
    pub results: u32,
    /// How many artifacts its report has.
    pub artifacts: u32,
    /// Why the last attempt that failed did.
    #[serde(default, rename = "failure", skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
}

impl From<&Job> for Summary {
    fn from(job: &Job) -> Self {
        let count = |of: fn(&Report) -> usize| {
            job.report.as_ref().map_or(0, |report| u32::try_from(of(report)).unwrap_or(u32::MAX))
        };
        Self {
            id: job.id,
            tenant: job.tenant.clone(),
            name: job.name.clone(),
            state: job.state,
            attempt: job.attempt,
            created_at: job.created_at,
            started_at: job.started_at,
            ended_at: job.ended_at,
            next_try_at: job.next_try_at,
            cancel_asked: job.cancel_asked,
            results: count(|report| report.results.len()),
            artifacts: count(|report| report.artifacts.len()),
            last_failure: job.last_failure.clone(),
        }
    }
}

/// A job went from one state to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which job.
    pub id: JobId,
    /// Whose it is.
    pub tenant: String,
    /// Where it is now.
    pub state: State,
}

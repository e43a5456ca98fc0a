//! What came of a run: its steps, what they read, and what they left behind.

use std::time::Duration;

use buttress_core::{ErrorClass, units};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What came of one run of a workflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What the steps read, by the names they gave it.
    pub results: Map<String, Value>,
    /// Screenshots, printed pages and downloads, in the order in which they were made.
    pub artifacts: Vec<Artifact>,
    /// The steps as they were taken, those of loops each time; the first [`Report::MAX_STEPS`] of them.
    pub steps: Vec<StepReport>,
    /// Steps taken, listed or not.
    pub steps_taken: usize,
    /// What pages said in dialogs.
    pub dialogs: Vec<String>,
    /// Requests of pages that the guard refused: `169.254.169.254:80: a metadata address`.
    pub refused: Vec<String>,
    /// From the first step to the last.
    #[serde(with = "units::duration")]
    pub took: Duration,
    /// Why the run ended early, if it did.
    pub failure: Option<Failure>,
}

impl Report {
    /// How many steps are listed at most.
    pub const MAX_STEPS: usize = 1_000;
}

/// One step as it was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Where it stands in the workflow: `steps[3].for_each.steps[0]`.
    pub path: String,
    /// What people call it, if they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it does: `click`.
    pub action: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long it took, all tries together.
    #[serde(with = "units::duration")]
    pub took: Duration,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It was done.
    Done,
    /// It failed, and was optional.
    Skipped,
    /// It failed, and ended the run.
    Failed,
}

/// A file that a run left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// What the workflow calls it, with its ending; no two of a run have the same.
    pub name: String,
    /// `image/png`, `application/pdf`, `application/octet-stream`.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
    /// The BLAKE3 hash of its content, in hexadecimal: where it is kept.
    pub hash: String,
}

/// Why a run ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that failed, as in [`StepReport::path`]; none if it was not a step.
    pub step: Option<String>,
    /// What kind of failure it is; a transient one may be tried again.
    pub class: ErrorClass,
    /// What was wrong, for people.
    pub message: String,
}

//! How backups stand, for people, pages and probes. Pure.

use std::time::{Duration, SystemTime};

use buttress_core::{Vitality, units};
use jiff::Timestamp;
use serde::Serialize;

use super::agenda::Phase;
use crate::drill::DrillReport;

/// How backups stand.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// When this was so.
    pub at: Timestamp,
    /// So old may the newest snapshot of a job become, in seconds.
    pub rpo_seconds: u64,
    /// How each job stands.
    pub jobs: Vec<JobStatus>,
    /// How many snapshots there are.
    pub snapshots: usize,
    /// Why the store could not be read when it was last tried. Then all the rest is as it was before.
    pub unreadable: Option<String>,
    /// What failed when it was last tried.
    pub failing: Vec<FailingTask>,
    /// What the last drill has shown.
    pub drill: Option<DrillReport>,
    /// Whether the last drill is older than it may be, or there was none and there should have been.
    pub drill_overdue: bool,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// When its newest snapshot was taken, as its store has it.
    pub newest: Option<Timestamp>,
    /// How old that is, in seconds.
    pub age_seconds: Option<u64>,
    /// When the newest one was taken that was restored and found good.
    pub verified: Option<Timestamp>,
    /// Whether the newest is older than the RPO.
    pub late: bool,
    /// When it is due next.
    pub next: Option<Timestamp>,
}

/// A task that failed when it was last tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailingTask {
    /// Its kind.
    pub phase: Phase,
    /// Which, for people: `backup main`.
    pub task: String,
    /// When it last failed.
    pub last: Timestamp,
    /// Why.
    pub problem: String,
    /// Whether what is in the store is damaged.
    pub damaged: bool,
}

impl Status {
    /// What a probe says: it fails if what would be lost is more than the RPO, or what is in the store is damaged; it warns of all else.
    #[must_use]
    pub fn vitality(&self) -> Vitality {
        let limit = units::format_duration(Duration::from_secs(self.rpo_seconds));
        let late = self.jobs.iter().filter(|job| job.late).map(|job| match job.age_seconds {
            Some(age) => {
                let age = units::format_duration(Duration::from_secs(age));
                format!("the newest snapshot of {} is {age} old, the RPO is {limit}", job.name)
            }
            None => format!("there is no snapshot of {}", job.name),
        });
        let told = |task: &FailingTask| format!("{} failed: {}", task.task, task.problem);
        let damaged = self.failing.iter().filter(|task| task.damaged).map(told);
        let failures: Vec<_> = late.chain(damaged).collect();
        if !failures.is_empty() {
            return Vitality::Fail(failures.join("; "));
        }
        // What a drill found is said below.
        let others = self.failing.iter().filter(|task| task.phase != Phase::Drill);
        let mut warnings: Vec<_> = others.map(told).collect();
        warnings.extend(self.unreadable.iter().map(|problem| format!("the store cannot be read: {problem}")));
        match &self.drill {
            Some(drill) if !drill.passed() => {
                warnings.push(format!("the last drill failed: {}", drill.summary()));
            }
            Some(drill) if self.drill_overdue => {
                warnings.push(format!("the last drill was at {}", drill.began));
            }
            None if self.drill_overdue => warnings.push("no drill was ever done".to_owned()),
            _ => {}
        }
        if warnings.is_empty() { Vitality::Pass } else { Vitality::Warn(warnings.join("; ")) }
    }
}

/// Whether a job has lost its RPO. One that never had a snapshot may take as long for the first from when it `started`.
pub(crate) fn is_late(
    newest: Option<SystemTime>,
    started: SystemTime,
    rpo: Duration,
    now: SystemTime,
) -> bool {
    now.duration_since(newest.unwrap_or(started)).unwrap_or_default() > rpo
}

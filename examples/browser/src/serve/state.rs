//! How the service is, in one answer.

use buttress_pool::{ObjectStatus, Status};
use serde::Serialize;

use super::runner::Runner;
use crate::fleet::BrowserStatus;
use crate::jobs::{Counts, State};
use crate::language::BudgetStatus;

/// How the service is: its browsers, its jobs, its room.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pool {
    /// The pool of browsers.
    browsers: Status,
    /// The pool of contexts in them, one for each job.
    tabs: Status,
    /// Every browser that runs.
    objects: Vec<BrowserStatus>,
    /// Every context, idle or in use.
    contexts: Vec<ObjectStatus>,
    jobs: JobCounts,
    service_memory_bytes: u64,
    artifacts: Artifacts,
    language: Option<Language>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct JobCounts {
    waiting: u64,
    running: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Artifacts {
    bytes: u64,
    quota: u64,
    files: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Language {
    model: String,
    tokens_today: u64,
    tokens_limit: u64,
    warned: bool,
}

impl Pool {
    pub(crate) fn of(runner: &Runner, counts: &Counts, language: Option<(String, BudgetStatus)>) -> Self {
        let count = |state| counts.states.get(&state).copied().unwrap_or_default();
        let usage = runner.artifacts.usage();
        let (tabs, browsers) = runner.fleet.status();
        Self {
            browsers,
            tabs,
            objects: runner.fleet.browsers(),
            contexts: runner.fleet.contexts(),
            jobs: JobCounts { waiting: count(State::Waiting), running: count(State::Running) },
            service_memory_bytes: own_memory(),
            artifacts: Artifacts { bytes: usage.bytes, quota: usage.quota, files: usage.files },
            language: language.map(|(model, budget)| Language {
                model,
                tokens_today: budget.tokens.spent,
                tokens_limit: budget.tokens.limit.unwrap_or_default(),
                warned: budget.warned,
            }),
        }
    }
}

/// What this process has in memory, in bytes; 0 where the system does not tell.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

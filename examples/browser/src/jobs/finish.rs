//! How an attempt ends, and the job with it or not.

use buttress_core::ErrorClass;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::config::JobsConfig;
use super::error::{Error, Result};
use super::id::JobId;
use super::job::{Change, Job, State};
use super::live::Abandoned;
use super::records::job;
use super::retry::back_off;
use crate::report::{Failure, Report};
use buttress_core::unique_number;

/// What became of the jobs that were running when the process before this one ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// They wait for another attempt.
    pub waiting: u64,
    /// They have had all their attempts.
    pub failed: u64,
    /// Somebody had asked for it.
    pub cancelled: u64,
}

/// A job that runs.
struct Held {
    seq: i64,
    id: JobId,
    tenant: String,
    attempt: u32,
    cancel_asked: bool,
}

const HELD: &str = "SELECT seq, id, tenant, attempt, cancel_asked FROM jobs WHERE state = 'running'";

impl Held {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            id: row.get(1)?,
            tenant: row.get(2)?,
            attempt: row.get(3)?,
            cancel_asked: row.get(4)?,
        })
    }

    fn find(transaction: &Transaction<'_>, id: JobId, holder: i64) -> Result<Option<Self>> {
        let mut select = transaction.prepare_cached(&format!("{HELD} AND id = ?1 AND holder = ?2"))?;
        Ok(select.query_row(params![id, holder], Self::of).optional()?)
    }

    fn wait(&self, transaction: &Transaction<'_>, attempt: u32, next_try_at: Option<i64>) -> Result<State> {
        transaction
            .prepare_cached(
                "UPDATE jobs SET state = 'waiting', holder = NULL, attempt = ?2, next_try_at = ?3 WHERE seq = ?1",
            )?
            .execute(params![self.seq, attempt, next_try_at])?;
        Ok(State::Waiting)
    }

    fn end(&self, transaction: &Transaction<'_>, state: State, now: i64) -> Result<State> {
        end(transaction, self.id, state, now)?;
        Ok(state)
    }

    /// The attempt ended without a word: its process died, or what ran it panicked.
    fn interrupt(&self, transaction: &Transaction<'_>, config: &JobsConfig, now: i64) -> Result<State> {
        if self.cancel_asked {
            return self.end(transaction, State::Cancelled, now);
        }
        let (attempt, attempts) = (self.attempt, config.attempts);
        let failure = Failure {
            step: None,
            class: ErrorClass::Internal,
            message: format!("interrupted at attempt {attempt} of {attempts}, without a report"),
        };
        self.keep_failure(transaction, &failure)?;
        if attempt < attempts {
            // No wait: others were interrupted with it, most likely through no fault of this one.
            return self.wait(transaction, attempt, None);
        }
        self.end(transaction, State::Failed, now)
    }

    fn keep_failure(&self, transaction: &Transaction<'_>, failure: &Failure) -> Result<()> {
        let json =
            serde_json::to_string(failure).map_err(|source| Error::Json { what: "failure", source })?;
        transaction
            .prepare_cached("UPDATE jobs SET failure = ?2 WHERE seq = ?1")?
            .execute(params![self.seq, json])?;
        Ok(())
    }

    /// Keeps the report in place of the one before.
    fn keep_report(&self, transaction: &Transaction<'_>, report: &Report, json: &str) -> Result<()> {
        let [results, artifacts] = [report.results.len(), report.artifacts.len()];
        transaction
            .prepare_cached("UPDATE jobs SET report = ?2, results = ?3, artifacts = ?4 WHERE seq = ?1")?
            .execute(params![self.seq, json, u32::try_from(results).ok(), u32::try_from(artifacts).ok()])?;
        release_artifacts(transaction, self.seq)?;
        let mut insert =
            transaction.prepare_cached("INSERT OR IGNORE INTO job_artifacts (hash, job) VALUES (?1, ?2)")?;
        for artifact in &report.artifacts {
            insert.execute(params![artifact.hash, self.seq])?;
        }
        if let Some(failure) = &report.failure {
            self.keep_failure(transaction, failure)?;
        }
        Ok(())
    }

    fn change(self, state: State) -> Change {
        Change { id: self.id, tenant: self.tenant, state }
    }
}

/// A report that fits, and its JSON: one that is too large keeps its artifacts, and says so.
pub(crate) fn fit(report: Report, config: &JobsConfig) -> Result<(Report, String)> {
    let json = |report: &Report| {
        serde_json::to_string(report).map_err(|source| Error::Json { what: "report", source })
    };
    let (limit, first) = (config.report, json(&report)?);
    if first.len() <= limit.as_usize() {
        return Ok((report, first));
    }
    let message = format!("the report is over the limit of {limit}, with {} bytes; read less", first.len());
    let failure = Some(Failure { step: None, class: ErrorClass::TooLarge, message });
    let (steps_taken, took) = (report.steps_taken, report.took);
    let mut short = Report { artifacts: report.artifacts, steps_taken, took, failure, ..Report::default() };
    let mut text = json(&short)?;
    if text.len() > limit.as_usize() {
        short.artifacts.clear();
        text = json(&short)?;
    }
    Ok((short, text))
}

/// Ends the attempt with its report.
pub(crate) fn finish(
    transaction: &Transaction<'_>,
    (id, holder): (JobId, i64),
    (report, json): (&Report, &str),
    config: &JobsConfig,
    now: i64,
) -> Result<(Job, Change)> {
    let held = Held::find(transaction, id, holder)?.ok_or(Error::NotHeld(id))?;
    held.keep_report(transaction, report, json)?;
    let again = report.failure.as_ref().is_some_and(|failure| failure.class.is_transient());
    let state = if held.cancel_asked {
        held.end(transaction, State::Cancelled, now)?
    } else if report.failure.is_none() {
        held.end(transaction, State::Done, now)?
    } else if again && held.attempt < config.attempts {
        let wait = back_off(held.attempt, config.retry_first, config.retry_most, unique_number());
        let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        held.wait(transaction, held.attempt, Some(now.saturating_add(wait)))?
    } else {
        held.end(transaction, State::Failed, now)?
    };
    Ok((job(transaction, id, None)?, held.change(state)))
}

/// Undoes the claim, as if it had not been.
pub(crate) fn give_back(
    transaction: &Transaction<'_>,
    id: JobId,
    holder: i64,
    now: i64,
) -> Result<(Job, Change)> {
    let held = Held::find(transaction, id, holder)?.ok_or(Error::NotHeld(id))?;
    let state = if held.cancel_asked {
        held.end(transaction, State::Cancelled, now)?
    } else {
        held.wait(transaction, held.attempt.saturating_sub(1), None)?
    };
    Ok((job(transaction, id, None)?, held.change(state)))
}

/// Takes back a claim whose holder is gone. `None` if it was settled after all.
pub(crate) fn take_back(
    transaction: &Transaction<'_>,
    abandoned: Abandoned,
    config: &JobsConfig,
    now: i64,
) -> Result<Option<Change>> {
    let Abandoned { id, holder, begun } = abandoned;
    let Some(held) = Held::find(transaction, id, holder)? else { return Ok(None) };
    if !begun {
        return Ok(Some(give_back(transaction, id, holder, now)?.1));
    }
    let state = held.interrupt(transaction, config, now)?;
    Ok(Some(held.change(state)))
}

/// Puts right what a killed process left running.
pub(crate) fn recover(transaction: &Transaction<'_>, config: &JobsConfig, now: i64) -> Result<Recovered> {
    let orphans: Vec<Held> =
        transaction.prepare(HELD)?.query_map([], Held::of)?.collect::<rusqlite::Result<_>>()?;
    let mut recovered = Recovered::default();
    for orphan in orphans {
        match orphan.interrupt(transaction, config, now)? {
            State::Waiting => recovered.waiting += 1,
            State::Cancelled => recovered.cancelled += 1,
            _ => recovered.failed += 1,
        }
    }
    Ok(recovered)
}

/// Cancels a job that waits, and notes the wish for one that runs. Gives what changed, if something did.
pub(crate) fn cancel(
    transaction: &Transaction<'_>,
    id: JobId,
    tenant: Option<&str>,
    now: i64,
) -> Result<(Job, Option<Change>)> {
    let before = job(transaction, id, tenant)?;
    if before.state.is_end() {
        return Ok((before, None));
    }
    transaction.prepare_cached("UPDATE jobs SET cancel_asked = 1 WHERE id = ?1")?.execute([id])?;
    if before.state == State::Waiting {
        end(transaction, id, State::Cancelled, now)?;
    }
    let job = job(transaction, id, None)?;
    let change = Change { id, tenant: job.tenant.clone(), state: job.state };
    Ok((job, Some(change)))
}

fn end(transaction: &Transaction<'_>, id: JobId, state: State, now: i64) -> Result<()> {
    transaction
        .prepare_cached(
            "UPDATE jobs SET state = ?2, holder = NULL, next_try_at = NULL, ended_at = ?3 WHERE id = ?1",
        )?
        .execute(params![id, state, now])?;
    Ok(())
}

/// Notes that a job names its artifacts no more.
pub(crate) fn release_artifacts(transaction: &Transaction<'_>, seq: i64) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO released (hash) SELECT hash FROM job_artifacts WHERE job = ?1",
        )?
        .execute([seq])?;
    transaction.prepare_cached("DELETE FROM job_artifacts WHERE job = ?1")?.execute([seq])?;
    Ok(())
}

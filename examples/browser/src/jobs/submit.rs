//! How a job is accepted.

use std::time::Duration;

use buttress_core::{Rejection, RejectionReason};
use rusqlite::{OptionalExtension, Transaction, params};

use super::config::JobsConfig;
use super::error::{Error, Result};
use super::id::JobId;
use super::job::{Job, NewJob};
use super::records::job;
use super::time::millis;

/// When to come back after a refusal: about as long as a short workflow runs.
const COME_BACK_AFTER: Duration = Duration::from_secs(5);

/// Checks what can be checked without the database, and gives the inputs as JSON.
pub(crate) fn check(new: &NewJob, config: &JobsConfig) -> Result<String> {
    let inputs =
        serde_json::to_string(&new.inputs).map_err(|source| Error::Json { what: "inputs", source })?;
    let bytes = (inputs.len() + new.flow.len() + new.name.len()) as u64;
    if bytes > config.job.bytes() {
        return Err(Error::JobTooLarge { bytes, limit: config.job });
    }
    Ok(inputs)
}

/// Gives the job, and whether it is new.
pub(crate) fn submit(
    transaction: &Transaction<'_>,
    new: &NewJob,
    inputs: &str,
    config: &JobsConfig,
    id: JobId,
    now: std::time::SystemTime,
) -> Result<(Job, bool)> {
    if let Some(known) = known(transaction, new)? {
        return Ok((known, false));
    }
    make_room(transaction, new, config)?;
    transaction
        .prepare_cached(
            "INSERT INTO jobs (id, tenant, key, name, state, created_at, inputs, flow)
             VALUES (?1, ?2, ?3, ?4, 'waiting', ?5, ?6, ?7)",
        )?
        .execute(params![
            id,
            new.tenant.as_str(),
            new.key.as_ref().map(buttress_core::Key::as_str),
            new.name,
            millis(now),
            inputs,
            new.flow,
        ])?;
    Ok((job(transaction, id, None)?, true))
}

/// The job that has the same key already.
fn known(transaction: &Transaction<'_>, new: &NewJob) -> Result<Option<Job>> {
    let Some(key) = &new.key else { return Ok(None) };
    let id: Option<JobId> = transaction
        .prepare_cached("SELECT id FROM jobs WHERE tenant = ?1 AND key = ?2")?
        .query_row([new.tenant.as_str(), key.as_str()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    let known = job(transaction, id, None)?;
    if known.flow == new.flow && known.inputs == new.inputs {
        return Ok(Some(known));
    }
    Err(Error::Conflict { key: key.clone(), job: id })
}

fn make_room(transaction: &Transaction<'_>, new: &NewJob, config: &JobsConfig) -> Result<()> {
    let (all, own): (i64, i64) = transaction
        .prepare_cached("SELECT count(*), coalesce(sum(tenant = ?1), 0) FROM jobs WHERE state = 'waiting'")?
        .query_row([new.tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let [all, own] = [all, own].map(i64::unsigned_abs);
    let (waiting, tenant) = if own >= config.waiting_of(new.tenant.as_str()) {
        (own, true)
    } else if all >= config.waiting {
        (all, false)
    } else {
        return Ok(());
    };
    let source = Rejection::new(RejectionReason::Full).after(COME_BACK_AFTER);
    Err(Error::Full { waiting, tenant, source })
}

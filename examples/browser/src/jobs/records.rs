//! Rows of the database as jobs.

use std::time::SystemTime;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::de::DeserializeOwned;

use super::error::{Error, Result};
use super::id::JobId;
use super::job::{Job, State, Summary};
use super::time::moment;

/// The columns of [`summary_of`]; those of [`job_of`] are three more.
pub(crate) const SUMMARY: &str = "id, tenant, name, state, attempt, created_at, started_at, ended_at, next_try_at, \
     cancel_asked, results, artifacts, failure";
pub(crate) const JOB: &str = "id, tenant, name, state, attempt, created_at, started_at, ended_at, next_try_at, \
     cancel_asked, results, artifacts, failure, flow, inputs, report";

impl ToSql for JobId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for JobId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(FromSqlError::InvalidType)
    }
}

pub(crate) fn summary_of(row: &Row<'_>) -> Result<Summary> {
    let id: JobId = row.get(0)?;
    Ok(Summary {
        id,
        tenant: row.get(1)?,
        name: row.get(2)?,
        state: row.get(3)?,
        attempt: row.get(4)?,
        created_at: moment(row.get(5)?),
        started_at: optional_moment(row, 6)?,
        ended_at: optional_moment(row, 7)?,
        next_try_at: optional_moment(row, 8)?,
        cancel_asked: row.get(9)?,
        results: row.get(10)?,
        artifacts: row.get(11)?,
        last_failure: optional_json(row, 12, id, "failure")?,
    })
}

pub(crate) fn job_of(row: &Row<'_>) -> Result<Job> {
    let summary = summary_of(row)?;
    let id = summary.id;
    Ok(Job {
        id,
        tenant: summary.tenant,
        name: summary.name,
        flow: row.get(13)?,
        inputs: optional_json(row, 14, id, "inputs")?.unwrap_or_default(),
        state: summary.state,
        attempt: summary.attempt,
        created_at: summary.created_at,
        started_at: summary.started_at,
        ended_at: summary.ended_at,
        next_try_at: summary.next_try_at,
        cancel_asked: summary.cancel_asked,
        report: optional_json(row, 15, id, "report")?,
        last_failure: summary.last_failure,
    })
}

/// A job by its name, if it is there and, where one is given, the tenant's.
pub(crate) fn job(connection: &Connection, id: JobId, tenant: Option<&str>) -> Result<Job> {
    let select = format!("SELECT {JOB} FROM jobs WHERE id = ?1 AND tenant = coalesce(?2, tenant)");
    let mut select = connection.prepare_cached(&select)?;
    let mut rows = select.query_and_then(params![id, tenant], job_of)?;
    rows.next().unwrap_or(Err(Error::NotFound(id)))
}

/// The last name given, if any job is left.
pub(crate) fn last_id(connection: &Connection) -> Result<Option<JobId>> {
    let mut select = connection.prepare("SELECT id FROM jobs ORDER BY id DESC LIMIT 1")?;
    Ok(select.query_row([], |row| row.get(0)).optional()?)
}

fn optional_moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<SystemTime>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(moment))
}

fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    id: JobId,
    what: &'static str,
) -> Result<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    text.map(serde_json::from_str).transpose().map_err(|source| Error::CorruptJob {
        what,
        job: id.to_string(),
        source,
    })
}

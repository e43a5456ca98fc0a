//! What may be asked about jobs.

use std::collections::BTreeMap;

use buttress_core::Key;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::Result;
use super::id::JobId;
use super::job::{State, Summary};
use super::records::{SUMMARY, summary_of};

/// Which jobs to list. The default lists the newest [`Filter::MOST`] of all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of one tenant.
    pub tenant: Option<Key>,
    /// Those in one state.
    pub state: Option<State>,
    /// Those accepted before this one: the last of the page before.
    pub before: Option<JobId>,
    /// How many, [`Filter::MOST`] at most.
    pub limit: Option<u32>,
}

impl Filter {
    /// How many jobs are listed at once at most.
    pub const MOST: u32 = 200;
}

/// How many jobs are where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// By state; every state is there.
    pub states: BTreeMap<State, u64>,
    /// The [`Counts::TENANTS`] tenants with the most jobs that wait or run, then the most jobs.
    pub tenants: Vec<TenantCounts>,
}

impl Counts {
    /// How many tenants are listed at most.
    pub const TENANTS: u32 = 50;
}

/// How many jobs of a tenant are where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantCounts {
    /// Whose.
    pub tenant: String,
    /// For an attempt.
    pub waiting: u64,
    /// An attempt is on.
    pub running: u64,
    /// They have ended, and are kept.
    pub ended: u64,
}

pub(crate) fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Summary>> {
    // Spelled out rather than `?1 IS NULL OR …`, which would use no index.
    let tenant = if filter.tenant.is_some() { "tenant = ?1" } else { "?1 IS NULL" };
    let state = if filter.state.is_some() { "state = ?2" } else { "?2 IS NULL" };
    let before = if filter.before.is_some() { "id < ?3" } else { "?3 IS NULL" };
    let select = format!(
        "SELECT {SUMMARY} FROM jobs WHERE {tenant} AND {state} AND {before} ORDER BY id DESC LIMIT ?4"
    );
    let mut select = connection.prepare_cached(&select)?;
    let limit = filter.limit.unwrap_or(Filter::MOST).min(Filter::MOST);
    let tenant = filter.tenant.as_ref().map(Key::as_str);
    select.query_and_then(params![tenant, filter.state, filter.before, limit], summary_of)?.collect()
}

pub(crate) fn counts(connection: &Connection) -> Result<Counts> {
    let mut states: BTreeMap<State, u64> = State::ALL.into_iter().map(|state| (state, 0)).collect();
    let mut select = connection.prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        states.insert(row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs());
    }
    let mut select = connection.prepare_cached(
        "SELECT tenant, sum(state = 'waiting') AS waiting, sum(state = 'running') AS running, count(*) AS jobs
         FROM jobs GROUP BY tenant ORDER BY waiting + running DESC, jobs DESC, tenant LIMIT ?1",
    )?;
    let tenants = select.query_map([Counts::TENANTS], |row| {
        let [waiting, running, jobs] =
            [row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?].map(i64::unsigned_abs);
        Ok(TenantCounts { tenant: row.get(0)?, waiting, running, ended: jobs - waiting - running })
    })?;
    let tenants = tenants.collect::<rusqlite::Result<_>>()?;
    Ok(Counts { states, tenants })
}

/// The first wait for another attempt that ends between two points in time, both excluded.
pub(crate) fn next_due(connection: &Connection, after: i64, until: i64) -> Result<Option<i64>> {
    let mut select = connection.prepare_cached(
        "SELECT min(next_try_at) FROM jobs WHERE state = 'waiting' AND next_try_at > ?1 AND next_try_at <= ?2",
    )?;
    Ok(select.query_row([after, until], |row| row.get(0))?)
}

//! How jobs are forgotten.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::Result;
use super::finish::release_artifacts;

/// Jobs that are forgotten in one transaction, and artifacts that are told of in one.
const BATCH: u32 = 200;

/// What was forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// How many jobs.
    pub jobs: u64,
    /// The artifacts that no report names any more, for [`Artifacts::release`](super::Artifacts::release). They are
    /// told of once.
    pub artifacts: Vec<String>,
}

/// The latest ended job that is too much: all that ended before it, and itself, go.
pub(crate) fn surplus(transaction: &Transaction<'_>, kept: u64) -> Result<(i64, i64)> {
    let mut select = transaction.prepare_cached(
        "SELECT ended_at, seq FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC, seq DESC LIMIT 1 OFFSET ?1",
    )?;
    let kept = i64::try_from(kept).unwrap_or(i64::MAX);
    Ok(select.query_row([kept], |row| Ok((row.get(0)?, row.get(1)?))).optional()?.unwrap_or((-1, -1)))
}

/// Forgets some of the jobs up to `last`, which is when one ended and its `seq`. Gives how many, and whether these
/// were all.
pub(crate) fn forget(transaction: &Transaction<'_>, last: (i64, i64)) -> Result<(u64, bool)> {
    let mut select = transaction.prepare_cached(
        "SELECT seq, tenant FROM jobs
         WHERE ended_at IS NOT NULL AND (ended_at, seq) <= (?1, ?2) ORDER BY ended_at, seq LIMIT ?3",
    )?;
    let rows = select.query_map(params![last.0, last.1, BATCH], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    let gone: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    for (seq, tenant) in &gone {
        release_artifacts(transaction, *seq)?;
        transaction.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
        transaction
            .prepare_cached(
                "DELETE FROM tenants WHERE tenant = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE tenant = ?1)",
            )?
            .execute([tenant])?;
    }
    Ok((gone.len() as u64, gone.len() < BATCH as usize))
}

/// Some of the artifacts that a report stopped naming and that none names now, and whether these were all.
pub(crate) fn released(transaction: &Transaction<'_>) -> Result<(Vec<String>, bool)> {
    let mut select = transaction.prepare_cached(
        "SELECT hash, EXISTS (SELECT 1 FROM job_artifacts WHERE job_artifacts.hash = released.hash) FROM released LIMIT ?1",
    )?;
    let rows = select.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let seen: Vec<(String, bool)> = rows.collect::<rusqlite::Result<_>>()?;
    let all = seen.len() < BATCH as usize;
    let mut delete = transaction.prepare_cached("DELETE FROM released WHERE hash = ?1")?;
    for (hash, _) in &seen {
        delete.execute([hash])?;
    }
    Ok((seen.into_iter().filter(|(_, named)| !named).map(|(hash, _)| hash).collect(), all))
}

/// Those of `hashes` that no report names.
pub(crate) fn unnamed(connection: &Connection, hashes: Vec<String>) -> Result<Vec<String>> {
    let mut select =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM job_artifacts WHERE hash = ?1)")?;
    let mut unnamed = Vec::new();
    for hash in hashes {
        if !select.query_row([&hash], |row| row.get(0))? {
            unnamed.push(hash);
        }
    }
    Ok(unnamed)
}

/// Gives pages of forgotten jobs back to the file system.
pub(crate) fn shrink(transaction: &Transaction<'_>) -> Result<()> {
    let mut pages = transaction.prepare_cached("PRAGMA incremental_vacuum(1000)")?;
    let mut rows = pages.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

//! Which job goes next, and who holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Transaction, params};
use tokio::sync::watch;

use super::config::JobsConfig;
use super::error::Result;
use super::id::JobId;
use super::job::Job;
use super::live::{Abandoned, Live};
use super::records::{JOB, job_of};

/// A job, held by one attempt to do it.
///
/// Dropped before it is finished or given back, it is taken back by the next claim: the attempt counts, as if the
/// process had been killed at it.
#[derive(Debug)]
pub struct Claimed {
    job: Job,
    cancel: watch::Receiver<bool>,
    hold: Arc<Hold>,
}

/// What a claim and those who settle it share.
pub(crate) struct Hold {
    pub(crate) id: JobId,
    pub(crate) holder: i64,
    live: Arc<Live>,
    begun: AtomicBool,
    settled: AtomicBool,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hold({}, {})", self.id, self.holder)
    }
}

impl Claimed {
    /// The job, as it was when it was claimed.
    #[must_use]
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// Whether somebody asked to cancel the job.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Completes once somebody asks to cancel the job.
    pub async fn cancelled(&self) {
        let mut cancel = self.cancel.clone();
        // An error says that nobody can ask any more.
        if cancel.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn hold(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let Hold { id, holder, ref live, ref begun, ref settled } = *self.hold;
        live.end(id, holder);
        if !settled.load(Ordering::Acquire) {
            live.abandon(Abandoned { id, holder, begun: begun.load(Ordering::Acquire) });
        }
    }
}

impl Hold {
    /// Whoever asked for the job has it now.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// What the holder says of the job is on the disk.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }
}

/// Points in time between which a wait for the next attempt is over or makes no sense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    /// Waits up to this are over.
    pub(crate) now: i64,
    /// No wait is as long as to this: the clock was set back, and the wait counts as over.
    pub(crate) most: i64,
}

/// Takes the job that goes next: of the tenants below their limit, the one with the fewest running, then the one
/// whose last turn is longest ago; of its jobs, the one accepted first.
pub(crate) fn claim(
    transaction: &Transaction<'_>,
    config: &JobsConfig,
    live: &Arc<Live>,
    due: Due,
) -> Result<Option<Claimed>> {
    let Some((tenant, id)) = next(transaction, config, due)? else { return Ok(None) };
    let holder = live.next_holder();
    let update = format!(
        "UPDATE jobs SET state = 'running', attempt = attempt + 1, holder = ?2, started_at = ?3, next_try_at = NULL
         WHERE id = ?1 AND state = 'waiting' RETURNING {JOB}"
    );
    let mut update = transaction.prepare_cached(&update)?;
    let Some(job) = update.query_and_then(params![id, holder, due.now], job_of)?.next().transpose()? else {
        return Ok(None);
    };
    transaction
        .prepare_cached(
            "INSERT INTO tenants (tenant, served) SELECT ?1, coalesce(max(served), 0) + 1 FROM tenants WHERE true
             ON CONFLICT (tenant) DO UPDATE SET served = excluded.served",
        )?
        .execute([tenant])?;
    let cancel = live.begin(id, holder);
    let hold = Hold {
        id,
        holder,
        live: Arc::clone(live),
        begun: AtomicBool::new(false),
        settled: AtomicBool::new(false),
    };
    Ok(Some(Claimed { job, cancel, hold: Arc::new(hold) }))
}

fn next(transaction: &Transaction<'_>, config: &JobsConfig, due: Due) -> Result<Option<(String, JobId)>> {
    let mut select = transaction.prepare_cached(
        "SELECT waiting.tenant, min(waiting.id) AS first, coalesce(running.jobs, 0) AS running
         FROM jobs waiting
         LEFT JOIN (SELECT tenant, count(*) AS jobs FROM jobs WHERE state = 'running' GROUP BY tenant) running
             ON running.tenant = waiting.tenant
         LEFT JOIN tenants ON tenants.tenant = waiting.tenant
         WHERE waiting.state = 'waiting'
             AND (waiting.next_try_at IS NULL OR waiting.next_try_at <= ?1 OR waiting.next_try_at > ?2)
         GROUP BY waiting.tenant ORDER BY running, coalesce(tenants.served, 0), first",
    )?;
    let mut rows = select.query([due.now, due.most])?;
    while let Some(row) = rows.next()? {
        let tenant: String = row.get(0)?;
        if row.get::<_, i64>(2)?.unsigned_abs() < config.running_of(&tenant) {
            return Ok(Some((tenant, row.get(1)?)));
        }
    }
    Ok(None)
}

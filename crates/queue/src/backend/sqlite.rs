//! Jobs in SQLite. One table for all queues of a file; a job is a row from its push until it is done.
//!
//! `due` says when a job may be claimed, and being in hand only moves it: a lease that runs out needs nobody to notice.

use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::{
    Connection, OptionalExtension, Result as SqlResult, TransactionBehavior, params,
};
use buttress_core::{Ctx, Key, SharedClock};
use bytes::Bytes;

use super::shared::{full, key, millis, signed, stats, unsigned, wall_ms};
use crate::{DeadLetter, DeadLetters, Error, Job, Pushed, Queue, QueueConfig, Stats, Verdict};

/// The payload is the last column: what is counted does not read past it.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buttress_jobs (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    queue    TEXT NOT NULL,
    key      TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due      INTEGER NOT NULL,
    class    TEXT,
    reason   TEXT,
    payload  BLOB NOT NULL,
    UNIQUE (queue, key)
) STRICT;
CREATE INDEX IF NOT EXISTS buttress_jobs_alive ON buttress_jobs (queue, due, seq) WHERE state <> 'dead';
CREATE INDEX IF NOT EXISTS buttress_jobs_dead ON buttress_jobs (queue, due, seq) WHERE state = 'dead';
";

/// Jobs in a file of this machine. Time is the machine's, which all its processes share.
pub(crate) struct SqliteQueue {
    database: Sqlite,
    config: QueueConfig,
    clock: SharedClock,
}

/// What is there already, for a push.
enum Room {
    Taken(Pushed),
    Full(&'static str),
}

impl SqliteQueue {
    pub(crate) async fn open(config: &QueueConfig, ctx: &Ctx) -> Result<Self, Error> {
        let database = Sqlite::open(&config.url, &config.connection).await?;
        database.run(|connection| in_transaction(connection, |sql| sql.execute_batch(SCHEMA))).await?;
        Ok(Self { database, config: config.clone(), clock: ctx.clock.clone() })
    }

    /// Runs `work` with the queue's name and the time, as one transaction.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str, i64) -> SqlResult<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (queue, clock) = (self.config.name.clone(), self.clock.clone());
        let run = move |connection: &mut Connection| {
            in_transaction(connection, |sql| work(sql, &queue, wall_ms(&*clock)))
        };
        Ok(self.database.run(run).await?)
    }
}

/// One writer at a time, across processes: the lock is taken before anything is read.
fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> SqlResult<T>,
) -> SqlResult<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

impl Queue for SqliteQueue {
    async fn push(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        let (key, depth) = (key.clone(), signed(self.config.depth));
        let outcome = self
            .run(move |sql, queue, now| {
                let known = "SELECT 1 FROM buttress_jobs WHERE queue = ?1 AND key = ?2";
                if sql.query_row(known, params![queue, key.as_str()], |_| Ok(())).optional()?.is_some() {
                    return Ok(Room::Taken(Pushed::Known));
                }
                for (of, condition) in [("jobs are unfinished", "<> 'dead'"), ("dead letters wait for somebody", "= 'dead'")] {
                    let count = format!("SELECT count(*) FROM buttress_jobs WHERE queue = ?1 AND state {condition}");
                    if sql.query_row(&count, [queue], |row| row.get::<_, i64>(0))? >= depth {
                        return Ok(Room::Full(of));
                    }
                }
                sql.execute(
                    "INSERT INTO buttress_jobs (queue, key, payload, state, due) VALUES (?1, ?2, ?3, 'waiting', ?4)",
                    params![queue, key.as_str(), &*payload, now],
                )?;
                Ok(Room::Taken(Pushed::New))
            })
            .await?;
        match outcome {
            Room::Taken(pushed) => Ok(pushed),
            Room::Full(of) => Err(full(&self.config, of)),
        }
    }

    async fn claim(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        let lease = millis(self.config.lease);
        let held_since = self.clock.now();
        let mut rows: Vec<(i64, String, Vec<u8>, u32)> = self
            .run(move |sql, queue, now| {
                sql.prepare_cached(
                    "UPDATE buttress_jobs SET state = 'leased', attempts = attempts + 1, due = ?1 + ?2
                     WHERE seq IN (
                         SELECT seq FROM buttress_jobs WHERE queue = ?3 AND state <> 'dead' AND due <= ?1
                         ORDER BY due, seq LIMIT ?4
                     )
                     RETURNING seq, key, payload, attempts",
                )?
                .query_map(params![now, lease, queue, signed(at_most as u64)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
            })
            .await?;
        rows.sort_unstable_by_key(|(seq, ..)| *seq);
        rows.into_iter()
            .map(|(seq, name, payload, attempt)| {
                Ok(Job::new(key(&name)?, payload.into(), attempt, seq.to_string(), held_since))
            })
            .collect()
    }

    async fn settle(&self, job: &Job, verdict: Verdict) -> Result<(), Error> {
        let lost = || Error::LeaseLost { key: job.key.to_string(), attempt: job.attempt };
        let seq: i64 = job.token.parse().map_err(|_| lost())?;
        let (attempt, lease) = (job.attempt, millis(self.config.lease));
        let settled = self
            .run(move |sql, queue, now| {
                let ours = "WHERE seq = ?1 AND queue = ?2 AND attempts = ?3 AND state = 'leased'";
                let change = |what: &str, due: i64| {
                    let sql_text = format!("UPDATE buttress_jobs SET {what}, due = ?4 {ours}");
                    sql.execute(&sql_text, params![seq, queue, attempt, due])
                };
                match verdict {
                    Verdict::Done => {
                        sql.execute(&format!("DELETE FROM buttress_jobs {ours}"), params![seq, queue, attempt])
                    }
                    Verdict::Extend => change("state = 'leased'", now.saturating_add(lease)),
                    Verdict::Retry { after } => change("state = 'waiting'", now.saturating_add(millis(after))),
                    Verdict::Dead { class, reason } => sql.execute(
                        &format!(
                            "UPDATE buttress_jobs SET state = 'dead', due = ?4, class = ?5, reason = ?6 {ours}"
                        ),
                        params![seq, queue, attempt, now, class.as_str(), reason],
                    ),
                }
            })
            .await?;
        if settled == 1 { Ok(()) } else { Err(lost()) }
    }

    async fn stats(&self) -> Result<Stats, Error> {
        let figures = self
            .run(|sql, queue, now| {
                sql.query_row(
                    "SELECT count(*) FILTER (WHERE state <> 'dead' AND due <= ?2),
                        count(*) FILTER (WHERE state = 'leased' AND due > ?2),
                        count(*) FILTER (WHERE state = 'waiting' AND due > ?2),
                        count(*) FILTER (WHERE state = 'dead'),
                        max(0, ?2 - coalesce(min(due) FILTER (WHERE state <> 'dead'), ?2))
                 FROM buttress_jobs WHERE queue = ?1",
                    params![queue, now],
                    |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]),
                )
            })
            .await?;
        Ok(stats(figures))
    }
}

impl DeadLetters for SqliteQueue {
    async fn dead_letters(&self, at_most: usize) -> Result<Vec<DeadLetter>, Error> {
        type Row = (String, Vec<u8>, u32, Option<String>, Option<String>, i64);
        let rows: Vec<Row> = self
            .run(move |sql, queue, _| {
                sql.prepare_cached(
                    "SELECT key, payload, attempts, class, reason, due FROM buttress_jobs
                     WHERE queue = ?1 AND state = 'dead' ORDER BY due, seq LIMIT ?2",
                )?
                .query_map(params![queue, signed(at_most as u64)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                })?
                .collect()
            })
            .await?;
        rows.into_iter()
            .map(|(name, payload, attempts, class, reason, died_at)| {
                let (class, reason) = (class.unwrap_or_default(), reason.unwrap_or_default());
                Ok(DeadLetter::new(key(&name)?, payload.into(), attempts, class, reason, unsigned(died_at)))
            })
            .collect()
    }

    async fn revive(&self, key: &Key) -> Result<(), Error> {
        let name = key.clone();
        let revived = self
            .run(move |sql, queue, now| {
                // A new number: a worker that still holds the old claim holds nothing.
                sql.execute(
                    "UPDATE buttress_jobs SET seq = (SELECT max(seq) + 1 FROM buttress_jobs), state = 'waiting',
                         attempts = 0, due = ?3, class = NULL, reason = NULL
                     WHERE queue = ?1 AND key = ?2 AND state = 'dead'",
                    params![queue, name.as_str(), now],
                )
            })
            .await?;
        if revived == 1 { Ok(()) } else { Err(Error::NoDeadLetter { key: key.to_string() }) }
    }
}

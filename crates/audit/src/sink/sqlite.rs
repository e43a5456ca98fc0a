//! The log as a table of SQLite.

use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::types::Value;
use buttress_connect::sqlite::client::{OptionalExtension, Result as SqlResult, params, params_from_iter};
use buttress_connect::{Address, ConnectionConfig};

use super::rows::{Gather, Row};
use super::{Committed, Replica, Searchable};
use crate::Error;
use crate::query::sql::{Bind, Dialect, condition, signed};
use crate::query::{Filter, Page};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS buttress_audit (
    log        TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    recorded   INTEGER NOT NULL, -- nanoseconds since 1970
    at         INTEGER NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    actor      TEXT,
    target     TEXT,
    tenant     TEXT,
    request_id TEXT,
    detail     TEXT,
    subjects   TEXT,
    data       TEXT, -- JSON
    leaf       BLOB NOT NULL,
    bytes      BLOB NOT NULL,
    PRIMARY KEY (log, sequence)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS buttress_audit_actor ON buttress_audit (log, actor, sequence) WHERE actor IS NOT NULL;
CREATE INDEX IF NOT EXISTS buttress_audit_target ON buttress_audit (log, target, sequence) WHERE target IS NOT NULL;
CREATE INDEX IF NOT EXISTS buttress_audit_at ON buttress_audit (log, at, sequence);
";

const DIALECT: Dialect = Dialect {
    parameter: '?',
    begins: |text, prefix| format!("substr({text}, 1, length({prefix})) = {prefix}"),
    contains: |text, part| format!("instr({text}, {part}) > 0"),
};

/// Entries in the table `buttress_audit` of a SQLite file; several logs may share it.
#[derive(Debug, Clone)]
pub struct SqliteSink {
    database: Sqlite,
    log: String,
}

impl SqliteSink {
    /// Opens the file; it, its folder and the table are made if they are not there.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`].
    pub async fn open(
        address: &Address,
        config: &ConnectionConfig,
        log: impl Into<String>,
    ) -> Result<Self, Error> {
        let database = Sqlite::open(address, config).await?;
        database.run(|connection| connection.execute_batch(SCHEMA)).await?;
        Ok(Self { database, log: log.into() })
    }
}

impl Replica for SqliteSink {
    async fn next(&self) -> Result<u64, Error> {
        let log = self.log.clone();
        let sql = "SELECT coalesce(max(sequence) + 1, 0) FROM buttress_audit WHERE log = ?1";
        let next = self.database.run(move |connection| connection.query_row(sql, [log], |row| row.get(0)));
        Ok(next.await.map(|next: i64| u64::try_from(next).unwrap_or(0))?)
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        let rows: Vec<Row> = batch.iter().map(Row::of).collect();
        let log = self.log.clone();
        let diverged = self.database.run(move |connection| {
            let transaction = connection.transaction()?;
            for row in &rows {
                if !insert(&transaction, &log, row)? {
                    let sql = "SELECT leaf FROM buttress_audit WHERE log = ?1 AND sequence = ?2";
                    let leaf: Option<Vec<u8>> = transaction
                        .query_row(sql, params![log, row.sequence], |row| row.get(0))
                        .optional()?;
                    if leaf.is_none_or(|leaf| leaf != row.leaf) {
                        return Ok(Some(row.sequence));
                    }
                }
            }
            transaction.commit().map(|()| None)
        });
        match diverged.await? {
            None => Ok(()),
            Some(sequence) => Err(Error::Diverged { sequence: u64::try_from(sequence).unwrap_or(0) }),
        }
    }
}

/// Whether it was not there.
fn insert(
    connection: &buttress_connect::sqlite::client::Connection,
    log: &str,
    row: &Row,
) -> SqlResult<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO buttress_audit (log, sequence, recorded, at, action, outcome, actor, target, tenant, request_id, detail,
             subjects, data, leaf, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT DO NOTHING",
    )?;
    let inserted = statement.execute(params![
        log,
        row.sequence,
        row.recorded,
        row.at,
        row.action,
        row.outcome,
        row.actor,
        row.target,
        row.tenant,
        row.request_id,
        row.detail,
        row.subjects,
        row.data,
        row.leaf,
        row.bytes
    ])?;
    Ok(inserted == 1)
}

impl Searchable for SqliteSink {
    async fn search(&self, filter: &Filter, most: usize) -> Result<Page, Error> {
        let mut gather = Gather::new(filter.clone(), most);
        while let Some((filter, most)) = gather.ask() {
            let (wanted, binds) = condition(&filter, &DIALECT, 2);
            let sql = format!(
                "SELECT leaf, bytes FROM buttress_audit WHERE log = ?1 AND {wanted} ORDER BY sequence LIMIT {}",
                signed(most as u64)
            );
            let mut values = vec![Value::Text(self.log.clone())];
            values.extend(binds.into_iter().map(|bind| match bind {
                Bind::Int(number) => Value::Integer(number),
                Bind::Text(text) => Value::Text(text),
            }));
            let rows = self.database.run(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let rows =
                    statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect::<SqlResult<Vec<(Vec<u8>, Vec<u8>)>>>()
            });
            gather.take(rows.await?, most)?;
        }
        Ok(gather.finish())
    }
}

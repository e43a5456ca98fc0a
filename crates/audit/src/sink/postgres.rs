//! The log as a table of PostgreSQL.

use buttress_connect::postgres::Postgres;
use buttress_connect::postgres::client::types::{FromSql, ToSql, Type};
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::Ctx;

use super::rows::{Gather, Row};
use super::{Committed, Replica, Searchable};
use crate::Error;
use crate::query::sql::{Bind, Dialect, condition, signed};
use crate::query::{Filter, Page};

/// One that comes first makes it all; the lock lets the others wait.
const SCHEMA: &str = "
BEGIN;
SELECT pg_advisory_xact_lock(7310579621040);
CREATE TABLE IF NOT EXISTS buttress_audit (
    log        TEXT NOT NULL,
    sequence   BIGINT NOT NULL,
    recorded   BIGINT NOT NULL, -- nanoseconds since 1970
    at         BIGINT NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    actor      TEXT,
    target     TEXT,
    tenant     TEXT,
    request_id TEXT,
    detail     TEXT,
    subjects   TEXT,
    data       TEXT, -- JSON
    leaf       BYTEA NOT NULL,
    bytes      BYTEA NOT NULL,
    PRIMARY KEY (log, sequence)
);
CREATE INDEX IF NOT EXISTS buttress_audit_actor ON buttress_audit (log, actor, sequence) WHERE actor IS NOT NULL;
CREATE INDEX IF NOT EXISTS buttress_audit_target ON buttress_audit (log, target, sequence) WHERE target IS NOT NULL;
CREATE INDEX IF NOT EXISTS buttress_audit_at ON buttress_audit (log, at, sequence);
COMMIT;
";

/// One statement, and so one transaction: nothing is written when something is there with another hash.
const PUT: &str = "
WITH new AS MATERIALIZED (
    SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::bytea[])
        AS t (sequence, recorded, at, action, outcome, actor, target, tenant, request_id, detail, subjects, data, leaf, bytes)
), diverged AS MATERIALIZED (
    SELECT min(new.sequence) AS sequence FROM new
    JOIN buttress_audit old ON old.log = $1 AND old.sequence = new.sequence AND old.leaf <> new.leaf
), put AS (
    INSERT INTO buttress_audit (log, sequence, recorded, at, action, outcome, actor, target, tenant, request_id, detail,
        subjects, data, leaf, bytes)
    SELECT $1, * FROM new WHERE (SELECT sequence FROM diverged) IS NULL
    ON CONFLICT DO NOTHING
)
SELECT sequence FROM diverged";

const DIALECT: Dialect = Dialect {
    parameter: '$',
    begins: |text, prefix| format!("starts_with({text}, {prefix})"),
    contains: |text, part| format!("strpos({text}, {part}) > 0"),
};

/// Entries in the table `buttress_audit` of a PostgreSQL database; several logs may share it. Give the sink a role that may
/// insert and select, and no more.
#[derive(Debug, Clone)]
pub struct PostgresSink {
    database: Postgres,
    log: String,
}

impl PostgresSink {
    /// Connects; the table is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`].
    pub async fn connect(
        address: &Address,
        config: &ConnectionConfig,
        ctx: &Ctx,
        log: impl Into<String>,
    ) -> Result<Self, Error> {
        let database = Postgres::connect(address, config, ctx).await?;
        // Whoever may use the table need not be one who may make it.
        let there = database.query("SELECT to_regclass('buttress_audit_at') IS NOT NULL", &[]).await?;
        if !there.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            database.execute(SCHEMA).await?;
        }
        Ok(Self { database, log: log.into() })
    }
}

impl Replica for PostgresSink {
    async fn next(&self) -> Result<u64, Error> {
        let sql = "SELECT coalesce(max(sequence) + 1, 0) FROM buttress_audit WHERE log = $1";
        let rows = self.database.query(sql, &[(&self.log, Type::TEXT)]).await?;
        let next: i64 = get(rows.first().ok_or_else(unread)?, 0)?;
        u64::try_from(next).map_err(|_| unread())
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        let mut columns = Columns::default();
        for committed in batch {
            columns.push(Row::of(committed));
        }
        let rows = self.database.query(PUT, &columns.values(&self.log)).await?;
        match get::<Option<i64>>(rows.first().ok_or_else(unread)?, 0)? {
            None => Ok(()),
            Some(sequence) => Err(Error::Diverged { sequence: u64::try_from(sequence).unwrap_or(0) }),
        }
    }
}

/// A batch by its columns, as the server takes it in one statement.
#[derive(Default)]
struct Columns {
    numbers: [Vec<i64>; 3],
    texts: [Vec<Option<String>>; 9],
    bytes: [Vec<Vec<u8>>; 2],
}

impl Columns {
    fn push(&mut self, row: Row) {
        for (column, number) in self.numbers.iter_mut().zip([row.sequence, row.recorded, row.at]) {
            column.push(number);
        }
        let outcome = Some(row.outcome.to_owned());
        let texts = [
            Some(row.action),
            outcome,
            row.actor,
            row.target,
            row.tenant,
            row.request_id,
            row.detail,
            row.subjects,
            row.data,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(text);
        }
        for (column, bytes) in self.bytes.iter_mut().zip([row.leaf, row.bytes]) {
            column.push(bytes);
        }
    }

    fn values<'a>(&'a self, log: &'a String) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
        let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(log, Type::TEXT)];
        values.extend(self.numbers.iter().map(|column| (column as _, Type::INT8_ARRAY)));
        values.extend(self.texts.iter().map(|column| (column as _, Type::TEXT_ARRAY)));
        values.extend(self.bytes.iter().map(|column| (column as _, Type::BYTEA_ARRAY)));
        values
    }
}

impl Searchable for PostgresSink {
    async fn search(&self, filter: &Filter, most: usize) -> Result<Page, Error> {
        let mut gather = Gather::new(filter.clone(), most);
        while let Some((filter, most)) = gather.ask() {
            let (wanted, binds) = condition(&filter, &DIALECT, 2);
            let sql = format!(
                "SELECT leaf, bytes FROM buttress_audit WHERE log = $1 AND {wanted} ORDER BY sequence LIMIT {}",
                signed(most as u64)
            );
            let mut values: Vec<(&(dyn ToSql + Sync), Type)> = vec![(&self.log, Type::TEXT)];
            values.extend(binds.iter().map(|bind| match bind {
                Bind::Int(number) => (number as _, Type::INT8),
                Bind::Text(text) => (text as _, Type::TEXT),
            }));
            let rows = self.database.query(&sql, &values).await?;
            let rows: Result<Vec<_>, Error> =
                rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect();
            gather.take(rows?, most)?;
        }
        Ok(gather.finish())
    }
}

fn get<'a, T: FromSql<'a>>(
    row: &'a buttress_connect::postgres::client::Row,
    column: usize,
) -> Result<T, Error> {
    row.try_get(column).map_err(|_| unread())
}

fn unread() -> Error {
    Error::malformed("the database did not answer as the table was made")
}

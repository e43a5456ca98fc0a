//! API keys in a SQLite file: durable, and shared by the processes of one machine.

use std::time::{Duration, SystemTime};

use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::{
    self, Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use buttress_core::Key;

use super::record::KeyRecord;
use super::store::{Answer, KeyChange, KeyStore, Replaced};
use super::text::KeyId;
use crate::{Error, Names, TenantId};

/// API keys in the table `access_keys` of a SQLite file. A change is on the disk when it returns.
#[derive(Debug, Clone)]
pub struct SqliteKeys(Sqlite);

// The empty text is no tenant; times are milliseconds since 1970.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS access_keys (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL,
        pepper INTEGER NOT NULL,
        owner TEXT NOT NULL,
        tenant TEXT NOT NULL,
        roles TEXT NOT NULL,
        scopes TEXT NOT NULL,
        label TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER,
        revoked INTEGER,
        successor TEXT,
        last_used INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS access_keys_of_tenant ON access_keys (tenant, id);";

const COLUMNS: &str =
    "id, hash, pepper, owner, tenant, roles, scopes, label, created, expires, revoked, successor, last_used";

impl SqliteKeys {
    /// In this file, of which nothing else is known.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] when the file does not take the table.
    pub async fn open(sqlite: Sqlite) -> Result<Self, Error> {
        sqlite
            .run(|connection| immediate(connection, |transaction| transaction.execute_batch(SCHEMA)))
            .await?;
        Ok(Self(sqlite))
    }
}

/// A transaction that writes from its beginning.
fn immediate<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> client::Result<T>,
) -> client::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = work(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Every column as it stands in the table; what it means is found outside of the connection.
struct Stored {
    id: String,
    hash: Vec<u8>,
    pepper: u32,
    owner: String,
    tenant: String,
    roles: String,
    scopes: String,
    label: String,
    times: [Option<i64>; 4],
    successor: Option<String>,
}

fn stored(row: &Row<'_>) -> client::Result<Stored> {
    Ok(Stored {
        id: row.get(0)?,
        hash: row.get(1)?,
        pepper: row.get(2)?,
        owner: row.get(3)?,
        tenant: row.get(4)?,
        roles: row.get(5)?,
        scopes: row.get(6)?,
        label: row.get(7)?,
        times: [row.get(8)?, row.get(9)?, row.get(10)?, row.get(12)?],
        successor: row.get(11)?,
    })
}

fn names(joined: &str) -> Option<Names> {
    Names::new(joined.split_ascii_whitespace()).ok()
}

fn record(stored: &Stored) -> Result<KeyRecord, Error> {
    let read = || {
        let id = KeyId::parse(&stored.id)?;
        let [created, expires, revoked, last_used] = stored.times.map(|at| at.map(time));
        let hash = stored.hash.as_slice().try_into().ok()?;
        let mut record = KeyRecord::new(id, hash, stored.pepper, Key::new(&stored.owner).ok()?, created?);
        if !stored.tenant.is_empty() {
            record.tenant = Some(TenantId::new(&stored.tenant).ok()?);
        }
        (record.roles, record.scopes) = (names(&stored.roles)?, names(&stored.scopes)?);
        (record.expires, record.revoked, record.last_used) = (expires, revoked, last_used);
        record.successor = match &stored.successor {
            Some(successor) => Some(KeyId::parse(successor)?),
            None => None,
        };
        record.label.clone_from(&stored.label);
        Some(record)
    };
    read().ok_or(Error::Corrupt { what: "API key", problem: "a column does not hold what it should" })
}

impl KeyStore for SqliteKeys {
    fn insert<'a>(&'a self, record: &'a KeyRecord, replaced: Option<Replaced>) -> Answer<'a, bool> {
        let record = record.clone();
        Box::pin(async move {
            let added = self.0.run(move |connection| immediate(connection, |at| add(at, &record, replaced)));
            Ok(added.await?)
        })
    }

    fn get(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>> {
        Box::pin(async move {
            let sql = format!("SELECT {COLUMNS} FROM access_keys WHERE id = ?1");
            let read = move |connection: &mut Connection| {
                connection.prepare_cached(&sql)?.query_row([id.as_str()], stored).optional()
            };
            self.0.run(read).await?.as_ref().map(record).transpose()
        })
    }

    fn change(&self, id: KeyId, change: KeyChange) -> Answer<'_, bool> {
        Box::pin(async move {
            let changed = self.0.run(move |connection| match change {
                KeyChange::Revoke { at } => connection
                    .prepare_cached("UPDATE access_keys SET revoked = coalesce(revoked, ?2) WHERE id = ?1")?
                    .execute(params![id.as_str(), millis(at)]),
                KeyChange::Rehash { hash, pepper } => connection
                    .prepare_cached("UPDATE access_keys SET hash = ?2, pepper = ?3 WHERE id = ?1")?
                    .execute(params![id.as_str(), hash, pepper]),
            });
            Ok(changed.await? > 0)
        })
    }

    fn touch<'a>(&'a self, uses: &'a [(KeyId, SystemTime)]) -> Answer<'a, ()> {
        let uses = uses.to_vec();
        Box::pin(async move {
            let write = move |transaction: &Transaction<'_>| {
                let sql = "UPDATE access_keys SET last_used = max(coalesce(last_used, 0), ?2) WHERE id = ?1";
                let mut statement = transaction.prepare_cached(sql)?;
                uses.iter()
                    .try_for_each(|(id, at)| statement.execute(params![id.as_str(), millis(*at)]).map(drop))
            };
            Ok(self.0.run(move |connection| immediate(connection, write)).await?)
        })
    }

    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        after: Option<KeyId>,
        most: usize,
    ) -> Answer<'a, Vec<KeyRecord>> {
        let tenant = tenant.map_or(String::new(), |tenant| tenant.as_str().to_owned());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Box::pin(async move {
            let read = move |connection: &mut Connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM access_keys WHERE tenant = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let after = after.map_or(String::new(), |id| id.to_string());
                statement.query_map(params![tenant, after, most], stored)?.collect::<Result<Vec<_>, _>>()
            };
            self.0.run(read).await?.iter().map(record).collect()
        })
    }
}

fn add(
    transaction: &Transaction<'_>,
    record: &KeyRecord,
    replaced: Option<Replaced>,
) -> client::Result<bool> {
    let there = "SELECT 1 FROM access_keys WHERE id = ?1";
    if transaction.prepare_cached(there)?.exists([record.id.as_str()])? {
        return Ok(false);
    }
    if let Some(Replaced { id, until }) = replaced {
        let sql = "UPDATE access_keys SET successor = ?2, expires = min(coalesce(expires, ?3), ?3)
            WHERE id = ?1 AND revoked IS NULL AND successor IS NULL";
        let ended = params![id.as_str(), record.id.as_str(), millis(until)];
        if transaction.prepare_cached(sql)?.execute(ended)? == 0 {
            return Ok(false);
        }
    }
    let sql = format!(
        "INSERT INTO access_keys ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    transaction.prepare_cached(&sql)?.execute(params![
        record.id.as_str(),
        record.hash,
        record.pepper,
        record.owner.as_str(),
        record.tenant.as_ref().map_or("", TenantId::as_str),
        record.roles.joined(),
        record.scopes.joined(),
        record.label,
        millis(record.created),
        record.expires.map(millis),
        record.revoked.map(millis),
        record.successor.map(|id| id.to_string()),
        record.last_used.map(millis),
    ])?;
    Ok(true)
}

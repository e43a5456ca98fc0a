//! Sessions in a file: they outlive a restart, and the processes of a machine may share them.

use std::time::{Duration, SystemTime};

use buttress_connect::sqlite::Sqlite;
use buttress_connect::sqlite::client::{
    self, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use buttress_core::Key;

use super::id::SessionHash;
use super::store::{Answer, Record, SessionStore, User, Which};
use crate::{Error, Names, TenantId};

/// Keeps sessions in a SQLite file. A session is on the disk when it was put in.
#[derive(Debug, Clone)]
pub struct SqliteSessions {
    sqlite: Sqlite,
}

/// `tenant` is empty where there is none; the name of a tenant never is. Times are milliseconds since 1970.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS access_sessions (
        hash BLOB PRIMARY KEY,
        tenant TEXT NOT NULL,
        user TEXT NOT NULL,
        roles TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS access_sessions_by_user ON access_sessions (tenant, user, created);
    CREATE INDEX IF NOT EXISTS access_sessions_by_created ON access_sessions (created);
    CREATE INDEX IF NOT EXISTS access_sessions_by_seen ON access_sessions (seen);";

const BY_HASH: &str =
    "SELECT tenant, user, roles, scopes, created, seen FROM access_sessions WHERE hash = ?1";

impl SqliteSessions {
    /// In this file; its table is made if it is not there.
    pub async fn open(sqlite: Sqlite) -> Result<Self, Error> {
        sqlite.run(|connection| connection.execute_batch(SCHEMA)).await?;
        Ok(Self { sqlite })
    }

    /// Does `work` whole or not at all.
    fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> client::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let changed = self.sqlite.run(move |connection| {
            // One that begins by reading is refused when another process writes meanwhile.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        });
        Box::pin(async move { Ok(changed.await?) })
    }
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.max(0).unsigned_abs())
}

fn tenant(user: &User) -> &str {
    user.tenant.as_ref().map_or("", TenantId::as_str)
}

/// A row as it stands.
struct Stored {
    tenant: String,
    user: String,
    roles: String,
    scopes: String,
    created: i64,
    seen: i64,
}

impl Stored {
    fn of(row: &Row<'_>) -> client::Result<Self> {
        Ok(Self {
            tenant: row.get(0)?,
            user: row.get(1)?,
            roles: row.get(2)?,
            scopes: row.get(3)?,
            created: row.get(4)?,
            seen: row.get(5)?,
        })
    }

    fn record(self, hash: SessionHash) -> Option<Record> {
        let names = |text: &str| Names::new(text.split_ascii_whitespace()).ok();
        let tenant = if self.tenant.is_empty() { None } else { Some(TenantId::new(self.tenant).ok()?) };
        let user = User { tenant, id: Key::new(self.user).ok()? };
        let (roles, scopes) = (names(&self.roles)?, names(&self.scopes)?);
        Some(Record { hash, user, roles, scopes, created: time(self.created), seen: time(self.seen) })
    }
}

impl SessionStore for SqliteSessions {
    fn put(&self, record: Record, most: usize, instead_of: Option<SessionHash>) -> Answer<'_, bool> {
        let most = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
        self.change(move |transaction| {
            if let Some(old) = instead_of {
                let sql = "DELETE FROM access_sessions WHERE hash = ?1";
                if transaction.prepare_cached(sql)?.execute([old.as_bytes()])? == 0 {
                    return Ok(false);
                }
            }
            let (hash, user) = (record.hash.as_bytes(), &record.user);
            let (roles, scopes) = (record.roles.joined(), record.scopes.joined());
            let sql = "INSERT OR REPLACE INTO access_sessions (hash, tenant, user, roles, scopes, created, seen)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (created, seen) = (millis(record.created), millis(record.seen));
            let row = params![hash, tenant(user), user.id.as_str(), roles, scopes, created, seen];
            transaction.prepare_cached(sql)?.execute(row)?;
            // The new one stays, whatever the clock says.
            let sql = "DELETE FROM access_sessions WHERE hash IN (SELECT hash FROM access_sessions
                WHERE tenant = ?1 AND user = ?2 AND hash <> ?3 ORDER BY created DESC, hash DESC LIMIT -1 OFFSET ?4 - 1)";
            let of_user = params![tenant(user), user.id.as_str(), hash, most];
            transaction.prepare_cached(sql)?.execute(of_user)?;
            Ok(true)
        })
    }

    fn get(&self, hash: SessionHash) -> Answer<'_, Option<Record>> {
        let found = self.sqlite.run(move |connection| {
            connection.prepare_cached(BY_HASH)?.query_row([hash.as_bytes()], Stored::of).optional()
        });
        Box::pin(async move {
            let Some(stored) = found.await? else { return Ok(None) };
            let unreadable = Error::Corrupt { what: "session", problem: "a name in it is none" };
            stored.record(hash).ok_or(unreadable).map(Some)
        })
    }

    fn touch(&self, hash: SessionHash, seen: SystemTime) -> Answer<'_, ()> {
        self.change(move |transaction| {
            let sql = "UPDATE access_sessions SET seen = ?2 WHERE hash = ?1";
            transaction.prepare_cached(sql)?.execute(params![hash.as_bytes(), millis(seen)]).map(drop)
        })
    }

    fn remove(&self, user: User, which: Which) -> Answer<'_, u64> {
        self.change(move |transaction| {
            let (test, hash) = match &which {
                Which::All => ("?3 IS NULL", None),
                Which::Only(hash) => ("hash = ?3", Some(hash.as_bytes())),
                Which::Except(hash) => ("hash <> ?3", Some(hash.as_bytes())),
            };
            let sql = format!("DELETE FROM access_sessions WHERE tenant = ?1 AND user = ?2 AND {test}");
            let of_user = params![tenant(&user), user.id.as_str(), hash];
            Ok(transaction.prepare_cached(&sql)?.execute(of_user)? as u64)
        })
    }

    fn sweep(&self, created_before: SystemTime, seen_before: SystemTime) -> Answer<'_, u64> {
        self.change(move |transaction| {
            let sql = "DELETE FROM access_sessions WHERE created < ?1 OR seen < ?2";
            let times = [millis(created_before), millis(seen_before)];
            Ok(transaction.prepare_cached(sql)?.execute(times)? as u64)
        })
    }
}

//! The SQLite file, and who may use it when.
//!
//! One connection writes, so that what reads and then writes is not disturbed; one reads beside it and never waits
//! for a sync. Who wants one waits in line without holding a thread.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use super::error::{Error, Result};

/// The version of `schema.sql`.
const VERSION: i64 = 1;

/// The write-ahead log is cut down to this after a checkpoint.
const LOG_BYTES: i64 = 16 << 20;

pub(crate) struct Database {
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
    /// Held for as long as the database is open; the system lets go of it when the process dies.
    _lock: File,
}

impl Database {
    /// Opens `jobs.db` in `folder`, makes it if it is not there, and lets `prepare` put it right before anybody else
    /// sees it.
    pub(crate) fn open<T>(
        folder: &Path,
        prepare: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<(Self, T)> {
        fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
        let lock = lock(folder)?;
        let path = folder.join("jobs.db");
        let mut writer = Connection::open(&path)?;
        writer.busy_timeout(Duration::from_secs(5))?;
        // Has to come before the first table.
        writer.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        // An acknowledged job outlives the machine's power, not just this process.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "foreign_keys", "ON")?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        migrate(&transaction, &path)?;
        let prepared = prepare(&transaction)?;
        transaction.commit()?;
        let reader = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        reader.busy_timeout(Duration::from_secs(5))?;
        let [writer, reader] = [writer, reader].map(|connection| Arc::new(Mutex::new(connection)));
        Ok((Self { writer, reader, _lock: lock }, prepared))
    }

    /// Does `work` in one transaction, which is on the disk when this returns, and then `after`, before anybody else
    /// writes.
    ///
    /// Once begun, both are done to the end, even if nobody waits for it any more.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
        after: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let task = move || {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            after(&value);
            Ok(value)
        };
        tokio::task::spawn_blocking(task).await.map_err(|_| Error::Stopped)?
    }

    /// Does `work`, which only reads, on one state of the database.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let mut reader = Arc::clone(&self.reader).lock_owned().await;
        let task = move || work(&reader.transaction()?);
        tokio::task::spawn_blocking(task).await.map_err(|_| Error::Stopped)?
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("jobs.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { folder: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
    }
}

fn migrate(transaction: &Transaction<'_>, path: &Path) -> Result<()> {
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(Error::Newer { path: path.to_owned(), found, known: VERSION });
    }
    if found < 1 {
        transaction.execute_batch(include_str!("schema.sql"))?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(())
}
